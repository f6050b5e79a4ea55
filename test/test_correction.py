# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corrections of map <- odom, and poses on the plane."""

from __future__ import annotations

import numpy as np
import pytest

from relloc_ros.correction import Correction, planar_pose
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.structures import PoseEstimate


def pose(x: float, y: float, heading: float) -> RigidTransform:
    return RigidTransform(exp_so3(np.array([0.0, 0.0, heading])), np.array([x, y, 0.0]))


FAR_FROM_ODOM_ORIGIN = pose(80.0, -20.0, 1.0)


def test_nothing_before_the_first_fix() -> None:
    assert Correction().advance(1.0) is None


@pytest.mark.parametrize('limits', [(0.0, 0.0), (0.1, 0.1)])
def test_the_first_fix_is_followed_at_once(limits: tuple[float, float]) -> None:
    correction = Correction(*limits)
    correction.set_fix(pose(3.0, 4.0, 0.5), FAR_FROM_ODOM_ORIGIN, jump=False)
    map_from_odom = correction.advance(0.0)
    assert map_from_odom is not None
    assert pose_error(map_from_odom @ FAR_FROM_ODOM_ORIGIN, pose(3.0, 4.0, 0.5))[0] < 1e-9


def test_without_limits_every_fix_is_followed_at_once() -> None:
    correction = Correction()
    for x in (1.0, 2.0):
        correction.set_fix(pose(x, 0.0, x), FAR_FROM_ODOM_ORIGIN, jump=False)
        map_from_odom = correction.advance(0.0)
        assert map_from_odom is not None
        assert pose_error(map_from_odom @ FAR_FROM_ODOM_ORIGIN, pose(x, 0.0, x))[0] < 1e-9


def test_limits_hold_for_the_robot_wherever_the_origin_of_odometry_is() -> None:
    correction = Correction(speed=0.2, turn_rate=0.1)
    correction.set_fix(pose(0.0, 0.0, 0.0), FAR_FROM_ODOM_ORIGIN, jump=False)
    correction.set_fix(pose(0.3, 0.4, 0.05), FAR_FROM_ODOM_ORIGIN, jump=False)
    robot = pose(0.0, 0.0, 0.0)
    steps = 0
    while pose_error(robot, pose(0.3, 0.4, 0.05))[0] > 1e-9:
        map_from_odom = correction.advance(0.1)
        assert map_from_odom is not None
        moved = map_from_odom @ FAR_FROM_ODOM_ORIGIN
        distance, angle = pose_error(robot, moved)
        assert distance <= 0.02 + 1e-9
        assert np.deg2rad(angle) <= 0.01 + 1e-9
        robot, steps = moved, steps + 1
    # 0.5 m at 0.2 m/s.
    assert steps == 25


def test_a_jump_is_followed_at_once_in_spite_of_limits() -> None:
    correction = Correction(speed=0.01, turn_rate=0.01)
    correction.set_fix(pose(0.0, 0.0, 0.0), FAR_FROM_ODOM_ORIGIN, jump=False)
    correction.set_fix(pose(5.0, 0.0, 3.0), FAR_FROM_ODOM_ORIGIN, jump=True)
    map_from_odom = correction.advance(0.0)
    assert map_from_odom is not None
    assert pose_error(map_from_odom @ FAR_FROM_ODOM_ORIGIN, pose(5.0, 0.0, 3.0))[0] < 1e-9


def test_plane_keeps_place_and_heading_and_their_covariance() -> None:
    tilted = pose(1.0, 2.0, 0.7) @ RigidTransform(exp_so3(np.array([0.1, 0.05, 0.0])), np.zeros(3))
    lifted = RigidTransform(tilted.rotation, tilted.translation + np.array([0.0, 0.0, 0.3]))
    root = np.random.default_rng(3).normal(size=(6, 6))
    covariance = root @ root.T
    planar = planar_pose(PoseEstimate(lifted, covariance))
    assert planar.map_from_body.translation.tolist() == [1.0, 2.0, 0.0]
    assert np.allclose(planar.map_from_body.rotation[2], [0.0, 0.0, 1.0])
    x_axis_before, x_axis_after = lifted.rotation[:2, 0], planar.map_from_body.rotation[:2, 0]
    (a, b), (c, d) = x_axis_before, x_axis_after
    assert a * d - b * c == pytest.approx(0.0, abs=1e-12)
    free = np.ix_([0, 1, 5], [0, 1, 5])
    assert np.array_equal(planar.covariance[free], covariance[free])
    assert np.linalg.eigvalsh(planar.covariance)[0] > 0.0
    assert not planar.covariance[np.ix_([2, 3, 4], [0, 1, 5])].any()


def test_plane_refuses_what_cannot_stand_on_it() -> None:
    lying = RigidTransform(exp_so3(np.array([1.5, 0.0, 0.0])), np.zeros(3))
    with pytest.raises(DataError, match='tilted by 86 deg'):
        planar_pose(PoseEstimate(lying, np.eye(6)))
