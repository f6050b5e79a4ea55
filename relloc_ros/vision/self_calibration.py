# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What points of known position say about the camera that sees them, beside its pose.

A wrong focal length or principal point moves the pose until the points fit again, and they nearly
do. But not quite: pose and camera are refined together, and how far the camera is from what its
calibration says comes out with a covariance.
"""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array, RigidTransform, exp_so3, log_so3
from relloc_ros.structures import CameraDeviation
from relloc_ros.vision.absolute_pose import absolute_residuals

__all__ = ['estimate_deviation']

SCALES_PX = (12.0, 6.0, 3.0, 1.0, 1.0)
"""Of the Cauchy loss, one for each step: many points that fit the right camera are far from where
the wrong one has them."""
FAR = 12.0
"""Points with residuals of so many scales count for nothing."""
PRIOR_STD = 0.5
"""Of each deviation before anything was seen, wide enough to matter only where the points leave
something of the camera open: before one plane, which would let it run away."""
MIN_RECIPROCAL_CONDITION = 1e-10
VARIANCE_FLOOR_PX = 0.1
NUM_POSE = 6
NUM_CAMERA = 6


def estimate_deviation(
    map_from_cam: RigidTransform,
    points2D: Array,
    points3D: Array,
    focal_length: float,
    *,
    threshold_px: float,
    num_images: int,
) -> CameraDeviation | None:
    """Refine pose and camera together, by Gauss-Newton steps of a shrinking Cauchy loss.

    Args:
        map_from_cam: pose found with the camera as calibrated.
        points2D: (K, 2) normalized query points, undistorted; rows with NaN are left out.
        points3D: (K, 3) points in the map.
        focal_length: as calibrated, pixels.
        threshold_px: largest residual of a point that fits.
        num_images: map images the points come from; the residuals of each share its errors, as in
            `covariance.pose_covariance`.

    Returns:
        None where the points leave the pose open, or fit no camera.
    """
    usable = np.isfinite(points2D).all(axis=1)
    points2D, points3D = points2D[usable], points3D[usable]
    basis = _deviations(points2D)
    by_camera = -focal_length * basis
    sharing = max(points2D.size / max(num_images, 1), 1.0)
    prior = _prior(sharing)
    pose, values = map_from_cam, np.zeros(NUM_CAMERA)
    before, _ = absolute_residuals(pose, points2D, points3D, focal_length)
    for scale in SCALES_PX:
        moved = points2D + (values @ basis).reshape(2, -1).T
        residuals, by_pose = absolute_residuals(pose, moved, points3D, focal_length)
        rows = _rows(by_pose, by_camera)
        squares = (residuals**2).sum(axis=1) / scale**2
        weights = np.where(squares < FAR**2, 1.0 / (1.0 + squares), 0.0)
        weighted = rows * np.tile(weights, 2)
        inverse = _inverse(weighted @ rows.T + np.diag(prior))
        if inverse is None:
            return None
        slope = weighted @ residuals.T.ravel() + prior * np.append(np.zeros(NUM_POSE), values)
        step = -inverse @ slope
        rotation = exp_so3(step[3:NUM_POSE]) @ pose.rotation
        pose = RigidTransform(rotation, pose.translation + step[:3])
        values = values + step[NUM_POSE:]
    moved = points2D + (values @ basis).reshape(2, -1).T
    after, by_pose = absolute_residuals(pose, moved, points3D, focal_length)
    fits = np.linalg.norm(after, axis=1) <= threshold_px
    rows = _rows(by_pose, by_camera)[:, np.tile(fits, 2)]
    covariance = _covariance(after[fits].T.ravel(), rows, num_images)
    if covariance is None:
        return None
    gain = 1.0 - _cost(after) / max(_cost(before), 1e-9)
    shift = np.concatenate(
        [
            pose.translation - map_from_cam.translation,
            log_so3(pose.rotation @ map_from_cam.rotation.T),
        ]
    )
    of_values = covariance[NUM_POSE:, NUM_POSE:]
    by_values = np.asarray(np.linalg.solve(of_values, covariance[NUM_POSE:, :NUM_POSE]).T)
    return CameraDeviation(values, of_values, int(fits.sum()), gain, shift, by_values)


def _deviations(points2D: Array) -> Array:
    """By which each deviation of the camera moves x and then y of points (K, 2): (6, 2 K)."""
    x, y = points2D.T
    zero, one, squares = np.zeros_like(x), np.ones_like(x), x**2 + y**2
    pairs = [(x, y), (x, -y), (one, zero), (zero, one), (y, x), (squares * x, squares * y)]
    return np.array(pairs).reshape(len(pairs), -1)


def _rows(by_pose: Array, by_camera: Array) -> Array:
    """Derivatives (12, 2 K) of the residuals along x and then y by pose and camera."""
    return np.concatenate([by_pose.T.reshape(NUM_POSE, -1), by_camera])


def _prior(variance: float) -> Array:
    """Information (12,) that is there without points, in units of one residual's."""
    return np.repeat([0.0, variance / PRIOR_STD**2], [NUM_POSE, NUM_CAMERA])


def _covariance(residuals: Array, rows: Array, num_images: int) -> Array | None:
    """Covariance (12, 12) of pose and camera."""
    if len(residuals) <= len(rows):
        return None
    weights = 1.0 / (1.0 + residuals**2)
    variance = float((weights * residuals**2).sum() / weights.sum())
    variance = max(variance, VARIANCE_FLOOR_PX**2) * max(residuals.size / max(num_images, 1), 1.0)
    inverse = _inverse((rows * weights) @ rows.T + np.diag(_prior(variance)))
    return None if inverse is None else inverse * variance


def _inverse(information: Array) -> Array | None:
    scale = np.sqrt(np.diag(information))
    if not np.isfinite(scale).all() or scale.min() <= 0.0:
        return None
    normalized = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(normalized)[0] < MIN_RECIPROCAL_CONDITION:
        return None
    inverse: Array = np.linalg.inv(normalized) / np.outer(scale, scale)
    return inverse


def _cost(residuals: Array) -> float:
    """Robust cost of all points, those that do not fit included."""
    squares = np.minimum((residuals**2).sum(axis=1), FAR**2)
    return float(np.log1p(squares).sum())
