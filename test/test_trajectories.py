# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ATE and RPE of trajectories whose errors are put in by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from relloc_ros.evaluation.trajectories import (
    absolute_trajectory_errors,
    align_points,
    pairs_apart,
    relative_pose_errors,
    trajectory_statistics,
    travelled_distances,
)
from relloc_ros.geometry import RigidTransform, exp_so3

SECOND = 1_000_000_000


def curve(count=50):
    """A winding walk."""
    angles = np.linspace(0, 4, count)
    return [
        RigidTransform(
            exp_so3(np.array([0.1 * a, 0.2, a])),
            np.array([3 * math.cos(a), 2 * math.sin(a), 0.3 * a**2]),
        )
        for a in angles
    ]


def positions(poses):
    return np.array([pose.translation for pose in poses])


def shifted(pose, offset):
    return RigidTransform(pose.rotation, pose.translation + offset)


@pytest.mark.parametrize('seed', range(5))
def test_umeyama_finds_a_known_similarity(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(20, 3))
    rotation, shift, scale = exp_so3(rng.normal(size=3)), 100 * rng.normal(size=3), 2.5
    found = align_points(points, scale * points @ rotation.T + shift, with_scale=True)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, shift, atol=1e-9)


@pytest.mark.parametrize('seed', range(5))
def test_no_other_alignment_is_nearer(seed):
    rng = np.random.default_rng(seed)
    points, targets = rng.normal(size=(2, 20, 3))
    found = align_points(points, targets, with_scale=False)
    assert found.scale == 1.0
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    least = np.square(found.apply(points) - targets).sum()
    for _ in range(50):
        rotation = exp_so3(rng.normal(size=3) * 0.1) @ found.rotation
        moved = points @ rotation.T + found.translation + rng.normal(size=3) * 0.1
        assert np.square(moved - targets).sum() > least


def test_a_mirror_is_no_rotation():
    points = np.random.default_rng(0).normal(size=(20, 3))
    found = align_points(points, points * [1, 1, -1], with_scale=True)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


@pytest.mark.parametrize('points', [np.zeros((2, 3)), np.ones((5, 3)) * 1e5])
def test_too_little_to_align(points):
    assert align_points(points, points, with_scale=True) is None


def test_points_on_a_line_can_be_aligned():
    line = np.outer(np.arange(5.0), [1.0, 2.0, 0.0])
    moved = np.add(line, [0.0, 0.0, 7.0])
    found = align_points(line, moved, with_scale=False)
    np.testing.assert_allclose(found.apply(line), moved, atol=1e-9)


def test_alignment_takes_away_offset_and_scale():
    truths = curve()
    offset = RigidTransform(exp_so3(np.array([0.1, -0.5, 0.3])), np.array([5.0, 6.0, 7.0]))
    moved = [offset @ pose for pose in truths]
    scaled = [RigidTransform(pose.rotation, 1.1 * pose.translation) for pose in moved]
    unaligned, _ = absolute_trajectory_errors(moved, truths, 'none')
    rigid, _ = absolute_trajectory_errors(moved, truths, 'se3')
    assert unaligned.min() > 1.0
    assert rigid.max() < 1e-9
    rigid, _ = absolute_trajectory_errors(scaled, truths, 'se3')
    similar, similarity = absolute_trajectory_errors(scaled, truths, 'sim3')
    assert rigid.max() > 0.01
    assert similar.max() < 1e-9
    assert similarity.scale == pytest.approx(1 / 1.1)


def test_a_constant_offset_changes_no_motion():
    truths = curve()
    offset = RigidTransform(exp_so3(np.array([0.0, 0.0, 1.0])), np.array([5.0, 0.0, 0.0]))
    errors = relative_pose_errors([offset @ pose for pose in truths], truths, [(0, 5), (3, 40)])
    assert errors.max() < 1e-6


def test_relative_errors_are_those_of_the_motion():
    truths = curve()
    estimates = list(truths)
    # In the frame of the later pose: 0.3 aside, and turned by 2 degrees.
    estimates[5] = truths[5] @ RigidTransform(
        exp_so3(np.array([math.radians(2), 0, 0])), np.array([0.0, 0.3, 0.0])
    )
    errors = relative_pose_errors(estimates, truths, [(0, 5), (1, 2)])
    np.testing.assert_allclose(errors, [[0.3, 2.0], [0.0, 0.0]], atol=1e-6)


def test_pairs_are_as_far_apart_as_asked():
    progress = np.array([0.0, 0.4, 1.0, 1.95, 2.0, 5.0])
    np.testing.assert_array_equal(pairs_apart(progress, 1.0), [[0, 2], [2, 4]])
    assert pairs_apart(progress, 0.2).shape == (0, 2)
    assert pairs_apart(np.array([0.0]), 1.0).shape == (0, 2)
    assert pairs_apart(np.empty(0), 1.0).shape == (0, 2)


def test_pairs_of_a_standstill():
    assert pairs_apart(np.zeros(5), 1.0).shape == (0, 2)


def test_path():
    truths = [shifted(RigidTransform.identity(), [x, 0, 0]) for x in (0, 1, 3, 2)]
    np.testing.assert_allclose(travelled_distances(truths), [0, 1, 3, 4])
    assert travelled_distances([]).shape == (0,)


def test_statistics():
    truths = curve()
    stamps = [i * SECOND // 10 for i in range(len(truths))]
    estimates = [shifted(pose, [0.3, 0.0, 0.4]) for pose in truths]
    estimates[7] = None
    figures = trajectory_statistics(stamps, estimates, truths)
    assert figures['poses'] == 49
    assert figures['path_length_m'] == pytest.approx(travelled_distances(truths)[-1])
    assert figures['ate']['none'] == pytest.approx({'rmse_m': 0.5, 'median_m': 0.5})
    assert figures['ate']['se3']['rmse_m'] < 1e-9
    assert figures['ate']['sim3']['scale'] == pytest.approx(1.0)
    # From all but the last second, but not from or to the failed one.
    assert figures['rpe_time']['delta_s'] == 1.0
    assert figures['rpe_time']['pairs'] >= 39
    assert figures['rpe_time']['position_rmse_m'] < 1e-9
    assert figures['rpe_distance']['delta_m'] == pytest.approx(figures['path_length_m'] / 10)


def test_root_mean_square_and_median_differ():
    truths = curve(4)
    estimates = [shifted(pose, [e, 0, 0]) for pose, e in zip(truths, (0, 0, 0, 2), strict=True)]
    figures = trajectory_statistics([0, 1, 2, 3], estimates, truths)
    assert figures['ate']['none'] == pytest.approx({'rmse_m': 1.0, 'median_m': 0.0})


@pytest.mark.parametrize('count', [0, 1, 2])
def test_too_few_poses_are_none_not_crashes(count):
    truths = curve(5)
    estimates = [*truths[:count], *[None] * (5 - count)]
    figures = trajectory_statistics(list(range(5)), estimates, truths)
    assert figures['poses'] == count
    assert figures['ate']['se3'] is None
    assert (figures['ate']['none'] is None) == (count == 0)
    json.dumps(figures, allow_nan=False)


def test_no_images():
    assert trajectory_statistics([], [], [])['ate']['none'] is None
