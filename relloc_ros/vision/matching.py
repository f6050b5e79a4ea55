# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of local features: nearest neighbours that are mutual and pass the ratio test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import ConfigError
from relloc_ros.geometry import Array

__all__ = [
    'Keypoints',
    'Matcher',
    'MutualRatio',
    'compact_basis',
    'count_mutual_ratio',
    'create_matcher',
    'match_mutual_ratio',
    'unit_descriptors',
]

ROUNDING = 1e-6
COMPACT_DIMENSIONS = 32
BLOCK_ROWS = 512
"""So many descriptors of the query at once: their products with all others stay in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """What matchers look at.

    Attributes:
        points2D: (N, 2) float64 pixels.
        descriptors: (N, D) float32 of unit length.
        image_size: width and height, pixels.
        compact: (N, C) float32 descriptors in the basis of `compact_basis`, for a quicker search;
            None searches the whole ones.
    """

    points2D: Array
    descriptors: NDArray[np.float32]
    image_size: tuple[int, int]
    compact: NDArray[np.float32] | None = None


class Matcher(Protocol):
    """Finds which keypoints of two images show the same point."""

    def match(self, query: Keypoints, reference: Keypoints) -> NDArray[np.intp]:
        """Give (K, 2) indices (query, reference); each index occurs once at most."""


@dataclass(frozen=True, slots=True)
class MutualRatio:
    """Mutual nearest descriptors that pass the ratio test.

    Attributes:
        ratio: as in `match_mutual_ratio`.
    """

    ratio: float

    def match(self, query: Keypoints, reference: Keypoints) -> NDArray[np.intp]:
        """Give (K, 2) indices (query, reference); each index occurs once at most."""
        search = None
        if query.compact is not None and reference.compact is not None:
            search = query.compact, reference.compact
        return match_mutual_ratio(query.descriptors, reference.descriptors, self.ratio, search)


def create_matcher(name: str, features: str, ratio: float, weights_folder: str = '') -> Matcher:
    """Make the matcher of this name.

    Args:
        name: mutual_ratio or lighterglue.
        features: name of the features to match.
        ratio: of the ratio test.
        weights_folder: with the weights of networks; '' takes installed packages.

    Raises:
        ConfigError: no such matcher, or not for these features.
        DataError: weights missing from the folder, or unusable.
        MissingDependencyError: a package for learned matching is not installed.
    """
    if name == 'mutual_ratio':
        return MutualRatio(ratio)
    if name != 'lighterglue':
        raise ConfigError(f'unknown matcher {name!r}; known: mutual_ratio, lighterglue')
    if features != 'xfeat':
        raise ConfigError(
            f'matcher: lighterglue is for maps with features: xfeat, this one has {features}: '
            'choose matcher: mutual_ratio, or build the map again with --set features=xfeat'
        )
    from relloc_ros.vision.lighterglue import (  # noqa: PLC0415  it builds on this module
        LighterGlue,
    )

    return LighterGlue(weights_folder)


def unit_descriptors(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn (N, D) uint8 descriptors into float32 ones of unit length."""
    values = descriptors.astype(np.float32)
    norms = np.sqrt(np.einsum('nd,nd->n', values, values))
    values /= np.maximum(norms, 1e-6)[:, None]
    return values


def compact_basis(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the basis in which few numbers keep most of the scalar products of descriptors.

    These are the main axes of the descriptors about the origin, not about their mean, for which
    products would need a correction.

    Args:
        sample: (N, D) float32 of unit length.

    Returns:
        (D, C) float32 with orthonormal columns, C at most 32. Products in it are near the whole
        ones, and too small by what the axes left out hold.
    """
    moments = sample.T.astype(np.float64) @ sample
    _, axes = np.linalg.eigh(moments)
    # Signs are arbitrary: the same sample gives the same basis everywhere.
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))] < 0, -1.0, 1.0)
    return np.ascontiguousarray(axes[:, ::-1][:, :COMPACT_DIMENSIONS], dtype=np.float32)


def match_mutual_ratio(
    query: NDArray[np.float32],
    reference: NDArray[np.float32],
    ratio: float,
    search: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> NDArray[np.intp]:
    """Match two sets of unit descriptors.

    Args:
        query: (N, D) float32 of unit length.
        reference: (M, D) float32 of unit length.
        ratio: largest ratio of the distances to the nearest and the second-nearest reference
            descriptor (Lowe, IJCV 2004); 1 accepts all.
        search: the same in fewer numbers (N, C), (M, C), to find the nearest two by, whose
            distances are then compared in full. None finds them in full.

    Returns:
        (K, 2) indices (query, reference); each index occurs once at most.
    """
    if len(query) == 0 or len(reference) < 2:
        return np.empty((0, 2), dtype=np.intp)
    nearest, second, mutual = _two_nearest(*(search or (query, reference)))
    rows = np.flatnonzero(mutual)
    columns = nearest[rows]
    best, next_best = (
        np.einsum('nd,nd->n', query[rows], reference[found]) for found in (columns, second[rows])
    )
    # Half the squared distance of unit vectors is 1 - cos; copies of one descriptor are ambiguous
    # however near they are, so rounding must not tell them apart.
    nearer, further = (np.maximum(1.0 - cosine, ROUNDING) for cosine in (best, next_best))
    distinct = nearer <= ratio * ratio * further
    return np.column_stack([rows[distinct], columns[distinct]])


def count_mutual_ratio(
    query: NDArray[np.float32], reference: NDArray[np.float32], ratio: float
) -> int:
    """Count the matches of few descriptors, as `match_mutual_ratio` finds them.

    Args:
        query: (N, D) float32 of unit length.
        reference: (M, D) float32 of unit length.
        ratio: as in `match_mutual_ratio`.
    """
    if len(query) == 0 or len(reference) < 2:
        return 0
    similarity = query @ reference.T
    rows = np.arange(len(query))
    nearest = similarity.argmax(axis=1)
    best = similarity[rows, nearest]
    mutual = best >= similarity.max(axis=0)[nearest]
    similarity[rows, nearest] = -np.inf
    nearer, further = (
        np.maximum(1.0 - cosine, ROUNDING) for cosine in (best, similarity.max(axis=1))
    )
    return int(np.count_nonzero(mutual & (nearer <= ratio * ratio * further)))


def _two_nearest(
    query: NDArray[np.float32], reference: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Give (N,) nearest, second-nearest, and whether the nearest has none nearer in the query."""
    nearest, second = np.empty((2, len(query)), dtype=np.intp)
    best = np.empty(len(query), dtype=np.float32)
    best_of_reference = np.full(len(reference), -np.inf, dtype=np.float32)
    products = np.empty((min(BLOCK_ROWS, len(query)), len(reference)), dtype=np.float32)
    for start in range(0, len(query), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        similarity = products[: len(query[block])]
        np.matmul(query[block], reference.T, out=similarity)
        np.maximum(best_of_reference, similarity.max(axis=0), out=best_of_reference)
        rows = np.arange(len(similarity))
        nearest[block] = similarity.argmax(axis=1)
        best[block] = similarity[rows, nearest[block]]
        similarity[rows, nearest[block]] = -np.inf
        second[block] = similarity.argmax(axis=1)
    return nearest, second, best >= best_of_reference[nearest]
