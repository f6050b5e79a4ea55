# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Covariance of a pose from the residuals of its refinement.

Order (position, rotation), errors along and about the map's axes: see `structures.PoseEstimate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import Array

__all__ = ['ViewResiduals', 'fuse_views', 'pose_covariance', 'standard_deviations']

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
    inverse = _inverse(information)
    return None if inverse is None else inverse * _variance(residuals, num_images)


@dataclass(frozen=True, slots=True, eq=False)
class ViewResiduals:
    """Residuals of one image of a body, whose place on the body is not known exactly.

    Attributes:
        residuals: (N,) pixels of the inliers.
        jacobians: (N, 6) their derivatives by the pose of the body.
        place_covariance: (6, 6) of the pose of the body as the image's camera has it, as in
            `structures.PoseEstimate`.
    """

    residuals: Array
    jacobians: Array
    place_covariance: Array


def fuse_views(views: Sequence[ViewResiduals], num_images: int) -> tuple[Array, Array] | None:
    """Weigh images by how well their places on the body are known.

    All residuals of an image share the error of its place. With L the information of an image
    about its own camera and S the covariance of its place, it knows the body with the information
    (L^-1 + S)^-1 = (1 + L S)^-1 L, which exists where L is singular, too.

    Args:
        views: the images, with residuals at a pose near the best.
        num_images: as in `pose_covariance`.

    Returns:
        The step (6,) from that pose to the best, and the covariance (6, 6) there; None when the
        residuals leave a direction of the pose free.
    """
    variance = _variance(np.concatenate([view.residuals for view in views]), num_images)
    information, right = np.zeros((6, 6)), np.zeros(6)
    for view in views:
        weights = 1.0 / (1.0 + view.residuals**2)
        own = np.einsum('ni,n,nj->ij', view.jacobians, weights, view.jacobians) / variance
        gradient = view.jacobians.T @ (weights * view.residuals) / variance
        doubt = np.eye(6) + own @ view.place_covariance
        information += np.linalg.solve(doubt, own)
        right += np.linalg.solve(doubt, gradient)
    covariance = _inverse(0.5 * (information + information.T))
    return None if covariance is None else (-covariance @ right, covariance)


def _variance(residuals: Array, num_images: int) -> float:
    """Variance of a residual, increased as if there were only one for each map image."""
    weights = 1.0 / (1.0 + residuals**2)
    variance = float((weights * residuals**2).sum() / weights.sum())
    return max(variance, VARIANCE_FLOOR_PX**2) * max(len(residuals) / num_images, 1.0)


def _inverse(information: Array) -> Array | None:
    """Invert (6, 6), None if it is singular."""
    # Position and rotation have different units: judge the condition after scaling both to one.
    scale = np.sqrt(np.diag(information))
    if not np.isfinite(scale).all() or scale.min() <= 0.0:
        return None
    normalized = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(normalized)[0] < MIN_RECIPROCAL_CONDITION:
        return None
    covariance = np.linalg.inv(normalized) / np.outer(scale, scale)
    return 0.5 * (covariance + covariance.T)


def standard_deviations(covariance: Array) -> tuple[float, float]:
    """Largest standard deviation of the position (map units) and of the rotation (radians)."""
    position = float(np.linalg.eigvalsh(covariance[:3, :3])[-1])
    rotation = float(np.linalg.eigvalsh(covariance[3:, 3:])[-1])
    return position**0.5, rotation**0.5
