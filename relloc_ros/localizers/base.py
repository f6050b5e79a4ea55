# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every localizer promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
import time

from relloc_ros.config import LocalizationConfig
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, QueryImage

__all__ = ['Localizer', 'StageTimer']


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

    @abstractmethod
    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""


class StageTimer:
    """Wall milliseconds of named stages."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = 1e3 * (time.perf_counter() - start)
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + elapsed
