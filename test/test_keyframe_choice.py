# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing keyframes by what their loss costs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rendered_room import look, render

from relloc_ros.camera import Camera
from relloc_ros.cli.keyframe_options import Keyframes, thinned
from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.evaluation import keyframes
from relloc_ros.evaluation.keyframe_loss import (
    MAX_LOST,
    Accuracy,
    Yardstick,
    least_frames,
    measure_loss,
)
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import map_info
from relloc_ros.map.editing import remove_images
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.keyframes import measure_sharpness
from relloc_ros.map.sources import PosedImage

SMALL = Camera('PINHOLE', 320, 240, (260.0, 260.0, 160.0, 120.0))
QUICK = MapConfig(max_keypoints=300, vlad_clusters=8)
YARDSTICK = Yardstick(exact=(0.001, 0.01), useful=(0.5, 5.0))
COUNT = 100


def some_errors(count, seed=0):
    generator = np.random.default_rng(seed)
    return np.column_stack([generator.gamma(4, 0.005, count), generator.gamma(4, 0.05, count)])


def slightly_other(errors):
    return errors * np.random.default_rng(1).uniform(0.95, 1.05, errors.shape)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Posed images of a dense video through a room, and how sharp they are."""
    folder = tmp_path_factory.mktemp('video')
    posed = []
    for index in range(COUNT):
        part = index / COUNT
        centre = [-1.5 + 3.0 * part, 0.3 * np.sin(7.0 * part), 0.5 * np.cos(5.0 * part)]
        pose = look(centre, yaw_deg=25.0 + 15.0 * np.sin(6.0 * part))
        path = folder / f'{index:03}.png'
        cv2.imwrite(str(path), render(pose, SMALL))
        posed.append(PosedImage(path.name, path, SMALL, pose.inverse(), 10**9 + index))
    return posed, measure_sharpness(posed)


def choose(video, **options):
    return keyframes.choose_keyframes(*video, QUICK, progress=lambda *_: None, **options)


@pytest.fixture(scope='module')
def choice(video):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(keyframes, 'SHIFTS', (0.2, 0.03))
        return choose(video)


def test_a_dense_video_is_thinned_to_the_fewest_images_that_lose_little(choice):
    sparse, dense = choice.trials
    assert choice.taken is dense
    assert choice.rows is dense.rows
    assert len(sparse.rows) < len(dense.rows) < COUNT / 3
    assert sparse.loss.excess
    assert sparse.accuracy.available < dense.accuracy.available
    assert dense.num_samples == COUNT - len(dense.rows)
    assert dense.dense.available == 1.0
    assert dense.dense.position < 0.01
    assert choice.evidence['images_before'] == COUNT
    assert choice.evidence['images_after'] == len(choice.rows)
    assert choice.evidence['held_out'] == dense.num_samples
    assert choice.evidence['position_after'] == pytest.approx(dense.accuracy.position, rel=1e-3)


def test_it_is_said_what_was_tried_and_what_is_lost(video, choice, monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '200')
    monkeypatch.setattr(keyframes, 'choose_keyframes', lambda *_, **__: choice)
    posed, evidence = thinned(video[0], Keyframes.AUTO, None, None, 'm', QUICK, None)
    assert [image.name for image in posed] == [video[0][row].name for row in choice.rows]
    assert evidence == choice.evidence
    said = capsys.readouterr().err.splitlines()
    sparse, dense = choice.trials
    assert said[0].startswith(f'{len(sparse.rows)} keyframes, {sparse.num_samples} images held')
    assert said[0].endswith(f'too few, {sparse.loss.excess}')
    assert said[1].startswith(f'{len(dense.rows)} keyframes, {dense.num_samples} images held')
    assert said[1].endswith('enough')
    assert 'medians grow by no more than' in said[2]
    assert said[3].startswith(f'{len(dense.rows)} of {COUNT} images are keyframes')


def test_where_every_spacing_loses_too_much_all_images_stay(video, monkeypatch):
    monkeypatch.setattr(keyframes, 'SHIFTS', (0.2,))
    choice = choose(video, max_measured=60)
    assert choice.taken is None
    assert choice.rows.tolist() == list(range(COUNT))
    assert len(choice.trials) == 1
    assert choice.evidence == {}


def test_of_a_long_video_part_is_measured_and_all_is_thinned(video, monkeypatch):
    monkeypatch.setattr(keyframes, 'SHIFTS', (0.03,))
    built = []

    def recording(posed, *arguments, **options):
        built.extend(image.name for image in posed)
        return build_map(posed, *arguments, **options)

    monkeypatch.setattr(keyframes, 'MAX_SAMPLES', 40)
    monkeypatch.setattr(keyframes, 'least_frames', lambda: 20)
    monkeypatch.setattr(keyframes, 'build_map', recording)
    choice = choose(video, max_measured=80)
    assert built == [f'{index:03}.png' for index in range(10, 90)]
    (trial,) = choice.trials
    left_out = set(range(10, 90, 2)) - set(trial.rows.tolist())
    assert trial.num_samples == len(left_out)
    assert trial.rows[0] < 10
    assert trial.rows[-1] >= 90
    assert trial.accuracy.available > 0.9


def test_few_images_are_kept_without_a_look(video, monkeypatch):
    monkeypatch.setattr(keyframes, 'build_map', None)
    few = least_frames() - 1
    posed, sharpnesses = video
    choice = choose((posed[:few], sharpnesses[:few]))
    assert choice.rows.tolist() == list(range(few))
    assert choice.taken is None
    assert choice.trials == ()


def test_the_map_remembers_what_was_measured_until_its_images_change(video, tmp_path):
    evidence = {'images_before': 100, 'images_after': 6, 'tail_position_after': float('inf')}
    path = build_map(video[0][::17], tmp_path / 'map', QUICK, keyframes=evidence)
    assert Manifest.read(current_generation(path).manifest).keyframes == evidence
    assert map_info(path)['keyframes'] == evidence
    remove_images(path, ['017.png'])
    assert Manifest.read(current_generation(path).manifest).keyframes == {}
    assert 'keyframes' not in map_info(path)


@pytest.mark.parametrize('content', ['keyframes: {held_out: [1]}', 'keyframes: many'])
def test_figures_that_are_none_are_damage(video, tmp_path, content):
    path = build_map(video[0][::17], tmp_path / 'map', QUICK)
    manifest = current_generation(path).manifest
    manifest.write_text(manifest.read_text('utf-8') + content + '\n', 'utf-8')
    with pytest.raises(MapError, match='damaged'):
        Manifest.read(manifest)


def test_what_hardly_changes_is_no_loss():
    errors = some_errors(150)
    loss = measure_loss(slightly_other(errors), errors, YARDSTICK)
    assert loss.excess == ''
    assert loss.position < 0.1
    assert loss.lost < MAX_LOST


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda errors: errors * [1.5, 1.0], 'median position error may grow by'),
        (lambda errors: errors * [1.0, 1.5], 'median rotation error may grow by'),
        (
            lambda errors: np.where(errors > np.quantile(errors, 0.8, axis=0), 3 * errors, errors),
            '90th percentile of position errors may grow by',
        ),
        (
            lambda errors: np.where(np.arange(150)[:, None] % 12 == 0, np.inf, errors),
            '% of the poses may be lost',
        ),
    ],
)
def test_loss_is_named(change, said):
    errors = some_errors(150)
    assert said in measure_loss(change(errors), errors, YARDSTICK).excess


def test_errors_below_a_pixel_may_grow():
    errors = some_errors(150)
    coarse = Yardstick(exact=(0.1, 1.0), useful=(0.5, 5.0))
    assert measure_loss(1.5 * errors, errors, coarse).excess == ''


def test_images_that_are_localized_in_neither_map_are_no_loss():
    errors = some_errors(150)
    errors[::5] = np.inf
    loss = measure_loss(errors, errors, YARDSTICK)
    assert loss.excess == ''
    assert Accuracy.of(errors).available == pytest.approx(0.8)
    assert Accuracy.of(errors).tail_position == np.inf


def test_the_same_growth_is_sure_with_many_frames_and_not_with_few():
    many, few = some_errors(2000), some_errors(50)
    noise = np.random.default_rng(2).lognormal(0.0, 0.4, (2000, 2))
    assert measure_loss(many * noise, many, YARDSTICK).excess == ''
    assert measure_loss(few * noise[:50], few, YARDSTICK).excess != ''


def test_fewer_frames_than_least_cannot_show_that_no_pose_is_lost():
    for count, enough in ((least_frames() - 1, False), (least_frames(), True)):
        errors = some_errors(count)
        assert (measure_loss(errors, errors, YARDSTICK).lost <= MAX_LOST) is enough
