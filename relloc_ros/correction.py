# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a fix to map <- odom: at once, or little by little so that a controller feels no jump."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform, exp_so3, log_so3
from relloc_ros.structures import PoseEstimate

__all__ = ['Correction', 'planar_pose']

MAX_TILT = np.deg2rad(30.0)
PLANE_STD = 1e-3
"""Of height, roll and pitch (m, rad) where the plane gives them: an EKF wants no zeros."""


@dataclass(slots=True)
class Correction:
    """map <- odom, moved towards the last fix at limited speed.

    The limits hold for the robot, not for the origin of odometry, which may be far from it.

    Attributes:
        speed: of the robot, map units per second; 0 is at once.
        turn_rate: radians per second; 0 is at once.
    """

    speed: float = 0.0
    turn_rate: float = 0.0
    _target: RigidTransform | None = None
    _current: RigidTransform | None = None
    _odom_from_base: RigidTransform | None = None

    def set_fix(
        self, map_from_base: RigidTransform, odom_from_base: RigidTransform, *, jump: bool
    ) -> None:
        """Take a fix.

        Args:
            map_from_base: pose of the robot.
            odom_from_base: odometry at the same time.
            jump: follow at once, as after the first fix.
        """
        self._target = map_from_base @ odom_from_base.inverse()
        self._odom_from_base = odom_from_base
        if jump or self._current is None:
            self._current = self._target

    def advance(self, duration_s: float) -> RigidTransform | None:
        """Move on by a time and return map <- odom; None before the first fix."""
        if self._current is None or self._target is None or self._odom_from_base is None:
            return None
        current = self._current @ self._odom_from_base
        target = self._target @ self._odom_from_base
        step = target.translation - current.translation
        turn = log_so3(target.rotation @ current.rotation.T)
        fraction = min(
            _fraction(step, self.speed, duration_s), _fraction(turn, self.turn_rate, duration_s)
        )
        if fraction >= 1.0:
            self._current = self._target
        else:
            moved = RigidTransform(
                exp_so3(fraction * turn) @ current.rotation, current.translation + fraction * step
            )
            self._current = moved @ self._odom_from_base.inverse()
        return self._current


def _fraction(difference: Array, limit: float, duration_s: float) -> float:
    """Share of a difference that may be covered in a time."""
    size = float(np.linalg.norm(difference))
    if limit <= 0.0 or size <= limit * duration_s:
        return 1.0
    return limit * duration_s / size


def planar_pose(pose: PoseEstimate) -> PoseEstimate:
    """Put a pose onto the plane z = 0: the same x, y and heading, no roll, no pitch.

    The heading is that of the body's x axis seen from above. Height, roll and pitch are then
    given by the plane, with a small variance and without correlation to the others.

    Raises:
        DataError: the body is tilted so much that it cannot stand on this plane.
    """
    rotation = pose.map_from_body.rotation
    tilt = float(np.arccos(np.clip(rotation[2, 2], -1.0, 1.0)))
    if tilt > MAX_TILT:
        raise DataError(
            f'the robot would be tilted by {np.rad2deg(tilt):.0f} deg against the plane z = 0 of '
            'two_d_mode: check the transform from base to camera, and that z is up in the map'
        )
    heading = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
    x, y, _ = pose.map_from_body.translation
    planar = RigidTransform(exp_so3(np.array([0.0, 0.0, heading])), np.array([x, y, 0.0]))
    covariance = np.diag(np.full(6, PLANE_STD**2))
    free = np.ix_([0, 1, 5], [0, 1, 5])
    covariance[free] = pose.covariance[free]
    return replace(pose, map_from_body=planar, covariance=covariance)
