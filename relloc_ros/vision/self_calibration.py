# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What points of known position say about the camera that sees them, beside its pose.

A wrong focal length or principal point moves the pose until the points fit again, and they nearly
do. But not quite: pose and camera are refined together, and how far the camera is from what its
calibration says comes out with a covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, exp_so3, log_so3
from relloc_ros.structures import CameraDeviation
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose

__all__ = ['estimate_deviation']

SCALES_PX = (12.0, 6.0, 3.0, 1.0, 1.0)
"""Of the Cauchy loss, one for each step: many points that fit the right camera are far from where
the wrong one has them."""
FAR = 12.0
"""Points with residuals of so many scales count for nothing."""
PRIOR_STD = 0.5
"""Of each deviation before anything was seen, wide enough to matter only where the points leave
something of the camera open: before one plane, which would let it run away."""
BOLD, CAREFUL = (0.0,), (0.0, 0.01, 0.1, 1.0, 10.0)
"""Dampings, by Levenberg and Marquardt. Bold steps find what is far off, and now and then lose all
points."""
KEPT_SHARE = 0.6
"""Of the points that fit, a refinement that converges keeps so many."""
ZOOMS = (0.5, 2.0)
MIN_RECIPROCAL_CONDITION = 1e-10
VARIANCE_FLOOR_PX = 0.1
NUM_POSE = 6
NUM_CAMERA = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Points as an image has them.

    Attributes:
        points2D: (K, 2) normalized.
        points3D: (K, 3) in the map.
        focal_length: as calibrated, pixels.
        threshold_px: largest residual of a point that fits.
        num_images: map images the points come from.
        basis: (6, 2 K) by which the deviations of the camera move x and then y of the points.
    """

    points2D: Array
    points3D: Array
    focal_length: float
    threshold_px: float
    num_images: int
    basis: Array

    def residuals(self, pose: RigidTransform, values: Array) -> tuple[Array, Array]:
        """Residuals (K, 2), pixels, and derivatives (12, 2 K) of x and then y of them."""
        moved = self.points2D + (values @ self.basis).reshape(2, -1).T
        residuals, by_pose = absolute_residuals(pose, moved, self.points3D, self.focal_length)
        by_camera = -self.focal_length * self.basis
        return residuals, np.concatenate([by_pose.T.reshape(NUM_POSE, -1), by_camera])

    def refine(
        self, pose: RigidTransform, values: Array, dampings: Sequence[float]
    ) -> tuple[RigidTransform, Array] | None:
        """Take the steps; None where the points leave the pose open.

        Args:
            pose: to start from.
            values: to start from.
            dampings: of each step, until the cost is less.
        """
        prior = _prior(max(self.points2D.size / self.num_images, 1.0))
        residuals, rows = self.residuals(pose, values)
        for scale in SCALES_PX:
            squares = (residuals**2).sum(axis=1) / scale**2
            weights = np.where(squares < FAR**2, 1.0 / (1.0 + squares), 0.0)
            weighted = rows * np.tile(weights, 2)
            information = weighted @ rows.T + np.diag(prior)
            slope = weighted @ residuals.T.ravel() + prior * np.append(np.zeros(NUM_POSE), values)
            cost = _cost(residuals / scale)
            for damping in dampings:
                inverse = _inverse(information + damping * np.diag(np.diag(information)))
                if inverse is None:
                    return None
                step = -inverse @ slope
                rotation = exp_so3(step[3:NUM_POSE]) @ pose.rotation
                moved = RigidTransform(rotation, pose.translation + step[:3])
                there = self.residuals(moved, values + step[NUM_POSE:])
                if _cost(there[0] / scale) <= cost:
                    break
            pose, values, (residuals, rows) = moved, values + step[NUM_POSE:], there
        return pose, values

    def search(self, map_from_cam: RigidTransform) -> tuple[RigidTransform, Array] | None:
        """Refine with care, also from half and twice the focal length; where most points fit."""
        starts = [(map_from_cam, 1.0)]
        for zoom in ZOOMS:
            pose, _ = estimate_absolute_pose(
                zoom * self.points2D,
                self.points3D,
                self.focal_length,
                threshold_px=zoom * self.threshold_px,
                seed=0,
            )
            starts.append((pose, zoom))
        rest = np.zeros(NUM_CAMERA - 1)
        found = [self.refine(pose, np.append(zoom - 1.0, rest), CAREFUL) for pose, zoom in starts]
        return max(
            (each for each in found if each), key=lambda each: self.num_fit(*each), default=None
        )

    def num_fit(self, pose: RigidTransform, values: Array) -> int:
        """Count the points that fit; errors of keypoints grow with the focal length, too."""
        residuals, _ = self.residuals(pose, values)
        return int(np.count_nonzero(self.fits(residuals / max(1.0 + values[0], 0.1))))

    def fits(self, residuals: Array) -> NDArray[np.bool_]:
        """Tell which residuals (K, 2) are small enough."""
        fits: NDArray[np.bool_] = np.linalg.norm(residuals, axis=1) <= self.threshold_px
        return fits


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

    Where that loses most of the points that fit before, it is done again with care, also from half
    and twice the focal length.

    Args:
        map_from_cam: pose found with the camera as calibrated.
        points2D: (K, 2) normalized query points, undistorted; rows with NaN are left out.
        points3D: (K, 3) points in the map.
        focal_length: as calibrated, pixels.
        threshold_px: largest residual of a point that fits.
        num_images: map images the points come from; the residuals of each share its errors, as in
            `covariance.pose_covariance`.

    Returns:
        None where the points are few, leave the pose open, or fit no camera.
    """
    usable = np.isfinite(points2D).all(axis=1)
    points2D, points3D = points2D[usable], points3D[usable]
    if len(points2D) <= NUM_POSE:
        return None
    basis = _deviations(points2D)
    seen = _Seen(points2D, points3D, focal_length, threshold_px, max(num_images, 1), basis)
    as_calibrated = np.zeros(NUM_CAMERA)
    before, _ = seen.residuals(map_from_cam, as_calibrated)
    num_before = int(np.count_nonzero(seen.fits(before)))
    found = seen.refine(map_from_cam, as_calibrated, BOLD)
    if found is None or seen.num_fit(*found) < KEPT_SHARE * num_before:
        found = seen.search(map_from_cam)
    if found is None:
        return None
    pose, values = found
    after, rows = seen.residuals(pose, values)
    fits = seen.fits(after)
    covariance = _covariance(after[fits].T.ravel(), rows[:, np.tile(fits, 2)], seen.num_images)
    if covariance is None:
        return None
    gain = 1.0 - _cost(after) / max(_cost(before), 1e-9)
    turned = log_so3(pose.rotation @ map_from_cam.rotation.T)
    shift = np.concatenate([pose.translation - map_from_cam.translation, turned])
    of_values = covariance[NUM_POSE:, NUM_POSE:]
    by_values = np.asarray(np.linalg.solve(of_values, covariance[NUM_POSE:, :NUM_POSE]).T)
    return CameraDeviation(
        values,
        of_values,
        int(fits.sum()),
        gain,
        shift,
        by_values,
        num_seen=len(points2D),
        num_agreeing=num_before,
    )


def _deviations(points2D: Array) -> Array:
    """By which each deviation of the camera moves x and then y of points (K, 2): (6, 2 K)."""
    x, y = points2D.T
    zero, one, squares = np.zeros_like(x), np.ones_like(x), x**2 + y**2
    pairs = [(x, y), (x, -y), (one, zero), (zero, one), (y, x), (squares * x, squares * y)]
    return np.array(pairs).reshape(len(pairs), -1)


def _prior(variance: float) -> Array:
    """Information (12,) that is there without points, in units of one residual's."""
    return np.repeat([0.0, variance / PRIOR_STD**2], [NUM_POSE, NUM_CAMERA])


def _covariance(residuals: Array, rows: Array, num_images: int) -> Array | None:
    """Covariance (12, 12) of pose and camera."""
    if len(residuals) <= len(rows):
        return None
    weights = 1.0 / (1.0 + residuals**2)
    variance = float((weights * residuals**2).sum() / weights.sum())
    variance = max(variance, VARIANCE_FLOOR_PX**2) * max(residuals.size / num_images, 1.0)
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
