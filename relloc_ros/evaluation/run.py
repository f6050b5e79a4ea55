# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize all queries, leave out those that are in the map, and explain the failures.

The images of a bag are those of one robot: the node's tracker judges their poses here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import tee
from pathlib import Path
from typing import NamedTuple

from relloc_ros import __version__
from relloc_ros.config import LocalizationConfig, flatten
from relloc_ros.errors import DataError
from relloc_ros.evaluation.failures import Failure, FailureAnalysis
from relloc_ros.evaluation.outcomes import LeftOut, Outcome, Run
from relloc_ros.evaluation.queries import Answer, Queries, Query
from relloc_ros.map.image_description import in_full
from relloc_ros.map.same_map import open_same
from relloc_ros.parallel import Task, TaskPool
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
    pool: TaskPool | None = None,
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
        pool: localizes the queries; None does it here, one after the other. Only the timings
            differ.

    Raises:
        DataError: no query is left, or the source is damaged.
        WorkerError: the pool's workers cannot be reached, or die.
    """
    reference_map = relocalizer.reference_map
    analysis = FailureAnalysis(reference_map, relocalizer.config)
    outcomes: list[Outcome] = []
    left_out: list[LeftOut] = []
    total = len(queries) + len(negatives)
    asked = _ask_all(queries, relocalizer, not allow_map_images, pool)
    for done, (query, answer) in enumerate(asked, start=1):
        if isinstance(answer, LeftOut):
            left_out.append(answer)
        else:
            outcomes.append(_judge(query, answer, tracker, analysis, observer))
        if progress is not None:
            progress(done, total, query.name)
    if not outcomes:
        raise DataError(
            f'nothing to evaluate: all {len(left_out)} queries are images of the map '
            f'{reference_map.path}; --allow-map-images takes them nevertheless'
        )
    asked = _ask_all(negatives, relocalizer, False, pool)
    for done, (query, answer) in enumerate(asked, start=len(queries) + 1):
        if isinstance(answer, Answer):
            outcomes.append(_judge(query, answer, None, None, observer))
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


class _Localizer(NamedTuple):
    relocalizer: Relocalizer
    map_names: frozenset[str] | None
    """Of the images that are left out; None leaves out none."""


def _ask_all(
    queries: Queries | tuple[()],
    relocalizer: Relocalizer,
    leave_out: bool,
    pool: TaskPool | None,
) -> Iterator[tuple[Query, Answer | LeftOut]]:
    """Give each query with its answer, or why it is left out."""
    localizer = _make_localizer(relocalizer, leave_out)
    if pool is None:
        for query in queries:
            yield query, _ask(localizer, query)
        return
    reference_map = relocalizer.reference_map
    path, map_id = reference_map.path.absolute(), reference_map.map_id
    make = partial(_open_localizer, path, map_id, in_full(relocalizer.config), leave_out)
    kept, sent = tee(queries)
    yield from zip(kept, pool.map(Task(_ask, localizer, make), sent), strict=True)


def _open_localizer(
    path: Path, map_id: str, config: LocalizationConfig, leave_out: bool
) -> _Localizer:
    """Make in a worker what the evaluating process has."""
    reference_map = open_same(path, map_id, config.descriptor_cache_mb, config.weights_folder)
    return _make_localizer(Relocalizer(reference_map, config), leave_out)


def _make_localizer(relocalizer: Relocalizer, leave_out: bool) -> _Localizer:
    names = frozenset(relocalizer.reference_map.image_names) if leave_out else None
    return _Localizer(relocalizer, names)


def _ask(localizer: _Localizer, query: Query) -> Answer | LeftOut:
    relocalizer, map_names = localizer
    if map_names is not None:
        if query.name in map_names:
            return LeftOut(query.name, 'the map has an image of this name')
        pixels = query.pixels()
        twin = None if pixels is None else relocalizer.reference_map.find_same(pixels)
        if twin is not None:
            return LeftOut(query.name, f'the map has the same image as {twin}')
    return query.localize(relocalizer)


def _judge(
    query: Query,
    answer: Answer,
    tracker: Tracker | None,
    analysis: FailureAnalysis | None,
    observer: Observer | None,
) -> Outcome:
    """Take down an answer; without an analysis of failures the query is one of another place."""
    if tracker is not None:
        answer = _track(query, answer, tracker)
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
        confidence=localization.confidence,
        retrieved=localization.retrieved,
        timings_ms=localization.timings_ms,
        failure=failure.stage,
        failure_detail=failure.detail,
    )


def _track(query: Query, answer: Answer, tracker: Tracker) -> Answer:
    """Take a pose that the tracker does not trust for none, and what it made of one it does."""
    localization = answer.localization
    verdict = tracker.update(
        Observation(query.stamp_ns, answer.estimate, query.odom_from_body, localization.reason)
    )
    if verdict.fused is not None:
        return Answer(localization, verdict.fused)
    if verdict.accepted or answer.estimate is None:
        return answer
    gated = replace(localization, status=Status.GATED, reason=verdict.reason, camera_pose=None)
    return Answer(gated, None)
