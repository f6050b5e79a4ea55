# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose from whole relative poses to posed images: each gives a pose by itself.

The one that most others agree with is taken, and the mean of these. Unlike essential matrices this
needs no two directions that meet, but the lengths of the translations count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, mean_rotation
from relloc_ros.vision.pose_from_pairs import PairsPose

__all__ = ['estimate_pose_from_relative_poses']

OUTLIER_RATIO = 3.0
"""A position further off than so many times the median distance of those with the same rotation
is an outlier."""
LEAST_SPREAD = 0.02
"""Standard deviation of a position, in distances to the map images, at least."""
LEAST_ANGLE = np.deg2rad(1.0)


def estimate_pose_from_relative_poses(
    cams_from_ref: Sequence[RigidTransform],
    maps_from_ref: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform],
    *,
    max_angle: float,
) -> PairsPose | None:
    """Find the pose most pairs agree with.

    Args:
        cams_from_ref: P relative poses, in the map's units.
        maps_from_ref: poses of the P map images.
        bodies_from_cam: where the camera of each pair sits on the body whose pose is sought.
        max_angle: radians between the rotations of pairs that agree.

    Returns:
        None when no two agree. The covariance is the spread of the pairs that do, which is that
        of one pair: what is learned errs alike on images that look alike.
    """
    if len(cams_from_ref) < 2:
        return None
    poses = [
        map_from_ref @ cam_from_ref.inverse() @ body_from_cam.inverse()
        for cam_from_ref, map_from_ref, body_from_cam in zip(
            cams_from_ref, maps_from_ref, bodies_from_cam, strict=True
        )
    ]
    rotations = np.array([pose.rotation for pose in poses])
    centres = np.array([pose.translation for pose in poses])
    inliers = _agreeing(rotations, centres, max_angle)
    if inliers.sum() < 2:
        return None
    pose = RigidTransform(mean_rotation(rotations[inliers]), centres[inliers].mean(axis=0))
    sources = np.array([pose.translation for pose in maps_from_ref])
    covariance = _covariance(pose, rotations[inliers], centres[inliers], sources[inliers])
    return PairsPose(pose, inliers, covariance)


def _agreeing(rotations: Array, centres: Array, max_angle: float) -> NDArray[np.bool_]:
    """Give the poses (P,) that agree with the one that most agree with."""
    angles = _angles(rotations[:, None], rotations[None])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    alike = angles <= max_angle
    spread = np.array([np.median(row[near]) for row, near in zip(distances, alike, strict=True)])
    best = int(np.lexsort((spread, -alike.sum(axis=1)))[0])
    others = alike[best].copy()
    others[best] = False
    if not others.any():
        return alike[best]
    limit = OUTLIER_RATIO * float(np.median(distances[best][others]))
    return np.asarray(alike[best] & (distances[best] <= limit))


def _angles(first: Array, second: Array) -> Array:
    traces = np.einsum('...ij,...ij->...', first, second)
    return np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0))


def _covariance(pose: RigidTransform, rotations: Array, centres: Array, sources: Array) -> Array:
    offsets = centres - pose.translation
    degrees_of_freedom = len(centres) - 1
    distance = float(np.median(np.linalg.norm(sources - pose.translation, axis=1)))
    least = LEAST_SPREAD * max(distance, 1e-9)
    angles = _angles(rotations, pose.rotation)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = offsets.T @ offsets / degrees_of_freedom + np.eye(3) * least**2
    # A rotation has three errors.
    variance = float((angles**2).sum()) / (3 * degrees_of_freedom) + LEAST_ANGLE**2
    covariance[3:, 3:] = np.eye(3) * variance
    return covariance
