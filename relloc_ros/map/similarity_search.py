# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Search of global descriptors by inner product: exact, or in a large map approximate."""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.map.approximate_search import LARGE_MAP, ApproximateSearch, find_faiss
from relloc_ros.map.format import Generation
from relloc_ros.map.stored_rows import StoredRows

__all__ = ['ExactSearch', 'SimilaritySearch', 'open_search']

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Allowed = NDArray[np.bool_]

BLOCK_ROWS = 65_536


class SimilaritySearch(Protocol):
    """Finds the rows (N, D) most similar to a query."""

    def nearest(
        self, query: FloatArray, k: int, allowed: Allowed | None = None
    ) -> tuple[IndexArray, FloatArray]:
        """Give the numbers of at most `k` rows and their inner products with a query (D,).

        Args:
            query: unit vector, as all rows are.
            k: how many.
            allowed: (N,) which rows may be found; None is all.
        """


class ExactSearch:
    """Inner product with every row; the rows (N, D) may be memory-mapped."""

    def __init__(self, rows: FloatArray) -> None:
        """Keep the rows."""
        self._rows = rows

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        """Give similarities and row numbers (Q, k) of queries (Q, D), best first."""
        similarities = np.empty((len(queries), 0), np.float32)
        indices = np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self._rows), BLOCK_ROWS):
            # In blocks: the products with all rows of a large map are larger than the map.
            block = queries @ self._rows[start : start + BLOCK_ROWS].T
            found = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
            similarities = np.hstack([similarities, block])
            indices = np.hstack([indices, found])
            best = np.argsort(-similarities, axis=1, kind='stable')[:, :k]
            similarities = np.take_along_axis(similarities, best, axis=1)
            indices = np.take_along_axis(indices, best, axis=1)
        return similarities, indices

    def nearest(
        self, query: FloatArray, k: int, allowed: Allowed | None = None
    ) -> tuple[IndexArray, FloatArray]:
        """Give the numbers of at most `k` rows and their inner products with a query (D,)."""
        rows = self._rows if allowed is None else self._rows[allowed]
        # Not a matrix product: BLAS threads take ten times as long on a busy machine.
        similarities = np.einsum('ij,j->i', rows, query)
        best = np.arange(len(rows))
        if len(rows) > k:
            best = np.flatnonzero(similarities >= np.partition(similarities, -k)[-k])
        best = best[np.argsort(-similarities[best], kind='stable')[:k]]
        found = best if allowed is None else np.flatnonzero(allowed)[best]
        return found, similarities[best]


def open_search(generation: Generation, descriptors: FloatArray) -> SimilaritySearch:
    """Give the search that fits a map's size and what is installed.

    Args:
        generation: state of the map.
        descriptors: (N, D) its global descriptors, memory-mapped.

    Raises:
        MapError: the index is damaged.
    """
    if len(descriptors) < LARGE_MAP:
        return ExactSearch(descriptors)
    if not find_faiss():
        logger.warning(
            'map %s has %d images, and every one is compared with every query: for approximate '
            'search install faiss, `pip install relloc_ros[large]`',
            generation.folder,
            len(descriptors),
        )
        return ExactSearch(descriptors)
    if not generation.retrieval.is_dir():
        logger.warning(
            'map %s has %d images and no index of them, as it was built without faiss: every one '
            'is compared with every query; build it again for approximate search',
            generation.folder,
            len(descriptors),
        )
        return ExactSearch(descriptors)
    rows = StoredRows(generation.global_descriptors, np.dtype(np.float32))
    return ApproximateSearch(generation.retrieval, rows)
