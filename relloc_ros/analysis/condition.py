# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where predictions can be at all: the necessary condition for pose regression.

Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose Regression",
CVPR 2019, sections 3 and 4. A network predicts ``c = b + P α`` (Eq. 1 to 3): `offset` (3,) b and
`base` (3, N) P in map units, coefficients α (N,) of each image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from relloc_ros.analysis.flats import Flat
from relloc_ros.geometry import Array

__all__ = [
    'TOLERANCE',
    'Reach',
    'cone_distances',
    'cone_is_span',
    'extent',
    'is_conical',
    'reach_of_mixtures',
    'reach_of_relevant',
    'reach_of_weights',
    'relevant',
    'stretch',
]

RELEVANT = 0.01
"""A base pose counts where a coefficient is more than this part of the largest one of all."""

TOLERANCE = 0.02
"""Part of the extent of the training positions that is too little to speak of leaving a line."""

SHARE_REACHED = 0.95
"""Share of the training images that the reach of mixtures is said for."""

FLOAT_ERROR = 1e-6
"""Of weights in single precision: smaller singular values, relative to the first, are nought."""


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far predictions can go, in each direction.

    Attributes:
        flat: what they cannot leave. Its axes are sorted by `lengths`.
        singular_values: (3,) of what spans it, descending.
        lengths: (3,) how far along each axis of the flat, from its origin, map units; infinite
            where nothing bounds it.
        count: of the base poses, or training images, that span it.
    """

    flat: Flat
    singular_values: Array
    lengths: Array
    count: int

    @property
    def leeway(self) -> float:
        """How far off the flat predictions can be, map units."""
        return float(np.linalg.norm(self.lengths[self.flat.rank :]))

    def along(self, directions: Array) -> Array:
        """How far they go along unit vectors (D, 3), where the lengths are those of an ellipsoid.

        Returns:
            (D,) map units.
        """
        along: Array = np.linalg.norm((directions @ self.flat.axes.T) * self.lengths, axis=1)
        return along


def is_conical(alphas: Array) -> bool:
    """Whether no coefficient (T, N) is negative, as behind a ReLU."""
    return bool((alphas >= 0.0).all())


def extent(positions: Array) -> float:
    """Length of positions (T, 3) along the direction in which they extend most, map units."""
    centred = positions - positions.mean(axis=0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    return float(np.ptp(along))


def relevant(base: Array, alphas: Array, threshold: float = RELEVANT) -> NDArray[np.bool_]:
    """Which base poses some image uses: B' of Eq. 5.

    Args:
        base: (3, N) base translations; those of length zero, which a separate branch for rotation
            has (Eq. 4), are not relevant.
        alphas: (T, N) coefficients of the images of a part of the scene, or of all.
        threshold: part of the largest coefficient that one must exceed.

    Returns:
        (N,) mask.
    """
    moves = (base != 0.0).any(axis=0)
    used = np.abs(alphas).max(axis=0)
    most = used[moves].max() if moves.any() else 0.0
    return np.asarray(moves & (used > threshold * most))


def reach_of_weights(offset: Array, base: Array) -> Reach:
    """Where the prediction is, whatever the image: b and the span of all base translations."""
    axes, values = _axes(base)
    rank = int((values > FLOAT_ERROR * max(values[0], np.finfo(float).tiny)).sum())
    lengths = np.where(np.arange(3) < rank, np.inf, 0.0)
    return Reach(Flat(offset, axes, rank), values, lengths, base.shape[1])


def reach_of_relevant(offset: Array, base: Array, alphas: Array, tolerance: float) -> Reach:
    """Where images are predicted whose coefficients are like those of the training images.

    "Like" is no further from their mean than the furthest of them, in the relevant base poses:
    ``|u · (c - c_mean)| <= σ ‖α - α_mean‖`` for each axis u and its singular value σ.

    Args:
        offset: (3,) b.
        base: (3, N) base translations.
        alphas: (T, N) coefficients of the training images.
        tolerance: shorter lengths do not count, map units.
    """
    used = relevant(base, alphas)
    chosen, coefficients = base[:, used], alphas[:, used]
    mean = coefficients.mean(axis=0)
    radius = float(np.linalg.norm(coefficients - mean, axis=1).max(initial=0.0))
    axes, values = _axes(chosen)
    lengths = values * radius
    flat = Flat(offset + chosen @ mean, axes, int((lengths > tolerance).sum()))
    return Reach(flat, values, lengths, int(used.sum()))


def reach_of_mixtures(offset: Array, base: Array, alphas: Array, tolerance: float) -> Reach:
    """Where images are predicted whose embedding mixes those of training images.

    The prediction is linear (Eq. 2): weighted means of embeddings, ``Σ w α_J`` with ``Σ w = 1``,
    are predicted at the same weighted mean of positions. Where no weight is negative, that is no
    further off than the furthest of them.

    Args:
        offset: (3,) b.
        base: (3, N) base translations.
        alphas: (T, N) coefficients of the training images.
        tolerance: shorter lengths do not count, map units.

    Returns:
        Lengths are those within which 95 % of the training predictions are.
    """
    predicted = offset + alphas @ base.T
    origin = predicted.mean(axis=0)
    axes, values = _axes((predicted - origin).T)
    along = np.abs((predicted - origin) @ axes.T)
    lengths = np.quantile(along, SHARE_REACHED, axis=0)
    order = np.argsort(-lengths, kind='stable')
    flat = Flat(origin, axes[order], int((lengths > tolerance).sum()))
    return Reach(flat, values, lengths[order], len(alphas))


def cone_is_span(base: Array) -> bool:
    """Whether coefficients that are not negative reach all that signed ones do.

    They do where a combination of all base translations (3, N) with positive coefficients is
    zero: then adding it often enough takes the signs away.
    """
    total = base.sum(axis=1)
    scale = float(np.linalg.norm(base, axis=0).sum())
    return bool(nnls(base, -total)[1] <= FLOAT_ERROR * max(scale, np.finfo(float).tiny))


def cone_distances(offset: Array, base: Array, points: Array) -> Array:
    """Distances (Q,) of points (Q, 3) from what conical combinations reach, map units."""
    return np.array([nnls(base, point - offset)[1] for point in points])


def stretch(offset: Array, base: Array, alphas: Array, points: Array) -> Array:
    """How far coefficients would have to leave those of training images to reach points.

    The shortest change of the mean coefficients that moves the prediction to the point, as a
    multiple of the longest among the training images; only relevant base poses change (Eq. 5).

    Args:
        offset: (3,) b.
        base: (3, N) base translations.
        alphas: (T, N) coefficients of the images of a part of the scene, or of all.
        points: (Q, 3) map units.

    Returns:
        (Q,), beyond 1 where no image with such coefficients is predicted; infinite where the
        relevant base poses do not span the point.
    """
    used = relevant(base, alphas)
    chosen, coefficients = base[:, used], alphas[:, used]
    mean = coefficients.mean(axis=0)
    radius = float(np.linalg.norm(coefficients - mean, axis=1).max(initial=0.0))
    moves = points - (offset + chosen @ mean)
    if not used.any() or radius == 0.0:
        return np.where(np.linalg.norm(moves, axis=1) > 0.0, np.inf, 0.0)
    changes = moves @ np.linalg.pinv(chosen, rcond=FLOAT_ERROR).T
    missed = np.linalg.norm(changes @ chosen.T - moves, axis=1)
    size = max(float(np.abs(moves).max(initial=0.0)), np.finfo(float).tiny)
    return np.where(missed > 1e-9 * size, np.inf, np.linalg.norm(changes, axis=1) / radius)


def _axes(vectors: Array) -> tuple[Array, Array]:
    """Axes (3, 3), in rows, and singular values (3,) of vectors (3, N)."""
    padded = np.concatenate([vectors, np.zeros((3, 3))], axis=1)
    axes, values, _ = np.linalg.svd(padded, full_matrices=False)
    return axes.T, values
