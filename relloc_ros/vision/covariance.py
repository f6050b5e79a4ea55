# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Covariance of a pose from the residuals of its refinement.

Order (position, rotation), errors along and about the map's axes: see `structures.PoseEstimate`.
"""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array

__all__ = ['pose_covariance', 'standard_deviations']

MIN_RECIPROCAL_CONDITION = 1e-12
VARIANCE_FLOOR_PX = 0.1
"""Keypoints are not located better than this, however well a few residuals agree."""


def pose_covariance(residuals: Array, jacobians: Array, num_images: int) -> Array | None:
    """Estimate (6, 6) from robustly weighted residuals.

    The residuals of one map image are not independent: they share the error of its pose, of the
    intrinsics and of the undistortion. They are counted as one per map image, not as one per
    keypoint: (J^T W J)^-1 times the residual variance times N / num_images.

    Args:
        residuals: (N,) pixels of the inliers.
        jacobians: (N, 6) their derivatives by the pose.
        num_images: map images they come from.

    Returns:
        None when the residuals leave a direction of the pose free.
    """
    weights = 1.0 / (1.0 + residuals**2)
    information = np.einsum('ni,n,nj->ij', jacobians, weights, jacobians)
    # Position and rotation have different units: judge the condition after scaling both to one.
    scale = np.sqrt(np.diag(information))
    if not np.isfinite(scale).all() or scale.min() <= 0.0:
        return None
    normalized = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(normalized)[0] < MIN_RECIPROCAL_CONDITION:
        return None
    variance = float((weights * residuals**2).sum() / weights.sum())
    variance = max(variance, VARIANCE_FLOOR_PX**2) * max(len(residuals) / num_images, 1.0)
    covariance = np.linalg.inv(normalized) / np.outer(scale, scale) * variance
    return 0.5 * (covariance + covariance.T)


def standard_deviations(covariance: Array) -> tuple[float, float]:
    """Largest standard deviation of the position (map units) and of the rotation (radians)."""
    position = float(np.linalg.eigvalsh(covariance[:3, :3])[-1])
    rotation = float(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
    return position**0.5, rotation**0.5
