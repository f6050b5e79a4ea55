# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a pose is from where odometry expects it, measured by what both may be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.config import TrackingConfig
from relloc_ros.geometry import RigidTransform, log_so3, skew
from relloc_ros.odometer import Drift
from relloc_ros.structures import PoseEstimate

__all__ = ['Distance', 'mahalanobis_squared', 'moved_pose', 'odometry_std', 'position_std']


@dataclass(frozen=True, slots=True)
class Distance:
    """Between an expected and a measured pose.

    Attributes:
        squared: squared Mahalanobis distance, chi-squared with 6 degrees of freedom if both poses
            are what they say.
        metres: between the positions.
        degrees: between the rotations.
    """

    squared: float
    metres: float
    degrees: float

    def __str__(self) -> str:
        """Say it in metres and degrees."""
        return f'{self.metres:.2f} m and {self.degrees:.0f} deg'


def moved_pose(
    pose: PoseEstimate, motion: RigidTransform, drift: Drift, config: TrackingConfig
) -> PoseEstimate:
    """Move a pose along by odometry.

    Args:
        pose: map_from_base then.
        motion: base then from base now.
        drift: the way in between.
        config: noise of odometry.

    Returns:
        map_from_base now; its covariance has grown by the lever arm and by the drift.
    """
    moved = pose.map_from_body @ motion
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -skew(moved.translation - pose.map_from_body.translation)
    covariance = jacobian @ pose.covariance @ jacobian.T
    position_std, rotation_std = odometry_std(drift, config)
    noise = np.diag(np.repeat([position_std**2, rotation_std**2], 3))
    return PoseEstimate(moved, covariance + noise)


def odometry_std(drift: Drift, config: TrackingConfig) -> tuple[float, float]:
    """Say how unsure odometry is after a way.

    Args:
        drift: the way.
        config: noise of odometry.

    Returns:
        Standard deviations of the position in each direction, map units, and of the rotation about
        each axis, radians.
    """
    rotation = config.odometry_rotation_noise * drift.angle
    heading = config.odometry_heading_noise * drift.length
    return config.odometry_translation_noise * drift.length, rotation + heading


def mahalanobis_squared(
    expected: PoseEstimate, measured: PoseEstimate, config: TrackingConfig
) -> Distance:
    """Compare a measured pose with an expected one.

    Both are taken to be at least as unsure as `min_position_std` and `min_orientation_std`: errors
    that two images of the same place share are in no covariance.
    """
    before, now = expected.map_from_body, measured.map_from_body
    position = now.translation - before.translation
    rotation = log_so3(now.rotation @ before.rotation.T)
    floor = np.diag(np.repeat([config.min_position_std**2, config.min_orientation_std**2], 3))
    covariance = expected.covariance + measured.covariance + 2.0 * floor
    innovation = np.concatenate([position, rotation])
    squared = float(innovation @ np.linalg.solve(covariance, innovation))
    metres = float(np.linalg.norm(position))
    return Distance(squared, metres, float(np.rad2deg(np.linalg.norm(rotation))))


def position_std(pose: PoseEstimate) -> float:
    """Give the standard deviation of the position along its least sure axis."""
    return float(np.sqrt(np.linalg.eigvalsh(pose.covariance[:3, :3])[-1]))
