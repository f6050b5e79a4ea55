# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which estimate belongs to which image, and what becomes of the rest."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from synthetic_runs import make_outcome, make_run

from relloc_ros.errors import DataError
from relloc_ros.evaluation.exports import write_trajectories
from relloc_ros.evaluation.pose_files import FilePose, PoseFile, read_pose_file, read_truth
from relloc_ros.evaluation.scores import score, select
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import Status

S = 1_000_000_000


def at(x):
    return RigidTransform(np.eye(3), np.array([x, 0.0, 0.0]))


def named(*names, error=0.0, path='estimates.txt'):
    poses = [FilePose(name, None, at(i + error)) for i, name in enumerate(names)]
    return PoseFile(Path(path), 'colmap', tuple(poses))


def timed(*seconds, path='estimates.txt'):
    poses = [FilePose('', round(second * S), at(second)) for second in seconds]
    return PoseFile(Path(path), 'tum', tuple(poses))


def by_line(*positions, path='estimates.txt'):
    poses = [FilePose('', None, None if x is None else at(x)) for x in positions]
    return PoseFile(Path(path), 'kitti', tuple(poses))


def test_images_are_known_by_name():
    truth = named('a', 'b', 'c', 'd', path='truth.txt')
    estimates = PoseFile(
        Path('some/hloc.txt'),
        'colmap',
        (
            FilePose('x', None, at(0)),
            FilePose('d', None, at(3.5)),
            FilePose('b', None, at(1)),
        ),
    )
    scored = score(estimates, truth)
    run = scored.run
    assert scored.extra == ('x',)
    assert [outcome.name for outcome in run.outcomes] == ['a', 'b', 'c', 'd']
    assert [outcome.error[0] for outcome in run.outcomes] == [math.inf, 0.0, math.inf, 0.5]
    failed, found = run.outcomes[:2]
    assert (failed.status, failed.reason) == (Status.ERROR, 'there is no estimate of it')
    assert (failed.estimate, found.status) == (None, Status.LOCALIZED)
    assert found.nees is None
    assert (run.localizer, run.units, run.body, run.sequence) == ('hloc', 'm', 'camera', False)
    assert len(run.scored) == 4


def test_frames_come_in_the_order_of_their_numbers():
    names = ['s2/f10', 's2/f9', 's10/f1', 's2/f100', 's2/g']
    outcomes = score(named(*names), named(*names, path='truth.txt')).run.outcomes
    assert [outcome.name for outcome in outcomes] == [
        's2/f9',
        's2/f10',
        's2/f100',
        's2/g',
        's10/f1',
    ]
    stamps = [outcome.stamp_ns for outcome in outcomes]
    assert stamps == sorted(set(stamps))


def test_times_are_matched_to_the_nearest():
    truth = timed(0.0, 1.0, 2.0, 3.0, path='truth.txt')
    scored = score(timed(0.01, 1.03, 1.985, 2.01, 9.0), truth)
    errors = [outcome.error[0] for outcome in scored.run.outcomes]
    assert errors == pytest.approx([0.01, math.inf, 0.01, math.inf])
    assert scored.extra == ('1.030000000', '1.985000000', '9.000000000')
    assert scored.run.sequence
    assert scored.run.outcomes[0].name == '0.000000000'


def test_each_estimate_serves_once():
    truth = timed(1.0, 1.01, path='truth.txt')
    errors = [outcome.error[0] for outcome in score(timed(1.004), truth).run.outcomes]
    assert errors == pytest.approx([0.004, math.inf])


def test_equal_stamps_are_two_images():
    truth = timed(1.0, 1.0, path='truth.txt')
    assert all(outcome.localized for outcome in score(timed(1.0, 1.0), truth).run.outcomes)


def test_lines_are_counted():
    scored = score(by_line(0.0, None, 2.5, 3.0), by_line(0.0, 1.0, 2.0, path='truth.txt'))
    assert [outcome.error[0] for outcome in scored.run.outcomes] == [0.0, math.inf, 0.5]
    assert scored.extra == ('line 4',)
    assert scored.run.outcomes[2].name == 'line 3'
    assert scored.run.sequence
    shorter = score(by_line(0.0), by_line(0.0, 1.0, path='truth.txt'))
    assert [outcome.localized for outcome in shorter.run.outcomes] == [True, False]


def test_images_named_by_their_time_can_be_scored_by_it():
    poses = tuple(
        FilePose(f'{second}.png', second * S, at(0.0)) for second in (1_700_000_000, 1_700_000_001)
    )
    truth = PoseFile(Path('truth.txt'), 'colmap', poses)
    scored = score(timed(1_700_000_000), truth)
    assert [outcome.localized for outcome in scored.run.outcomes] == [True, False]
    assert scored.run.outcomes[0].name == '1700000000.png'
    assert scored.run.sequence


@pytest.mark.parametrize('suffix', ['txt', 'tum', 'kitti'])
def test_our_own_files_give_our_own_errors(tmp_path, suffix):
    rng = np.random.default_rng(0)
    outcomes = []
    for i in range(20):
        poses = [
            RigidTransform(exp_so3(np.array([1.0, 2.0, i]) + 0.01 * rng.normal(size=3)), position)
            for position in np.array([i, 0.0, 5.0]) + 0.01 * rng.normal(size=(2, 3))
        ]
        found = None if i == 7 else poses[0]
        outcomes.append(make_outcome(f'a b/{i:03}.png', i * S, found, poses[1]))
    write_trajectories(make_run(outcomes), tmp_path)
    estimates = read_pose_file(tmp_path / f'poses.{suffix}')
    scored = score(estimates, read_truth(tmp_path / f'truth.{suffix}'))
    expected = [outcome.error for outcome in outcomes]
    if suffix == 'kitti':  # it has no lines for failures
        expected.pop(7)
    found = [outcome.error for outcome in scored.run.outcomes]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert scored.extra == ()


@pytest.mark.parametrize(
    ('estimates', 'truth'),
    [
        (named('a'), by_line(0.0)),
        (named('a'), timed(0.0)),
        (timed(0.0), by_line(0.0)),
    ],
)
def test_formats_without_anything_in_common(estimates, truth):
    with pytest.raises(DataError, match='neither names nor times in common'):
        score(estimates, truth)


def test_names_that_never_match_are_an_error_not_a_bad_score():
    with pytest.raises(
        DataError, match=r'none of the 2 poses .* begin with a\.png and rgb/a\.png'
    ):
        score(named('a.png', 'b.png'), named('rgb/a.png', path='truth.txt'))


def test_a_list_selects_images():
    truth = named('a', 'b', 'c')
    assert [pose.name for pose in select(truth, ['c', 'a']).poses] == ['c', 'a']
    with pytest.raises(DataError, match=r"1 images of the list have no pose .* is 'x'"):
        select(truth, ['a', 'x'])


def test_a_list_selects_times_of_a_motion_capture():
    start = 1_700_000_000
    truth = timed(*(start + 0.01 * i for i in range(100)))
    chosen = select(truth, [f'rgb/{start}.502.png', f'{start}.104'])
    seconds = [(pose.stamp_ns - start * S) / S for pose in chosen.poses]
    assert seconds == pytest.approx([0.5, 0.1], abs=1e-3)
    with pytest.raises(DataError, match='have no pose in'):
        select(truth, [f'{start + 5}.0'])
    with pytest.raises(DataError, match='by line only'):
        select(by_line(0.0), ['a'])
