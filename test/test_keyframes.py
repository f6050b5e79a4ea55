# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keyframes of dense sequences."""

from __future__ import annotations

from pathlib import Path
import re
import signal

import cv2
import numpy as np
import pytest

from relloc_ros.cli.main import main
from relloc_ros.geometry import exp_so3
from relloc_ros.map.keyframes import (
    keyframes_of,
    measure_sharpness,
    select_keyframes,
    sharpness,
)
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
# Maps of few images and features are quick to build.
QUICK = ['--set', 'max_keypoints=500', '--set', 'vlad_clusters=8']


@pytest.fixture
def relloc(capsys, monkeypatch):
    """Run the command; gives exit code and stderr, whose lines are not broken."""
    monkeypatch.setenv('COLUMNS', '200')

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return caught.value.code or 0, capsys.readouterr().err

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


def along_a_line(count, step):
    centres = np.zeros((count, 3))
    centres[:, 0] = step * np.arange(count)
    return centres


def turned(angles_deg):
    return np.array([exp_so3(np.radians([0.0, angle, 0.0])) for angle in angles_deg])


def textured(seed=0):
    small = np.random.default_rng(seed).integers(0, 255, (60, 80), dtype=np.uint8)
    return cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)


def test_every_image_left_out_is_near_a_better_one_and_no_two_that_stay_are():
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.0, 2.0, (300, 3))
    rotations = turned(rng.uniform(-30.0, 30.0, 300))
    order = rng.permutation(300)
    rank = np.argsort(order)
    kept = select_keyframes(centres, rotations, [1] * 300, order, 0.5, np.radians(10.0))

    def alike(i, j):
        angle = np.arccos(np.clip((np.trace(rotations[i] @ rotations[j].T) - 1) / 2, -1, 1))
        return np.linalg.norm(centres[i] - centres[j]) <= 0.5 and angle <= np.radians(10.0)

    assert 1 < len(kept) < 200
    assert not any(alike(i, j) for i in kept for j in kept if i < j)
    for row in np.setdiff1d(np.arange(300), kept):
        assert any(alike(row, other) and rank[other] < rank[row] for other in kept)


def test_the_sharpest_of_each_group_stays():
    centres = along_a_line(9, 0.1)
    best_first = [1, 4, 7, 0, 2, 3, 5, 6, 8]
    kept = select_keyframes(centres, turned([0.0] * 9), [1] * 9, best_first, 0.15, 0.1)
    assert kept.tolist() == [1, 4, 7]


def test_a_camera_that_turns_on_the_spot_is_thinned_by_angle():
    kept = select_keyframes(
        np.zeros((10, 3)), turned(range(10)), [1] * 10, range(10), 1.0, np.radians(2.5)
    )
    assert kept.tolist() == [0, 3, 6, 9]


def test_images_of_the_same_place_are_one_keyframe_and_of_another_direction_two():
    same = select_keyframes(np.zeros((2, 3)), turned([0, 0]), [1, 1], [1, 0], 0.0, 0.0)
    assert same.tolist() == [1]
    away = select_keyframes(np.zeros((2, 3)), turned([0, 179]), [1, 1], [1, 0], 9.0, 3.0)
    assert away.tolist() == [0, 1]


def test_cameras_do_not_stand_in_for_each_other():
    centres = np.zeros((4, 3))
    kept = select_keyframes(centres, turned([0] * 4), ['a', 'b', 'a', 'b'], range(4), 1.0, 1.0)
    assert kept.tolist() == [0, 1]


def test_a_shaken_image_is_less_sharp_though_it_is_noisy():
    still = textured()
    shaken = cv2.blur(still, (25, 1))
    noise = np.random.default_rng(1).normal(0.0, 4.0, shaken.shape)
    noisy = np.clip(shaken + noise, 0, 255).astype(np.uint8)
    assert sharpness(still) > 1.5 * sharpness(noisy)
    assert sharpness(cv2.cvtColor(still, cv2.COLOR_GRAY2BGR)) == pytest.approx(sharpness(still))
    assert sharpness(np.full((48, 64), 7, np.uint8)) == 0.0


def test_sharpness_is_measured_in_the_order_of_the_images_with_progress():
    posed = read_source(OFFICE)[:4]
    seen = []
    values = measure_sharpness(posed, lambda done, total, stage: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = measure_sharpness(posed[::-1])
    assert values.tolist() == again[::-1].tolist()
    assert (values > 0.0).all()


def test_keyframes_of_posed_images_are_fewer_the_further_apart():
    posed = read_source(OFFICE)
    values = measure_sharpness(posed)
    counts = [len(keyframes_of(posed, values, distance, 1.0)) for distance in (0.0, 0.6, 2.0, 99)]
    assert counts[0] == len(posed)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


def test_build_takes_the_keyframes_and_says_how_many(relloc, tmp_path):
    code, err = relloc(
        'map', 'build', OFFICE, '--output', tmp_path / 'map', *QUICK,
        '--keyframe-distance', '0.6', '--keyframe-angle', '20',
    )  # fmt: skip
    assert code == 0, err
    found = re.search(r'(\d+) of (\d+) images are keyframes: .* 60\.0 cm and 20\.0°', err)
    assert found is not None, err
    posed = read_source(OFFICE)
    rows = keyframes_of(posed, measure_sharpness(posed), 0.6, np.radians(20.0))
    assert [int(number) for number in found.groups()] == [len(rows), len(posed)]
    with ReferenceMap.open(tmp_path / 'map') as reference_map:
        assert list(reference_map.image_names) == [posed[row].name for row in rows]


def test_auto_leaves_a_sparse_set_of_photos_as_it_is(relloc, tmp_path):
    code, err = relloc(
        'map', 'build', OFFICE, '--output', tmp_path / 'map', *QUICK, '--keyframes', 'auto'
    )
    assert code == 0, err
    assert re.search(r'all 19 images are taken', err), err
    with ReferenceMap.open(tmp_path / 'map') as reference_map:
        assert reference_map.num_images == 19


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (['--keyframe-angle', '5'], '--keyframe-distance'),
        (['--keyframes', 'auto', '--keyframe-distance', '1'], 'leave out'),
        (['--keyframe-distance', '-1'], '--keyframe-distance'),
    ],
)
def test_options_that_mean_nothing_are_refused(relloc, tmp_path, options, said):
    code, err = relloc('map', 'build', OFFICE, '--output', tmp_path / 'map', *options)
    assert code == 2
    assert said in err
    assert not (tmp_path / 'map').exists()
