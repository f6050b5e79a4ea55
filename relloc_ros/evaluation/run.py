# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize all queries, leave out those that are in the map, and explain the failures.

The images of a bag are those of one robot: the node's tracker judges their poses here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from relloc_ros import __version__
from relloc_ros.config import flatten
from relloc_ros.errors import DataError
from relloc_ros.evaluation.failures import Failure, FailureAnalysis
from relloc_ros.evaluation.outcomes import LeftOut, Outcome, Run
from relloc_ros.evaluation.queries import Answer, Queries, Query
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Status
from relloc_ros.tracker import Observation, Tracker

__all__ = ['Observer', 'Progress', 'evaluate']

Progress = Callable[[int, int, str], None]
Observer = Callable[[Query, Answer], None]


def evaluate(
    queries: Queries,
    relocalizer: Relocalizer,
    *,
    tracker: Tracker | None = None,
    negatives: Queries | tuple[()] = (),
    allow_map_images: bool = False,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Run:
    """Localize all queries but those that are in the map, by name or by content.

    Args:
        queries: with known poses.
        relocalizer: what is judged.
        tracker: for images of one robot: poses that it does not accept are `Status.GATED`. None
            takes each image for itself.
        negatives: images of other places, which must not be localized. Each is taken for itself.
        allow_map_images: localize queries that are in the map as well.
        progress: called with (queries done, all queries, detail).
        observer: called with each query that was localized and its answer, matches included.

    Raises:
        DataError: no query is left, or the source is damaged.
    """
    reference_map = relocalizer.reference_map
    map_names = frozenset(reference_map.image_names)
    analysis = FailureAnalysis(reference_map, relocalizer.config)
    outcomes: list[Outcome] = []
    left_out: list[LeftOut] = []
    total = len(queries) + len(negatives)
    for done, query in enumerate(queries, start=1):
        reason = '' if allow_map_images else _reason_to_leave_out(query, map_names, reference_map)
        if reason:
            left_out.append(LeftOut(query.name, reason))
        else:
            outcomes.append(_localize(query, relocalizer, tracker, analysis, observer))
        if progress is not None:
            progress(done, total, query.name)
    if not outcomes:
        raise DataError(
            f'nothing to evaluate: all {len(left_out)} queries are images of the map '
            f'{reference_map.path}; --allow-map-images takes them nevertheless'
        )
    for done, query in enumerate(negatives, start=len(queries) + 1):
        outcomes.append(_localize(query, relocalizer, None, None, observer))
        if progress is not None:
            progress(done, total, query.name)
    return Run(
        outcomes=tuple(outcomes),
        left_out=tuple(left_out),
        body=queries.body,
        localizer=relocalizer.config.localizer,
        settings=flatten(relocalizer.config) | (flatten(tracker.config) if tracker else {}),
        map_path=str(reference_map.path),
        map_id=reference_map.map_id,
        units=reference_map.units,
        version=__version__,
        sequence=queries.sequence,
    )


def _localize(
    query: Query,
    relocalizer: Relocalizer,
    tracker: Tracker | None,
    analysis: FailureAnalysis | None,
    observer: Observer | None,
) -> Outcome:
    """Localize a query; without an analysis of failures it is one of another place."""
    answer = query.localize(relocalizer)
    if tracker is not None:
        answer = _judge(query, answer, tracker)
    if observer is not None:
        observer(query, answer)
    localization = answer.localization
    # The matches, which explain failures, would fill the memory if they were kept.
    failure = Failure() if analysis is None else analysis.explain(localization, query.true_view())
    return Outcome(
        name=query.name,
        stamp_ns=query.stamp_ns,
        status=localization.status,
        reason=localization.reason,
        estimate=answer.estimate,
        truth=None if analysis is None else query.truth,
        negative=analysis is None,
        num_matches=localization.num_matches,
        num_inliers=localization.num_inliers,
        retrieved=localization.retrieved,
        timings_ms=localization.timings_ms,
        failure=failure.stage,
        failure_detail=failure.detail,
    )


def _judge(query: Query, answer: Answer, tracker: Tracker) -> Answer:
    """Take a pose that the tracker does not trust for none."""
    localization = answer.localization
    verdict = tracker.update(
        Observation(query.stamp_ns, answer.estimate, query.odom_from_body, localization.reason)
    )
    if verdict.accepted or answer.estimate is None:
        return answer
    gated = replace(localization, status=Status.GATED, reason=verdict.reason, camera_pose=None)
    return Answer(gated, None)


def _reason_to_leave_out(
    query: Query, map_names: Collection[str], reference_map: ReferenceMap
) -> str:
    if query.name in map_names:
        return 'the map has an image of this name'
    pixels = query.pixels()
    twin = None if pixels is None else reference_map.find_same(pixels)
    return '' if twin is None else f'the map has the same image as {twin}'
