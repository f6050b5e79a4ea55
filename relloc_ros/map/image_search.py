# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a map are similar to a query, and which are near a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import StoredIndex
from relloc_ros.map.reach import reach
from relloc_ros.map.similarity_search import open_search
from relloc_ros.map.stored_rows import StoredRows

__all__ = ['ImageSearch']

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Allowed = NDArray[np.bool_]


class ImageSearch:
    """Search among the N images of a map.

    Attributes:
        centres: (N, 3) float64 camera centres in the map.
        descriptors: N rows of global descriptors, on disk.
    """

    def __init__(self, generation: Generation, index: StoredIndex) -> None:
        """Open what it needs.

        Raises:
            MapError: missing or damaged files.
        """
        self.centres = index.centres
        self.descriptors = StoredRows(generation.global_descriptors, np.dtype(np.float32))
        self._search = open_search(generation, index.descriptors)
        self._reaches: dict[int, float] = {}

    def similar(
        self, descriptor: FloatArray, k: int, allowed: Allowed | None = None
    ) -> tuple[IndexArray, FloatArray]:
        """Find the `k` images most similar to a global descriptor, as `ReferenceMap.retrieve`."""
        if not descriptor.any():
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        return self._search.nearest(descriptor, min(k, len(self.centres)), allowed)

    def near(self, centre: Array, radius: float, k: int) -> Allowed:
        """Find the images that may show what is seen near, as `ReferenceMap.images_near`."""
        if k not in self._reaches:
            self._reaches[k] = reach(self.centres, self.descriptors, self._search, k)
        # By columns: rows of three would be copied, for a large map tens of megabytes.
        squares = np.zeros(len(self.centres))
        for axis in range(3):
            squares += (self.centres[:, axis] - centre[axis]) ** 2
        near: Allowed = squares <= (radius + self._reaches[k]) ** 2
        if np.count_nonzero(near) < k:
            near[np.argpartition(squares, min(k, len(near)) - 1)[:k]] = True
        return near
