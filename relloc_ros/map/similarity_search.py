# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Search of global descriptors by inner product: faiss where it is installed, else NumPy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ['ExactSearch', 'SimilaritySearch', 'make_search']

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]


class SimilaritySearch(Protocol):
    """The signature of a faiss index."""

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        """Give similarities and row numbers (Q, k) of queries (Q, D), best first."""


class ExactSearch:
    """Inner product with every row; the rows (N, D) may be memory-mapped."""

    def __init__(self, rows: FloatArray) -> None:
        """Keep the rows."""
        self._rows = rows

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        """Give similarities and row numbers (Q, k) of queries (Q, D), best first."""
        similarities = queries @ self._rows.T
        best = np.argsort(-similarities, axis=1, kind='stable')[:, :k]
        return np.take_along_axis(similarities, best, axis=1), best


def make_search(rows: FloatArray) -> SimilaritySearch:
    """Make the search for rows (N, D)."""
    try:
        import faiss  # noqa: PLC0415  optional
    except ImportError:
        return ExactSearch(rows)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    search: SimilaritySearch = index
    return search
