# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutual nearest descriptors that pass the ratio test: the part of matching that takes the time.

Compiled (`mutual_ratio.cpp`) where a C++ compiler was at hand when the package was installed, in
NumPy elsewhere. Both find the same, but for the rounding of products.
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from functools import cache
from importlib.util import find_spec
import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ['CompiledMatching', 'Matching', 'NumpyMatching', 'quickest_matching']

Descriptors = NDArray[np.float32]
Pair = tuple[Descriptors, Descriptors]

ROUNDING = 1e-6
"""Half the squared distance of unit vectors is 1 - cos. Copies of one descriptor are ambiguous
however near they are: rounding must not tell them apart."""
BLOCK_ROWS = 512
"""So many descriptors of the query at once: their products with all others stay in the cache."""

logger = logging.getLogger(__name__)


class Matching(Protocol):
    """Finds the mutual nearest that pass the ratio test."""

    def match(
        self, query: Descriptors, reference: Descriptors, search: Pair, ratio: float
    ) -> NDArray[np.int64]:
        """Match a query with a map image.

        Args:
            query: (N, D) float32 of unit length.
            reference: (M, D) float32 of unit length.
            search: the same (N, C), (M, C), to find the nearest by.
            ratio: largest ratio of the distances to the nearest and the second-nearest.

        Returns:
            (K, 2) indices (query, reference), in the order of the query.
        """

    def count(
        self, query: Descriptors, references: Sequence[Descriptors], ratio: float
    ) -> list[int]:
        """Count the matches with each of several map images.

        Args:
            query: (N, D) float32 of unit length.
            references: (M, D) of each.
            ratio: largest ratio of the distances to the nearest and the second-nearest.
        """


@cache
def quickest_matching() -> Matching:
    """Give the compiled one if there is one for this machine."""
    spec = find_spec('relloc_ros.vision._mutual_ratio')
    if spec is not None and spec.origin is not None:
        try:
            return CompiledMatching(spec.origin)
        except (OSError, AttributeError) as error:
            logger.warning(
                'what was compiled for matching cannot be loaded, NumPy does it instead: %s; '
                'install relloc_ros again on this machine',
                error,
            )
    return NumpyMatching()


class NumpyMatching:
    """Without anything compiled."""

    def match(
        self, query: Descriptors, reference: Descriptors, search: Pair, ratio: float
    ) -> NDArray[np.int64]:
        """Match a query with a map image."""
        if len(query) == 0 or len(reference) < 2:
            return np.empty((0, 2), dtype=np.int64)
        nearest, second, mutual = _two_nearest(*search)
        rows = np.flatnonzero(mutual)
        columns = nearest[rows]
        best, next_best = (
            np.einsum('nd,nd->n', query[rows], reference[found])
            for found in (columns, second[rows])
        )
        distinct = _are_distinct(best, next_best, ratio)
        return np.column_stack([rows[distinct], columns[distinct]])

    def count(
        self, query: Descriptors, references: Sequence[Descriptors], ratio: float
    ) -> list[int]:
        """Count the matches with each of several map images."""
        return [_count(query, reference, ratio) for reference in references]


class CompiledMatching:
    """What `mutual_ratio.cpp` does."""

    def __init__(self, library: str) -> None:
        """Load it.

        Args:
            library: path of the compiled file.

        Raises:
            AttributeError: it is something else.
            OSError: it is missing, or for another kind of machine.
        """
        loaded = ctypes.CDLL(library)
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        self._match = loaded.match_mutual_ratio
        self._match.argtypes = [*[pointer] * 4, *[number] * 4, real, real, pointer]
        self._match.restype = number
        self._count = loaded.count_mutual_ratio
        self._count.argtypes = [pointer, number, pointer, pointer, number, number, real, real]
        self._count.argtypes += [pointer]

    def match(
        self, query: Descriptors, reference: Descriptors, search: Pair, ratio: float
    ) -> NDArray[np.int64]:
        """Match a query with a map image."""
        arrays = [_laid_out(array) for array in (query, reference, *search)]
        shapes = [array.shape for array in arrays]
        (num_query, dimension), (num_reference, _), (_, few), _ = shapes
        expected = [(num_query, dimension), (num_reference, dimension)]
        if shapes != [*expected, (num_query, few), (num_reference, few)]:
            raise ValueError(f'descriptors of shapes {shapes} do not belong together')
        matches = np.empty((num_query, 2), dtype=np.int64)
        count = self._match(
            *(array.ctypes.data for array in arrays),
            num_query,
            num_reference,
            dimension,
            few,
            ratio * ratio,
            ROUNDING,
            matches.ctypes.data,
        )
        if count < 0:
            raise MemoryError
        return matches[:count].copy()

    def count(
        self, query: Descriptors, references: Sequence[Descriptors], ratio: float
    ) -> list[int]:
        """Count the matches with each of several map images."""
        query, arrays = _laid_out(query), [_laid_out(reference) for reference in references]
        num_query, dimension = query.shape
        if any(array.shape[1:] != (dimension,) for array in arrays):
            raise ValueError(f'descriptors of {query.shape} do not go with all of the map images')
        addresses = np.array([array.ctypes.data for array in arrays], dtype=np.uintp)
        sizes = np.array([len(array) for array in arrays], dtype=np.int64)
        counts = np.empty(len(arrays), dtype=np.int64)
        failed = self._count(
            query.ctypes.data,
            num_query,
            addresses.ctypes.data,
            sizes.ctypes.data,
            len(arrays),
            dimension,
            ratio * ratio,
            ROUNDING,
            counts.ctypes.data,
        )
        if failed:
            raise MemoryError
        return counts.tolist()


def _laid_out(descriptors: Descriptors) -> Descriptors:
    """Give descriptors as C++ expects them in memory."""
    return np.ascontiguousarray(descriptors, dtype=np.float32)


def _two_nearest(
    query: Descriptors, reference: Descriptors
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


def _count(query: Descriptors, reference: Descriptors, ratio: float) -> int:
    if len(query) == 0 or len(reference) < 2:
        return 0
    similarity = query @ reference.T
    rows = np.arange(len(query))
    nearest = similarity.argmax(axis=1)
    best = similarity[rows, nearest]
    mutual = best >= similarity.max(axis=0)[nearest]
    similarity[rows, nearest] = -np.inf
    distinct = _are_distinct(best, similarity.max(axis=1), ratio)
    return int(np.count_nonzero(mutual & distinct))


def _are_distinct(
    best: NDArray[np.float32], next_best: NDArray[np.float32], ratio: float
) -> NDArray[np.bool_]:
    """Tell whether the nearest is so much nearer than the second, by their products (N,)."""
    nearer, further = (np.maximum(1.0 - product, ROUNDING) for product in (best, next_best))
    return nearer <= ratio * ratio * further
