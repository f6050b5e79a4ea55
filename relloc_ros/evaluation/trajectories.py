# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of a whole trajectory, absolute (ATE) and relative (RPE).

Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012. Poses in a map
need no alignment; what it takes away is an offset between the map's frame and that of the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, pose_error

__all__ = [
    'Alignment',
    'Similarity',
    'absolute_trajectory_errors',
    'align_points',
    'pairs_apart',
    'relative_pose_errors',
    'trajectory_statistics',
    'travelled_distances',
]

Alignment = Literal['none', 'se3', 'sim3']
ALIGNMENTS: tuple[Alignment, ...] = ('none', 'se3', 'sim3')

MIN_COUNT = 3
"""Fewer points can be aligned in more ways than one."""
TIME_DELTA_S = 1.0
PATH_FRACTION = 0.1
"""Relative errors are taken over a second, and over this part of the true path."""
DELTA_TOLERANCE = 0.1
"""Two poses may be this fraction more or less apart than asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """A scale, a rotation and a shift: ``target = scale * rotation @ source + translation``."""

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Transform (N, 3) points."""
        return self.scale * points @ self.rotation.T + self.translation


def align_points(source: Array, target: Array, *, with_scale: bool) -> Similarity | None:
    """Find the transform with the least squares between points (N, 3) and their counterparts.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 1991.

    Returns:
        target_from_source; None of fewer than three points, or of points all at one place.
    """
    if len(source) < MIN_COUNT:
        return None
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    variance = float((centred**2).sum() / len(source))
    extent = max(float(np.abs(source).max()), float(np.abs(target).max()), 1e-300)
    if variance <= (1e-12 * extent) ** 2:
        return None
    u, singular, vt = np.linalg.svd((target - target_mean).T @ centred / len(source))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = float(singular @ signs) / variance if with_scale else 1.0
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def absolute_trajectory_errors(
    estimates: Sequence[RigidTransform], truths: Sequence[RigidTransform], alignment: Alignment
) -> tuple[Array, Similarity | None] | None:
    """Distances (N,) of estimated positions from the true ones, after alignment.

    Returns:
        Distances in map units, and the alignment (None for `none`); None where they cannot be
        aligned.
    """
    estimated, true = _positions(estimates), _positions(truths)
    if alignment == 'none':
        return np.linalg.norm(estimated - true, axis=1), None
    similarity = align_points(estimated, true, with_scale=alignment == 'sim3')
    if similarity is None:
        return None
    return np.linalg.norm(similarity.apply(estimated) - true, axis=1), similarity


def relative_pose_errors(
    estimates: Sequence[RigidTransform],
    truths: Sequence[RigidTransform],
    pairs: Sequence[tuple[int, int]] | NDArray[np.intp],
) -> Array:
    """Errors (K, 2) of the motions between pairs of poses: map units and degrees."""
    errors = []
    for i, j in pairs:
        motion = estimates[i].inverse() @ estimates[j]
        distance, angle = pose_error(motion, truths[i].inverse() @ truths[j])
        errors.append((distance, math.degrees(angle)))
    return np.array(errors, dtype=np.float64).reshape(-1, 2)


def pairs_apart(progress: Array, delta: float) -> NDArray[np.intp]:
    """Pairs (K, 2) of indices, later second, that are `delta` apart, as nearly as there are.

    Args:
        progress: (N,) time or distance travelled, never falling.
        delta: in the same unit, positive.
    """
    wanted = progress + delta
    later = np.clip(np.searchsorted(progress, wanted), 1, max(len(progress) - 1, 1))
    pairs = []
    for i, after in enumerate(later):
        candidates = [j for j in (after - 1, after) if i < j < len(progress)]
        best = min(candidates, key=lambda j: abs(progress[j] - wanted[i]), default=None)
        if best is not None and abs(progress[best] - wanted[i]) <= DELTA_TOLERANCE * delta:
            pairs.append((i, int(best)))
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def travelled_distances(truths: Sequence[RigidTransform]) -> Array:
    """Lengths (N,) of the true path from its first pose to each, map units."""
    steps = np.linalg.norm(np.diff(_positions(truths), axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])[: len(truths)]


def trajectory_statistics(
    stamps_ns: Sequence[int],
    estimates: Sequence[RigidTransform | None],
    truths: Sequence[RigidTransform],
) -> dict[str, Any]:
    """ATE and RPE of a sequence for metrics.json; None where there are too few poses.

    Args:
        stamps_ns: of the images, in order.
        estimates: map_from_body; None without a pose. They count in the path, not in the errors.
        truths: true map_from_body.
    """
    path = travelled_distances(truths)
    kept = [i for i, estimate in enumerate(estimates) if estimate is not None]
    poses = [pose for pose in estimates if pose is not None]
    true = [truths[i] for i in kept]
    seconds = (np.asarray(stamps_ns, dtype=np.int64) - np.int64(min(stamps_ns, default=0))) / 1e9
    length = float(path[-1]) if len(path) else 0.0
    return {
        'poses': len(poses),
        'path_length_m': length,
        'ate': {alignment: _ate(poses, true, alignment) for alignment in ALIGNMENTS},
        'rpe_time': _rpe(poses, true, seconds[kept], TIME_DELTA_S, 'delta_s'),
        'rpe_distance': _rpe(poses, true, path[kept], PATH_FRACTION * length, 'delta_m'),
    }


def _ate(
    poses: Sequence[RigidTransform], truths: Sequence[RigidTransform], alignment: Alignment
) -> dict[str, float] | None:
    result = absolute_trajectory_errors(poses, truths, alignment) if poses else None
    if result is None:
        return None
    errors, similarity = result
    scale = {'scale': similarity.scale} if similarity and alignment == 'sim3' else {}
    return {'rmse_m': _rms(errors), 'median_m': float(np.median(errors)), **scale}


def _rpe(
    poses: Sequence[RigidTransform],
    truths: Sequence[RigidTransform],
    progress: Array,
    delta: float,
    delta_name: str,
) -> dict[str, float] | None:
    pairs = pairs_apart(progress, delta) if delta > 0.0 else np.empty((0, 2), dtype=np.intp)
    if not len(pairs):
        return None
    position, rotation = relative_pose_errors(poses, truths, pairs).T
    return {
        delta_name: delta,
        'pairs': len(pairs),
        'position_rmse_m': _rms(position),
        'position_median_m': float(np.median(position)),
        'rotation_rmse_deg': _rms(rotation),
        'rotation_median_deg': float(np.median(rotation)),
    }


def _rms(values: Array) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def _positions(poses: Sequence[RigidTransform]) -> Array:
    return np.array([pose.translation for pose in poses], dtype=np.float64).reshape(-1, 3)
