# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Structure on demand: query keypoints matched in several posed map images become 3D points.

No 3D model is needed in the map. The points come from the map's baselines, not from the query's,
so they also serve where the query moves along the line of the map's camera centres.

Throughout: K tracks (one query keypoint each), P map images. Observations are normalized
coordinates (K, P, 2) on the plane z = 1 of the map cameras, `seen` (K, P) says which exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform

__all__ = ['PosedViews', 'Tracks', 'reprojection_errors', 'triangulate_tracks']

Mask = NDArray[np.bool_]

GAUSS_NEWTON_STEPS = 2
MIN_DEPTH = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PosedViews:
    """Map images as cameras of known pose.

    Attributes:
        rotations: (P, 3, 3) of cam_from_map.
        translations: (P, 3) of cam_from_map.
        focal_lengths: (P,) pixels; turns normalized errors into pixels.
    """

    rotations: Array
    translations: Array
    focal_lengths: Array

    @classmethod
    def of(cls, cams_from_map: list[RigidTransform], focal_lengths: list[float]) -> PosedViews:
        """Stack poses and focal lengths."""
        return cls(
            np.array([pose.rotation for pose in cams_from_map]).reshape(-1, 3, 3),
            np.array([pose.translation for pose in cams_from_map]).reshape(-1, 3),
            np.array(focal_lengths, dtype=np.float64),
        )

    @property
    def centres(self) -> Array:
        """(P, 3) camera centres in the map."""
        return -np.einsum('pji,pj->pi', self.rotations, self.translations)


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Query keypoints with their observations in map images.

    Attributes:
        keypoint_index: (K,) index of the query keypoint.
        observations: (K, P, 2) normalized coordinates in the map images.
        seen: (K, P) bool, which observations exist.
        points: (K, 3) triangulated points in the map.
    """

    keypoint_index: NDArray[np.intp]
    observations: Array
    seen: Mask
    points: Array

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.keypoint_index)

    def select(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Tracks:
        """Return the tracks a mask or an index array names."""
        return Tracks(
            self.keypoint_index[which],
            self.observations[which],
            self.seen[which],
            self.points[which],
        )


def reprojection_errors(points: Array, observations: Array, views: PosedViews) -> Array:
    """Pixel distances (K, P) of points (K, 3) to their observations; inf behind a camera."""
    # A product for each axis, and arrays without a short last axis, take half the time.
    x, y, depth = (
        points @ views.rotations[:, axis].T + views.translations[:, axis] for axis in range(3)
    )
    in_front = depth > MIN_DEPTH
    depth = np.where(in_front, depth, 1.0)
    across = x / depth - observations[..., 0]
    down = y / depth - observations[..., 1]
    error = np.sqrt(across * across + down * down) * views.focal_lengths
    return np.where(in_front, error, np.inf)


def _in_cameras(points: Array, views: PosedViews) -> Array:
    """Points (K, 3) in the frames of all cameras, (K, P, 3)."""
    # One product; einsum takes several times as long.
    turned = points @ views.rotations.reshape(-1, 3).T
    return turned.reshape(len(points), len(views.rotations), 3) + views.translations


def triangulate_tracks(
    keypoint_index: NDArray[np.intp],
    observations: Array,
    seen: Mask,
    views: PosedViews,
    *,
    threshold_px: float,
    min_angle: float,
) -> Tracks:
    """Triangulate what is seen in at least two map images from their known poses.

    Each pair of views proposes a point; the proposal that most views agree with wins and is
    refined on them. Observations that disagree are dropped, so one wrong match of three does not
    cost the point.

    Args:
        keypoint_index: (K,) index of the query keypoint of each track.
        observations: (K, P, 2) normalized coordinates.
        seen: (K, P) bool.
        views: the P map images.
        threshold_px: largest reprojection error of an observation that agrees.
        min_angle: least angle in radians between two rays of a point.

    Returns:
        The tracks that gave a point; `seen` holds the agreeing observations only.
    """
    points, support = _best_pairwise_points(observations, seen, views, threshold_px)
    points = _refine_points(points, observations, support, views)
    support = seen & (reprojection_errors(points, observations, views) <= threshold_px)
    angles = _largest_ray_angles(points, support, views)
    good = (support.sum(axis=1) >= 2) & (angles >= min_angle) & np.isfinite(points).all(axis=1)
    return Tracks(keypoint_index[good], observations[good], support[good], points[good])


def _best_pairwise_points(
    observations: Array, seen: Mask, views: PosedViews, threshold_px: float
) -> tuple[Array, Mask]:
    """Return points (K, 3) and their supporting observations (K, P)."""
    count, num_views = seen.shape
    rays = np.concatenate([observations, np.ones((count, num_views, 1))], axis=2)
    # A product for each camera: einsum takes thirty times as long.
    rays = (rays.transpose(1, 0, 2) @ views.rotations).transpose(1, 0, 2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    centres = views.centres
    # All pairs of all tracks at once: (M,) tracks and the two views that propose a point.
    pairs = np.array(list(combinations(range(num_views), 2)), dtype=np.intp).reshape(-1, 2)
    tracks, which = np.nonzero(seen[:, pairs[:, 0]] & seen[:, pairs[:, 1]])
    first, second = pairs[which].T
    points = _midpoints(centres[first], rays[tracks, first], centres[second], rays[tracks, second])
    error = reprojection_errors(points, observations[tracks], views)
    support = seen[tracks] & (error <= threshold_px)
    proposals = np.arange(len(tracks))
    proposed = support[proposals, first] & support[proposals, second]
    # One more supporter always beats a smaller error.
    truncated = np.where(support, error, 0.0).sum(axis=1) / (threshold_px * (num_views + 1))
    score = np.where(proposed, support.sum(axis=1) - truncated, 0.0)
    best = _first_largest(score, tracks)
    best = best[score[best] > 0.0]
    best_points = np.full((count, 3), np.nan)
    best_support = np.zeros_like(seen)
    best_points[tracks[best]] = points[best]
    best_support[tracks[best]] = support[best]
    return best_points, best_support


def _first_largest(score: Array, groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each of the groups, in ascending order (M,), where its largest score comes first."""
    if len(groups) == 0:
        return np.empty(0, dtype=np.intp)
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    sizes = np.diff(starts, append=len(groups))
    largest = np.flatnonzero(score == np.repeat(np.maximum.reduceat(score, starts), sizes))
    return largest[np.diff(groups[largest], prepend=groups[0] - 1) > 0]


