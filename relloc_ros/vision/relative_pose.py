# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Essential matrices of the query and one map image.

Convention: ``x_query^T E x_map = 0`` for normalized points, ``E = [t]x R`` with
``x_query ~ R x_map + t``. A pair estimator may give E alone, without matches: what follows needs
nothing else, so that regressed matrices are as good as measured ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import poselib

from relloc_ros.geometry import Array, RigidTransform, nearest_rotation, skew

__all__ = [
    'PAIR_ESTIMATORS',
    'MatchedPoints',
    'PairGeometry',
    'camera_pose',
    'decompose_essential',
    'estimate_essential_5pt',
    'has_baseline',
    'in_front',
    'pinhole',
    'sampson_errors',
]

MIN_INLIERS = 15
"""RANSAC always finds some matches that agree with its five: 8 to 14 of 50 to 150 wrong ones."""
MIN_INLIER_RATIO = 0.15
MAX_RANSAC_ITERATIONS = 1000
MIN_RANSAC_ITERATIONS = 50
MIN_BASELINE_FRACTION = 0.2
"""A pair where more than 80 % of the inliers move as under pure rotation has no baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchedPoints:
    """Putative matches of the query with one map image, normalized and undistorted.

    Attributes:
        query: (N, 2) float64.
        reference: (N, 2) float64, in the map image.
        query_focal_length: pixels.
        reference_focal_length: pixels.
    """

    query: Array
    reference: Array
    query_focal_length: float
    reference_focal_length: float

    def select(self, mask: NDArray[np.bool_]) -> MatchedPoints:
        """Return the matches a mask (N,) names."""
        return MatchedPoints(
            self.query[mask],
            self.reference[mask],
            self.query_focal_length,
            self.reference_focal_length,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PairGeometry:
    """Relative geometry of the query and one map image.

    Attributes:
        essential: (3, 3), scale and sign free.
        inliers: (N,) bool over the matches it was estimated from; None when it was regressed.
        has_baseline: False when the images differ by a rotation only: the translation direction
            then means nothing.
    """

    essential: Array
    inliers: NDArray[np.bool_] | None = None
    has_baseline: bool = True


def estimate_essential_5pt(
    matches: MatchedPoints,
    *,
    threshold_px: float,
    seed: int,
    max_iterations: int = MAX_RANSAC_ITERATIONS,
) -> PairGeometry | None:
    """5-point LO-RANSAC (PoseLib); None when no more matches agree than would by chance."""
    if len(matches.query) < MIN_INLIERS:
        return None
    query_camera = pinhole(matches.query_focal_length)
    reference_camera = pinhole(matches.reference_focal_length)
    ransac = {
        'max_epipolar_error': threshold_px,
        'max_iterations': max_iterations,
        'min_iterations': MIN_RANSAC_ITERATIONS,
        'seed': seed,
    }
    pose, info = poselib.estimate_relative_pose(
        matches.reference * matches.reference_focal_length,
        matches.query * matches.query_focal_length,
        reference_camera,
        query_camera,
        ransac,
    )
    inliers = np.array(info['inliers'], dtype=bool)
    if inliers.sum() < max(MIN_INLIERS, MIN_INLIER_RATIO * len(inliers)):
        return None
    rotation = np.array(pose.R)
    essential = skew(np.array(pose.t)) @ rotation
    return PairGeometry(essential, inliers, has_baseline(matches, inliers, rotation, threshold_px))


PAIR_ESTIMATORS = {'sift_5pt': estimate_essential_5pt, 'nc_5pt': estimate_essential_5pt}
"""Pair estimators that take matches, by the name used in the configuration."""


def has_baseline(
    matches: MatchedPoints,
    inliers: NDArray[np.bool_],
    rotation: Array,
    threshold_px: float,
) -> bool:
    """Tell whether the inliers show parallax beyond a rotation.

    The rotation of a 5-point solution is unsteady without a baseline, so the rotation that aligns
    the rays best (Kabsch) is tried beside it.
    """
    query = _unit_rays(matches.query[inliers])
    reference = _unit_rays(matches.reference[inliers])
    aligned = nearest_rotation(query.T @ reference)
    # The epipolar threshold bounds one coordinate, a rotation must explain two.
    limit = 2.0 * threshold_px / matches.query_focal_length
    fractions = [
        np.mean(np.linalg.norm(reference @ candidate.T - query, axis=1) > limit)
        for candidate in (rotation, aligned)
    ]
    return bool(min(fractions) > MIN_BASELINE_FRACTION)


def decompose_essential(essential: Array) -> tuple[Array, Array]:
    """Return both rotations (2, 3, 3) and the unit translation (3,), whose sign is free.

    The rotations differ by 180 degrees about the baseline (Hartley and Zisserman, 9.6.2).
    """
    u, _, vt = np.linalg.svd(essential)
    w = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rotations = np.stack([u @ w @ vt, u @ w.T @ vt])
    rotations *= np.sign(np.linalg.det(rotations))[:, None, None]
    return rotations, u[:, 2]


def sampson_errors(essential: Array, matches: MatchedPoints) -> Array:
    """Signed Sampson errors (N,) in query pixels."""
    query = np.column_stack([matches.query, np.ones(len(matches.query))])
    reference = np.column_stack([matches.reference, np.ones(len(matches.reference))])
    query_lines = reference @ essential.T
    reference_lines = query @ essential
    # Gradient per pixel of each image, so that both cameras' focal lengths count.
    gradient = (query_lines[:, :2] ** 2).sum(axis=1) / matches.query_focal_length**2
    gradient += (reference_lines[:, :2] ** 2).sum(axis=1) / matches.reference_focal_length**2
    errors: Array = np.einsum('ni,ni->n', query, query_lines) / np.sqrt(
        np.maximum(gradient, 1e-300)
    )
    return errors


def in_front(cam_from_ref: RigidTransform, matches: MatchedPoints) -> NDArray[np.bool_]:
    """Tell which matches (N,) meet in front of both cameras (cheirality).

    An essential matrix holds for a camera turned by 180 degrees about the baseline as well: only
    this tells the two apart.
    """
    query = _unit_rays(matches.query)
    reference = _unit_rays(matches.reference) @ cam_from_ref.rotation.T
    cosine = np.einsum('ni,ni->n', query, reference)
    along_query, along_reference = (
        query @ cam_from_ref.translation,
        reference @ cam_from_ref.translation,
    )
    # Depths along both rays times the squared sine of the angle between them, which is positive.
    query_depth = along_query - cosine * along_reference
    reference_depth = cosine * along_query - along_reference
    return (query_depth > 0) & (reference_depth > 0)


def pinhole(focal_length: float) -> dict[str, object]:
    """PoseLib camera for undistorted points in pixels about the principal point.

    PoseLib ignores camera models and option keys it does not know without a word, so it is only
    given this one; the tests hold the option keys to account.
    """
    params = [focal_length, focal_length, 0.0, 0.0]
    return {'model': 'PINHOLE', 'width': 0, 'height': 0, 'params': params}


def camera_pose(cam_from_world: RigidTransform) -> poselib.CameraPose:
    """Give a pose in PoseLib's form."""
    result = poselib.CameraPose()
    result.R = cam_from_world.rotation
    result.t = cam_from_world.translation
    return result


def _unit_rays(points2D: Array) -> Array:
    rays = np.column_stack([points2D, np.ones(len(points2D))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
