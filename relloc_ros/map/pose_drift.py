# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The similarity by which a group of poses has drifted from where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from relloc_ros.geometry import Array, RigidTransform, exp_so3

__all__ = ['Similarity', 'drift']

OUTLIER_STDS = 3.0
"""Residuals beyond this many standard deviations count little."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """``x_new = scale * rotation @ x_old + translation``.

    Attributes:
        scale: positive.
        rotation: (3, 3).
        translation: (3,).
    """

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Move points (N, 3)."""
        return self.scale * points @ self.rotation.T + self.translation

    def move_camera(self, cam_from_map: RigidTransform) -> RigidTransform:
        """Move a camera with the points that it sees."""
        rotation = cam_from_map.rotation @ self.rotation.T
        centre = self.apply(cam_from_map.inverse().translation[None])[0]
        return RigidTransform(rotation, -rotation @ centre)


def drift(
    moved: Sequence[RigidTransform],
    expected: Sequence[RigidTransform],
    position_std: float,
    rotation_std: float,
) -> Similarity:
    """Find what brings moved cameras back to where they are expected, in the middle of them.

    Robust: cameras that were badly wrong before say little. Rotations count as well, so that
    cameras on one line are not free to turn about it.

    Args:
        moved: cam_from_map.
        expected: cam_from_map of the same cameras.
        position_std: of the expected positions along each axis, map units.
        rotation_std: of the expected rotations about each axis, radians.
    """
    sources = np.array([pose.inverse().translation for pose in moved])
    targets = np.array([pose.inverse().translation for pose in expected])
    turns = Rotation.from_matrix(
        np.array([e.rotation.T @ m.rotation for e, m in zip(expected, moved, strict=True)])
    )
    middle = sources.mean(axis=0)

    def residuals(numbers: Array) -> Array:
        placed = np.exp(numbers[6]) * (sources - middle) @ exp_so3(numbers[:3]).T
        offsets = (placed + middle + numbers[3:6] - targets) / position_std
        angles = (turns * Rotation.from_rotvec(-numbers[:3])).as_rotvec() / rotation_std
        return np.concatenate([offsets.ravel(), angles.ravel()])

    found = least_squares(
        residuals, np.zeros(7), loss='soft_l1', f_scale=OUTLIER_STDS, x_scale='jac'
    ).x
    scale, rotation = float(np.exp(found[6])), exp_so3(found[:3])
    return Similarity(scale, rotation, middle + found[3:6] - scale * rotation @ middle)
