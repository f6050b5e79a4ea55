# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses that somebody gives: what is taken, what is refused, and when two are the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform, exp_so3
from relloc_ros.given_pose import agree_on_plane, diagonal_copy, read_given_pose
from relloc_ros.structures import PoseEstimate


def diagonal(*values: float) -> list[float]:
    """A covariance as messages have it."""
    return [float(value) for value in np.diag(values).ravel()]


RVIZ = diagonal(0.25, 0.25, 0.0, 0.0, 0.0, 0.0685)


def message(
    covariance: list[float],
    frame_id: str = 'map',
    quat_xyzw: tuple[float, ...] = (0.0, 0.0, 0.6, 0.8),
) -> Any:
    """A geometry_msgs/PoseWithCovarianceStamped."""
    position = SimpleNamespace(x=1.0, y=2.0, z=0.0)
    orientation = SimpleNamespace(**dict(zip('xyzw', quat_xyzw, strict=True)))
    pose = SimpleNamespace(position=position, orientation=orientation)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=frame_id),
        pose=SimpleNamespace(pose=pose, covariance=covariance),
    )


def test_what_rviz_leaves_open_gets_a_default() -> None:
    pose = read_given_pose(message(RVIZ, '/map'), 'map')
    np.testing.assert_allclose(pose.map_from_body.translation, [1.0, 2.0, 0.0])
    np.testing.assert_allclose(pose.map_from_body.quat_xyzw, [0.0, 0.0, 0.6, 0.8])
    tilt = np.radians(15.0) ** 2
    np.testing.assert_allclose(
        np.diag(pose.covariance), [0.25, 0.25, 0.25, tilt, tilt, 0.0685], rtol=1e-6
    )


def test_all_zero_is_not_perfect() -> None:
    variances = np.diag(read_given_pose(message([0.0] * 36), 'map').covariance)
    np.testing.assert_allclose(np.sqrt(variances), [0.5] * 3 + [np.radians(15.0)] * 3)


def test_a_full_covariance_is_kept() -> None:
    root = np.random.default_rng(0).standard_normal((6, 6))
    covariance = root @ root.T + np.eye(6)
    pose = read_given_pose(message(covariance.ravel().tolist()), 'map')
    np.testing.assert_allclose(pose.covariance, covariance)


@pytest.mark.parametrize(
    ('bad', 'named'),
    [
        (message(RVIZ, 'odom'), "'odom'"),
        (message(RVIZ, ''), "''"),
        (message(RVIZ, quat_xyzw=(0.0, 0.0, 0.0, 0.0)), 'length 0'),
        (message(RVIZ, quat_xyzw=(0.0, 0.0, 1.0, 1.0)), 'length 1.4'),
        (message(RVIZ, quat_xyzw=(0.0, 0.0, float('nan'), 1.0)), 'not finite'),
        (message(diagonal(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0)), 'not positive'),
        (message(diagonal(float('nan'), 1.0, 1.0, 1.0, 1.0, 1.0)), 'not finite'),
        (message(diagonal(1e10, 1.0, 1.0, 1.0, 1.0, 1.0)), '1e9'),
        (message([1.0] * 6 + [0.0] * 30), 'not symmetric'),
        (message([1.0, 5.0, 0.0, 0.0, 0.0, 0.0, 5.0] + [0.0] * 29), 'not positive'),
    ],
)
def test_refused_with_the_reason(bad: Any, named: str) -> None:
    with pytest.raises(DataError) as caught:
        read_given_pose(bad, 'map')
    assert named in str(caught.value)


def test_diagonal_copy_has_nothing_that_nav2_refuses() -> None:
    root = np.random.default_rng(1).standard_normal((6, 6))
    covariance = root @ root.T
    covariance[0, 0] = 1e12
    copy = diagonal_copy(PoseEstimate(RigidTransform.identity(), covariance))
    assert ((copy.covariance >= 0.0) & (copy.covariance <= 1e9)).all()
    np.testing.assert_array_equal(copy.covariance, np.diag(np.diag(copy.covariance)))
    np.testing.assert_allclose(np.diag(copy.covariance)[1:], np.diag(covariance)[1:])


def at(x: float, degrees: float, z: float = 0.0, roll: float = 0.0) -> RigidTransform:
    """A robot."""
    heading: Array = exp_so3(np.array([0.0, 0.0, np.radians(degrees)]))
    return RigidTransform(heading @ exp_so3(np.array([roll, 0.0, 0.0])), np.array([x, 1.0, z]))


@pytest.mark.parametrize(
    ('other', 'same'),
    [
        (at(0.0, 170.0), True),
        (at(0.4, -170.0, z=2.0, roll=0.2), True),
        (at(0.6, 170.0), False),
        (at(0.0, -155.0), False),
        (at(0.0, 135.0), False),
    ],
)
def test_agreement_on_the_plane(other: RigidTransform, same: bool) -> None:
    assert agree_on_plane(at(0.0, 170.0), other) == same
    assert agree_on_plane(other, at(0.0, 170.0)) == same