def _midpoints(centres_a: Array, rays_a: Array, centres_b: Array, rays_b: Array) -> Array:
    """Midpoints (M, 3) of the shortest segments between rays of unit length, all (M, 3)."""
    baselines = centres_b - centres_a
    cosine = np.einsum('mi,mi->m', rays_a, rays_b)
    along_a = np.einsum('mi,mi->m', rays_a, baselines)
    along_b = np.einsum('mi,mi->m', rays_b, baselines)
    determinant = np.maximum(1.0 - cosine**2, 1e-12)
    depth_a = (along_a - cosine * along_b) / determinant
    depth_b = (cosine * along_a - along_b) / determinant
    points_a = centres_a + depth_a[:, None] * rays_a
    points_b = centres_b + depth_b[:, None] * rays_b
    return 0.5 * (points_a + points_b)


def _refine_points(points: Array, observations: Array, support: Mask, views: PosedViews) -> Array:
    """Minimize the squared pixel errors in the supporting views (Gauss-Newton)."""
    points = np.nan_to_num(points)
    usable: Mask = np.any(support, axis=1)
    count, num_views = support.shape
    for _ in range(GAUSS_NEWTON_STEPS):
        residuals, jacobians = point_residuals(points, observations, support, views)
        jacobians = jacobians.reshape(count, 2 * num_views, 3)
        transposed = jacobians.transpose(0, 2, 1)
        hessian = transposed @ jacobians
        gradient = transposed @ residuals.reshape(count, 2 * num_views, 1)
        hessian += 1e-9 * np.trace(hessian, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        hessian[~usable] = np.eye(3)
        points = points - np.linalg.solve(hessian, gradient)[..., 0]
    return np.where(usable[:, None], points, np.nan)


def point_residuals(
    points: Array, observations: Array, seen: Mask, views: PosedViews
) -> tuple[Array, Array]:
    """Pixel residuals (K, P, 2) and their derivatives (K, P, 2, 3) by the points; 0 if unseen."""
    local = _in_cameras(points, views)
    depth = np.where(np.abs(local[..., 2]) > MIN_DEPTH, local[..., 2], MIN_DEPTH)
    projected = local[..., :2] / depth[..., None]
    scale = np.where(seen, views.focal_lengths, 0.0)
    residuals = (projected - observations) * scale[..., None]
    residuals[~seen] = 0.0
    rows = views.rotations[None, :, :2, :] - projected[..., None] * views.rotations[None, :, 2:, :]
    jacobians = rows * (scale / depth)[..., None, None]
    return residuals, jacobians


def _largest_ray_angles(points: Array, support: Mask, views: PosedViews) -> Array:
    """Largest angle (K,) in radians between two supporting rays."""
    rays = points[:, None, :] - views.centres
    rays /= np.maximum(np.linalg.norm(rays, axis=2, keepdims=True), 1e-12)
    cosines = rays @ rays.transpose(0, 2, 1)
    both = support[:, :, None] & support[:, None, :]
    smallest = np.where(both, cosines, 1.0).min(axis=(1, 2), initial=1.0)
    return np.arccos(np.clip(smallest, -1.0, 1.0))
