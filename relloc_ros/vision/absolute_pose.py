# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The query's pose from 2D-3D matches: P3P LO-RANSAC with robust refinement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
import poselib

from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.vision.relative_pose import pinhole

__all__ = ['absolute_residuals', 'estimate_absolute_pose']

MAX_RANSAC_ITERATIONS = 2000
MIN_RANSAC_ITERATIONS = 100
LOSS_SCALE_PX = 1.0


def estimate_absolute_pose(
    points2D: Array,
    points3D: Array,
    focal_length: float,
    *,
    threshold_px: float,
    seed: int,
) -> tuple[RigidTransform, NDArray[np.bool_]]:
    """Estimate map_from_cam by P3P LO-RANSAC and Cauchy refinement (PoseLib).

    Args:
        points2D: (K, 2) normalized query points, undistorted; K at least 4.
        points3D: (K, 3) points in the map.
        focal_length: pixels; PoseLib's threshold is in pixels of this camera.
        threshold_px: largest reprojection error of an inlier.
        seed: of the RANSAC.

    Returns:
        The pose and its inliers (K,). PoseLib always answers: judge by the inliers.
    """
    ransac = {
        'max_reproj_error': threshold_px,
        'max_iterations': MAX_RANSAC_ITERATIONS,
        'min_iterations': MIN_RANSAC_ITERATIONS,
        'seed': seed,
    }
    refinement = {'loss_type': 'CAUCHY', 'loss_scale': LOSS_SCALE_PX}
    # About the points' own place: far from the map's origin P3P loses digits.
    map_from_local = RigidTransform(np.eye(3), points3D.mean(axis=0))
    local = points3D - map_from_local.translation
    pose, info = poselib.estimate_absolute_pose(
        points2D * focal_length, local, pinhole(focal_length), ransac, refinement
    )
    cam_from_local = RigidTransform(np.array(pose.R), np.array(pose.t))
    return map_from_local @ cam_from_local.inverse(), np.array(info['inliers'], dtype=bool)


def absolute_residuals(
    map_from_cam: RigidTransform, points2D: Array, points3D: Array, focal_length: float
) -> tuple[Array, Array]:
    """Reprojection residuals (K, 2) in pixels and their derivatives (K, 2, 6) by the pose.

    The pose moves as in `structures.PoseEstimate`: centre + dp, Exp(dtheta) @ rotation.
    """
    # Component by component: numpy is slow along short last axes, and on small matrices.
    offsets = (points3D - map_from_cam.translation).T
    cam_from_map = map_from_cam.rotation.T
    across, down, depth = cam_from_map @ offsets
    depth = np.where(np.abs(depth) > 1e-9, depth, 1e-9)
    projected = np.stack([across / depth, down / depth])
    residuals = (projected - points2D.T) * focal_length
    rows = cam_from_map[:2].T[:, :, None] - cam_from_map[2][:, None, None] * projected
    i, j, k = by_point = rows * (focal_length / depth)
    # x_cam = R^T (X - c) with R replaced by Exp(d) R: dx_cam/dd = R^T [X - c]x; a row times that
    # matrix is its cross product with X - c.
    x, y, z = offsets
    by_turn = np.stack([j * z - k * y, k * x - i * z, i * y - j * x])
    return residuals.T, np.concatenate([-by_point, by_turn]).T
