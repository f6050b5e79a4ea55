# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and covariances as lines and ellipsoids of a 3D scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform

__all__ = [
    'camera_size',
    'ellipsoids',
    'evenly',
    'frustum_lines',
    'neighbour_distance',
    'thin_out',
]


CHI2_95_OF_3 = 7.814727903251179
"""95 % quantile of the chi-squared distribution with three degrees of freedom."""

EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 2))
"""Corners of a frustum: apex, four of the image, and a tip above the upper two."""

CAMERA_SHARE = 0.045


def frustum_lines(map_from_cam: Sequence[RigidTransform], camera: Camera, size: float) -> Array:
    """Outline cameras: (N * 10, 2, 3) line segments in the map.

    Args:
        map_from_cam: N poses.
        camera: gives the shape.
        size: half the diagonal of the image rectangle, map units.
    """
    half = np.array([camera.width, camera.height]) / 2.0
    half *= size / np.linalg.norm(half)
    # No deeper than twice the size: a telephoto lens would be a needle.
    diagonal = float(np.hypot(camera.width, camera.height)) / 2.0
    depth = size * min(camera.mean_focal_length / diagonal, 2.0)
    x, y = half
    corners = np.array(
        [
            [0.0, 0.0, 0.0],
            [-x, -y, depth],
            [x, -y, depth],
            [x, y, depth],
            [-x, y, depth],
            [0.0, -1.5 * y, depth],
        ]
    )
    segments = corners[np.array(EDGES)]
    outlined = [pose.apply(segments.reshape(-1, 3)) for pose in map_from_cam]
    return np.array(outlined).reshape(-1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoids:
    """Unit spheres, stretched and turned.

    Attributes:
        quat_wxyz: (N, 4).
        half_axes: (N, 3) map units.
    """

    quat_wxyz: Array
    half_axes: Array


def ellipsoids(covariances: Sequence[Array]) -> Ellipsoids:
    """Give the ellipsoids that hold 95 % of the positions of (6, 6) or (3, 3) covariances."""
    quaternions = np.empty((len(covariances), 4))
    half_axes = np.empty((len(covariances), 3))
    for i, covariance in enumerate(covariances):
        variances, axes = np.linalg.eigh(covariance[:3, :3])
        axes[:, 0] *= np.sign(np.linalg.det(axes))
        quaternions[i] = RigidTransform(axes, np.zeros(3)).quat_wxyz
        half_axes[i] = np.sqrt(np.maximum(variances, 0.0) * CHI2_95_OF_3)
    return Ellipsoids(quaternions, half_axes)


def camera_size(centres: Array) -> float:
    """Size at which cameras with these centres (N, 3) are seen without hiding each other."""
    offsets = centres - np.median(centres, axis=0)
    extent = float(np.median(np.linalg.norm(offsets, axis=1)))
    return CAMERA_SHARE * extent if extent > 0.0 else 1.0


def thin_out(centres: Array, spacing: float) -> list[int]:
    """Choose cameras of a sequence that are this far from the one chosen before: indices."""
    chosen = [0]
    for index, centre in enumerate(centres):
        if np.linalg.norm(centre - centres[chosen[-1]]) >= spacing:
            chosen.append(index)
    return chosen


def neighbour_distance(centres: Array) -> float:
    """Median distance from a camera to the nearest other one: (N, 3) centres; 0 for one alone."""
    if len(centres) < 2:
        return 0.0
    distances, _ = cKDTree(centres).query(centres, k=2)
    return float(np.median(np.asarray(distances)[:, 1]))


def evenly(count: int, most: int) -> list[int]:
    """Choose at most so many of a sequence, evenly: indices, the first and the last included."""
    chosen = np.linspace(0, count - 1, min(count, most)) if count else np.empty(0)
    return [round(index) for index in chosen.tolist()]
