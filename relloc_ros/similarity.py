# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Similarity transforms between frames of different scale, and fitting them to points.

A fit is robust: least median of squares over minimal samples, then least squares on what agrees.
Up to half of the points may be anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, mean_rotation

__all__ = ['Fit', 'Similarity', 'fit_along', 'fit_points', 'fit_robust', 'ratio_of_lengths']

MAX_SAMPLES = 500
"""Of three points, half of them wrong, 34 already hold a good one with 99 %."""
GATE = 3.5
"""Of the median residual: five standard deviations of Gaussian errors in three dimensions. Maps
that are bent have residuals that are not Gaussian, and are to be fitted as a whole."""
REFITS = 10
ROUNDING = 1e-9
ROUNDING_ANGLE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Rotation, scale and translation: ``x_target = scale rotation @ x_source + translation``.

    Attributes:
        scale: positive; length in the target of a unit in the source.
        rotation: (3, 3) float64, orthonormal with determinant 1.
        translation: (3,) float64, in the target's units.
    """

    scale: float
    rotation: Array
    translation: Array

    @classmethod
    def identity(cls) -> Similarity:
        """Return the transform that moves nothing."""
        return cls(1.0, np.eye(3), np.zeros(3))

    def __matmul__(self, other: Similarity) -> Similarity:
        """Chain: ``a_from_b @ b_from_c`` is ``a_from_c``."""
        return Similarity(
            self.scale * other.scale,
            self.rotation @ other.rotation,
            self.apply(other.translation[np.newaxis])[0],
        )

    def apply(self, points: Array) -> Array:
        """Transform (N, 3) points."""
        return self.scale * points @ self.rotation.T + self.translation

    def apply_to_pose(self, cam_from_source: RigidTransform) -> RigidTransform:
        """Give ``cam_from_target`` of a camera, lengths in the target's units."""
        rotation = cam_from_source.rotation @ self.rotation.T
        translation = self.scale * cam_from_source.translation - rotation @ self.translation
        return RigidTransform(rotation, translation)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A similarity fitted to pairs of points.

    Attributes:
        similarity: target_from_source.
        inliers: (N,) bool, the pairs that it was fitted to.
        residuals: (N,) distances in the target.
        scale_error: standard error of the scale, relative.
        angle_error: standard error of the rotation about the axis that the points settle least,
            radians; inf where they lie on a line.
        axis: (3,) unit vector, this axis in the target.
    """

    similarity: Similarity
    inliers: NDArray[np.bool_]
    residuals: Array
    scale_error: float
    angle_error: float
    axis: Array

    @property
    def rms(self) -> float:
        """Root mean square of the residuals of the inliers."""
        return float(np.sqrt(np.mean(self.residuals[self.inliers] ** 2)))


def fit_points(source: Array, target: Array, *, with_scale: bool = True) -> Similarity:
    """Fit a similarity to (N, 3) pairs of points by least squares (Umeyama, PAMI 1991).

    Args:
        source: (N, 3), N at least 3, not on a line.
        target: (N, 3).
        with_scale: whether the scale is free; else it is 1.
    """
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    from_source, from_target = source - mean_source, target - mean_target
    left, values, right = np.linalg.svd(from_target.T @ from_source)
    # The nearest rotation, not a reflection.
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    rotation = left @ np.diag(signs) @ right
    extent = float(np.sum(from_source**2))
    scale = float(values @ signs) / extent if with_scale and extent > 0 else 1.0
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)


def fit_robust(source: Array, target: Array, *, with_scale: bool = True, seed: int = 0) -> Fit:
    """Fit a similarity to (N, 3) pairs of points of which up to half are wrong.

    Args:
        source: (N, 3), N at least 3.
        target: (N, 3).
        with_scale: whether the scale is free; else it is 1.
        seed: of the samples, where there are too many to try all.
    """

    def solve(source: Array, target: Array) -> Similarity:
        return fit_points(source, target, with_scale=with_scale)

    return _least_median(source, target, solve, 3, seed)


def fit_along(source: Array, target: Array, rotations: Array, seed: int = 0) -> Fit:
    """Fit a similarity to pairs of points and of orientations; the points may lie on a line.

    Args:
        source: (N, 3), N at least 2.
        target: (N, 3).
        rotations: (N, 3, 3) rotations target_from_source, one from each pair.
        seed: of the samples.
    """
    rotation = _robust_mean(rotations)

    def solve(source: Array, target: Array) -> Similarity:
        turned = source @ rotation.T
        from_source, from_target = turned - turned.mean(axis=0), target - target.mean(axis=0)
        extent = float(np.sum(from_source**2))
        scale = float(np.sum(from_source * from_target)) / extent if extent > 0 else 1.0
        return Similarity(scale, rotation, target.mean(axis=0) - scale * turned.mean(axis=0))

    return _least_median(source, target, solve, 2, seed)


def ratio_of_lengths(source: Array, target: Array) -> tuple[float, float]:
    """Find the scale between two sets of (M,) lengths by least absolute deviations.

    Returns:
        The scale target / source, and its relative standard error from the scatter of the
        single ratios, taken as independent.
    """
    ratios = target / source
    order = np.argsort(ratios, kind='stable')
    scale = _weighted_median(ratios[order], source[order])
    deviations = np.abs(ratios - scale)
    order = np.argsort(deviations, kind='stable')
    scatter = 1.4826 * _weighted_median(deviations[order], source[order])
    return scale, 1.2533 * scatter / scale / math.sqrt(len(ratios))


def _weighted_median(ascending: Array, weights: Array) -> float:
    cumulated = np.cumsum(weights)
    return float(ascending[np.searchsorted(cumulated, 0.5 * cumulated[-1])])


Solver = Callable[[Array, Array], Similarity]


def _least_median(source: Array, target: Array, solve: Solver, size: int, seed: int) -> Fit:
    best, best_median = solve(source, target), math.inf
    for sample in _samples(len(source), size, seed):
        chosen = list(sample)
        found = solve(source[chosen], target[chosen])
        median = float(np.median(_residuals(found, source, target)))
        # A scale of nothing puts all points into one, which is as near as any.
        if found.scale > 0 and median < best_median:
            best, best_median = found, median
    inliers = np.ones(len(source), dtype=np.bool_)
    for _ in range(REFITS):
        chosen_now = _within(_residuals(best, source, target), target, size)
        best = solve(source[chosen_now], target[chosen_now])
        if (chosen_now == inliers).all():
            break
        inliers = chosen_now
    return _judge(best, source, target, inliers)


def _samples(count: int, size: int, seed: int) -> Iterator[tuple[int, ...]]:
    if math.comb(count, size) <= MAX_SAMPLES:
        yield from combinations(range(count), size)
        return
    rng = np.random.default_rng(seed)
    for _ in range(MAX_SAMPLES):
        yield tuple(int(i) for i in rng.choice(count, size, replace=False))


def _residuals(similarity: Similarity, source: Array, target: Array) -> Array:
    return np.asarray(np.linalg.norm(similarity.apply(source) - target, axis=1))


def _within(residuals: Array, target: Array, size: int) -> NDArray[np.bool_]:
    # Few points fit any transform well: the correction is that of Rousseeuw and Leroy (1987).
    correction = 1.0 + 5.0 / max(len(residuals) - size, 1)
    gate = GATE * correction * float(np.median(residuals))
    return residuals <= max(gate, ROUNDING * float(np.abs(target).max()))


def _judge(fitted: Similarity, source: Array, target: Array, inliers: NDArray[np.bool_]) -> Fit:
    residuals = _residuals(fitted, source, target)
    moved = fitted.apply(source[inliers])
    _, values, axes = np.linalg.svd(moved - moved.mean(axis=0), full_matrices=False)
    freedom = max(3 * int(inliers.sum()) - 7, 1)
    noise = math.sqrt(float(np.sum(residuals[inliers] ** 2)) / freedom)
    extent = float(np.linalg.norm(values))
    across = math.hypot(*values[1:])
    on_a_line = across <= ROUNDING * max(extent, float(np.abs(target).max()))
    return Fit(
        fitted,
        inliers,
        residuals,
        noise / extent if extent > 0 else math.inf,
        math.inf if on_a_line else noise / across,
        axes[0],
    )


def _robust_mean(rotations: Array) -> Array:
    """Mean of the rotations that agree with the one that most agree with."""
    traces = np.einsum('aij,bij->ab', rotations[:MAX_SAMPLES], rotations)
    angles = np.arccos(np.clip(0.5 * (traces - 1.0), -1.0, 1.0))
    medians = np.median(angles, axis=1)
    best = int(np.argmin(medians))
    near = angles[best] <= max(GATE * float(medians[best]), ROUNDING_ANGLE)
    return mean_rotation(rotations[near])
