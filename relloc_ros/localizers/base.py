# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every localizer promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.sighting import PlacedSighting, Sighting, add_timings
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, QueryImage, Status

__all__ = ['Localizer', 'RigLocalizer', 'StageTimer', 'no_features', 'no_retrieval']


class Localizer(ABC):
    """One method of localization.

    `localize` depends on its arguments only: same query and seed, same answer, in any order.
    A hard image is a status, never an exception, and never a made-up pose.
    """

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Prepare to localize in a map.

        Raises:
            MapError: the map lacks what the method needs; the message says how to add it.
        """
        self.reference_map = reference_map
        self.config = config

    @property
    def learned_images(self) -> NDArray[np.bool_]:
        """(N,) which images of the map it has learned, so that they say nothing of its errors.

        None but of a method that is trained on the map.
        """
        return np.zeros(self.reference_map.num_images, dtype=bool)

    @abstractmethod
    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""


class RigLocalizer(Localizer):
    """A method in two steps, the second of which takes any number of images.

    A camera alone is a rig of one. Both steps depend on their arguments only.
    """

    @abstractmethod
    def sight(self, query: QueryImage, seed: int) -> Sighting:
        """Find out what an image shows of the map, by itself."""

    @abstractmethod
    def locate(self, views: Sequence[PlacedSighting], seed: int) -> Localization:
        """Estimate the pose of the body that at least one view was seen from.

        Views that show nothing contribute nothing. The times of their sightings are not counted.
        """

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""
        sighting = self.sight(query, seed)
        found = self.locate([PlacedSighting(sighting, RigidTransform.identity())], seed)
        return add_timings(found, sighting.timings_ms)


def no_features(query: QueryImage, count: int, timer: StageTimer) -> Sighting:
    """Say that an image has too few keypoints for anything."""
    reason = f'{count} keypoints: the image is blank, dark, blurred or covered'
    return Sighting(
        query.name,
        query.stamp_ns,
        status=Status.NO_FEATURES,
        reason=reason,
        timings_ms=timer.milliseconds,
    )


def no_retrieval(query: QueryImage, timer: StageTimer) -> Sighting:
    """Say that no map image is like an image."""
    reason = 'no map image is as similar as min_similarity: not a place of this map?'
    return Sighting(
        query.name,
        query.stamp_ns,
        status=Status.NO_RETRIEVAL,
        reason=reason,
        timings_ms=timer.milliseconds,
    )
