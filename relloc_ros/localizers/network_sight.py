# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What localization by networks has in common: which map images they look at, and who cannot."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.localizers.base import no_retrieval
from relloc_ros.localizers.reference_matching import retrieve_images
from relloc_ros.localizers.sighting import Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import QueryImage, Status

__all__ = ['NetworkSight']

MAX_ASPECT = 4.0
"""Longer than so many times its width, an image is no photo; resized, it would fill the memory."""


class NetworkSight(ABC):
    """Finds out what a query shows of the map, by a network."""

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Take map and settings."""
        self.reference_map = reference_map
        self.config = config

    def sight(self, query: QueryImage, seed: int) -> Sighting:
        """Look at the query and some map images.

        Args:
            query: the image.
            seed: of the random steps of this image.

        Raises:
            DataError: an image of the map cannot be read, or the network gives no numbers.
        """
        timer = StageTimer()
        height, width = query.image.shape[:2]
        if max(height, width) > MAX_ASPECT * min(height, width):
            return Sighting(
                query.name,
                query.stamp_ns,
                status=Status.NO_FEATURES,
                reason=f'{width}x{height} pixels: too narrow for a network',
                timings_ms=timer.milliseconds,
            )
        with timer('retrieval'):
            retrieved = retrieve_images(self.reference_map, query, self.config)
            chosen = self._choose(retrieved)
        if len(chosen) == 0:
            return no_retrieval(query, timer)
        names = tuple(self.reference_map.image_names[index] for index in retrieved)
        return self.look(query, seed, names, chosen, timer)

    @abstractmethod
    def look(
        self,
        query: QueryImage,
        seed: int,
        retrieved: tuple[str, ...],
        chosen: NDArray[np.intp],
        timer: StageTimer,
    ) -> Sighting:
        """Look at the query and the map images (P,) chosen."""

    def _choose(self, retrieved: NDArray[np.intp]) -> NDArray[np.intp]:
        """Give the most similar images seen from different places (Zhou et al., III-A)."""
        settings = self.config.essential
        limits = (settings.min_image_distance, settings.max_image_distance)
        centres = self.reference_map.centres[retrieved]
        return retrieved[select_diverse(centres, settings.max_pairs, limits)]
