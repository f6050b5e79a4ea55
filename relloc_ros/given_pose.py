# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses that people and other localizers give and take: initialpose, in and out."""

from __future__ import annotations

from typing import Any

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.frames import transform_from_pose
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = ['agree_on_plane', 'diagonal_copy', 'read_given_pose']

DEFAULT_VARIANCES = np.repeat([0.5**2, np.radians(15.0) ** 2], 3)
"""Of what the sender leaves at zero. RViz gives x, y and yaw these, and says nothing of the rest:
who clicks does not know the height to the millimetre."""
LARGEST_VARIANCE = 1e9
"""Nav2 refuses a pose with a larger one."""
SYMMETRIC = 1e-6
AGREEING_DISTANCE = 0.5
AGREEING_ANGLE = np.radians(30.0)


def read_given_pose(message: Any, frame_id: str) -> PoseEstimate:
    """Read a geometry_msgs/PoseWithCovarianceStamped that somebody gives as a first guess.

    Variances of zero mean that the sender did not say: they become 0.5 m and 15 deg.

    Args:
        message: of this type, or with its attributes.
        frame_id: the map's frame.

    Raises:
        DataError: of another frame, or no pose and covariance at all.
    """
    given = message.header.frame_id.lstrip('/')
    if given != frame_id:
        raise DataError(f'its frame is {given!r}, the map is {frame_id!r}')
    covariance = np.array(message.pose.covariance, dtype=np.float64).reshape(6, 6)
    if not np.isfinite(covariance).all() or np.abs(covariance).max() > LARGEST_VARIANCE:
        raise DataError('its covariance has a number that is not finite or larger than 1e9')
    if not np.allclose(covariance, covariance.T, atol=SYMMETRIC):
        raise DataError('its covariance is not symmetric')
    silent = np.diag(covariance) == 0.0
    covariance += np.diag(np.where(silent, DEFAULT_VARIANCES, 0.0))
    if np.linalg.eigvalsh(covariance)[0] <= 0.0:
        raise DataError(f'its covariance, with diagonal {np.diag(covariance)}, is not positive')
    return PoseEstimate(transform_from_pose(message.pose.pose), covariance)


def diagonal_copy(pose: PoseEstimate) -> PoseEstimate:
    """Drop what Nav2 refuses in a covariance: negative elements, and any above 1e9."""
    variances = np.clip(np.diag(pose.covariance), 0.0, LARGEST_VARIANCE)
    return PoseEstimate(pose.map_from_body, np.diag(variances))


def agree_on_plane(first: RigidTransform, second: RigidTransform) -> bool:
    """Whether two poses are the same place, 0.5 m and 30 deg, for who knows x, y and yaw only."""
    distance = np.linalg.norm((first.translation - second.translation)[:2])
    turn = _heading(first.rotation) - _heading(second.rotation)
    turn = (turn + np.pi) % (2.0 * np.pi) - np.pi
    return bool(distance <= AGREEING_DISTANCE and abs(turn) <= AGREEING_ANGLE)


def _heading(rotation: Array) -> float:
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))
