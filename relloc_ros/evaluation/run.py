# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize all queries, leave out those that are in the map, and sum up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relloc_ros import __version__
from relloc_ros.config import LocalizationConfig, flatten
from relloc_ros.errors import DataError
from relloc_ros.evaluation.metrics import (
    PoseError,
    error_statistics,
    latency_statistics,
    measure_error,
    normalized_error,
)
from relloc_ros.evaluation.queries import Queries, Query
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PoseEstimate, Status

__all__ = ['Evaluation', 'LeftOut', 'Outcome', 'evaluate']

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One query, its answer and the truth.

    Attributes:
        name: of the query.
        stamp_ns: of the query.
        localization: status, timings and pose of the camera; without the matches.
        estimate: pose of the body that is scored; None unless localized.
        truth: true map_from_body; None if unknown.
    """

    name: str
    stamp_ns: int
    localization: Localization
    estimate: PoseEstimate | None
    truth: RigidTransform | None

    @property
    def error(self) -> PoseError | None:
        """Position (map units) and rotation (degrees), infinite without a pose; None untold."""
        return None if self.truth is None else measure_error(self.estimate, self.truth)

    @property
    def nees(self) -> float | None:
        """Squared error weighed by the covariance, 6 on average where that tells the truth."""
        if self.truth is None or self.estimate is None:
            return None
        return normalized_error(self.estimate, self.truth)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A query that is in the map, and therefore none."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All outcomes in order, and under which conditions they came about."""

    outcomes: tuple[Outcome, ...]
    left_out: tuple[LeftOut, ...]
    body: str
    reference_map: ReferenceMap
    config: LocalizationConfig

    @property
    def num_scored(self) -> int:
        """Count the queries whose true pose is known."""
        return sum(outcome.truth is not None for outcome in self.outcomes)

    def metrics(self) -> dict[str, Any]:
        """Sum up; plain values for JSON, None for what is infinite or unknown."""
        localizations = [outcome.localization for outcome in self.outcomes]
        num_localized = sum(localization.localized for localization in localizations)
        errors = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        nees = [outcome.nees for outcome in self.outcomes if outcome.nees is not None]
        statuses = Counter(localization.status for localization in localizations)
        return {
            'localizer': self.config.localizer,
            'queries': len(self.outcomes),
            'localized': num_localized,
            'availability': num_localized / len(self.outcomes),
            **error_statistics(errors),
            'latency_ms': latency_statistics(item.timings_ms for item in localizations),
            'scored': self.num_scored,
            'median_nees': float(np.median(nees)) if nees else None,
            'statuses': {status.value: statuses[status] for status in Status if statuses[status]},
            'left_out': [{'name': item.name, 'reason': item.reason} for item in self.left_out],
            'body': self.body,
            'map': str(self.reference_map.path),
            'map_id': self.reference_map.map_id,
            'units': self.reference_map.units,
            'config': flatten(self.config),
            'version': __version__,
        }


def evaluate(
    queries: Queries,
    relocalizer: Relocalizer,
    *,
    allow_map_images: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Localize all queries but those that are in the map, by name or by content.

    Args:
        queries: with known poses.
        relocalizer: what is judged.
        allow_map_images: localize those in the map as well.
        progress: called with (queries done, all queries, detail).

    Raises:
        DataError: no query is left, or the source is damaged.
    """
    reference_map = relocalizer.reference_map
    map_names = frozenset(reference_map.image_names)
    outcomes: list[Outcome] = []
    left_out: list[LeftOut] = []
    for done, query in enumerate(queries, start=1):
        reason = '' if allow_map_images else _reason_to_leave_out(query, map_names, reference_map)
        if reason:
            left_out.append(LeftOut(query.name, reason))
        else:
            outcomes.append(_localize(query, relocalizer))
        if progress is not None:
            progress(done, len(queries), query.name)
    if not outcomes:
        raise DataError(
            f'nothing to evaluate: all {len(left_out)} queries are images of the map '
            f'{reference_map.path}; --allow-map-images takes them nevertheless'
        )
    return Evaluation(
        tuple(outcomes), tuple(left_out), queries.body, reference_map, relocalizer.config
    )


def _localize(query: Query, relocalizer: Relocalizer) -> Outcome:
    answer = query.localize(relocalizer)
    # The matches of thousands of queries would fill the memory.
    localization = replace(answer.localization, pairs=())
    return Outcome(query.name, query.stamp_ns, localization, answer.estimate, query.truth)


def _reason_to_leave_out(
    query: Query, map_names: Collection[str], reference_map: ReferenceMap
) -> str:
    if query.name in map_names:
        return 'the map has an image of this name'
    pixels = query.pixels()
    twin = None if pixels is None else reference_map.find_same(pixels)
    return '' if twin is None else f'the map has the same image as {twin}'
