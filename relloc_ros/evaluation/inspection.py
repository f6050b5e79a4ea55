# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worst queries of a run, localized again to see what happened to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat, zip_longest
import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.queries import Query
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PairMatches

__all__ = ['Inspection', 'MapPicture', 'inspect_queries', 'worst_outcomes']

ImageArray = NDArray[np.uint8]
Progress = Callable[[int, int, str], None]

NUM_WORST = 6
NUM_MAP_IMAGES = 4
NEIGHBOURHOODS = 4
"""For each query chosen, the run has this many."""


@dataclass(frozen=True, slots=True, eq=False)
class MapPicture:
    """A map image, small.

    Attributes:
        image: BGR, uint8.
        size: width and height of the map image itself, which matches refer to, pixels.
    """

    image: ImageArray
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What is shown of a query.

    Attributes:
        outcome: what came out in the run.
        image: grey or BGR, uint8; None if it cannot be decoded.
        pairs: matches with map images, most inliers first.
        map_pictures: by name, of images matched or retrieved; without those the map does not keep.
    """

    outcome: Outcome
    image: ImageArray | None
    pairs: tuple[PairMatches, ...] = ()
    map_pictures: Mapping[str, MapPicture] | None = None


def worst_outcomes(run: Run, count: int = NUM_WORST) -> list[Outcome]:
    """Choose failures first, some of each kind, then the largest errors.

    Kinds are images of other places that got a pose, poses that are wrong, and no pose at all.
    Neighbours in the run, which fail for one and the same reason, are passed over while there
    are others.
    """
    queries = [o for o in run.outcomes if not o.negative]
    accepted = [o for o in run.negatives if o.localized]
    wrong = sorted((o for o in queries if o.localized and o.failure), key=_error, reverse=True)
    lost = [o for o in queries if not o.localized]
    failures = _spread(accepted, count), _apart(wrong, run, count), _spread(lost, count)
    mixed = [o for kinds in zip_longest(*failures) for o in kinds if o is not None]
    rest = [o for o in queries if o.localized and not o.failure and o.error is not None]
    return [*mixed, *_apart(sorted(rest, key=_error, reverse=True), run, count)][:count]


def inspect_queries(
    queries: Iterable[Query],
    relocalizer: Relocalizer,
    outcomes: Sequence[Outcome],
    *,
    negatives: Iterable[Query] = (),
    progress: Progress | None = None,
) -> list[Inspection]:
    """Localize queries again, which gives the same answers as before, and keep the images.

    Args:
        queries: of the run; only the chosen are decoded.
        relocalizer: of the run.
        outcomes: the chosen.
        negatives: of the run.
        progress: called with (queries done, all chosen, detail).

    Returns:
        In the order of `outcomes`; without those that are not among the queries.
    """
    wanted = {(each.negative, each.name, each.stamp_ns): each for each in outcomes}
    keys = list(wanted)
    found = {}
    for negative, query in chain(zip(repeat(False), queries), zip(repeat(True), negatives)):
        key = negative, query.name, query.stamp_ns
        outcome = wanted.pop(key, None)
        if outcome is None:
            continue
        found[key] = _inspect(query, outcome, relocalizer)
        if progress is not None:
            progress(len(found), len(outcomes), query.name)
        if not wanted:
            break
    return [found[key] for key in keys if key in found]


def _inspect(query: Query, outcome: Outcome, relocalizer: Relocalizer) -> Inspection:
    localization = query.localize(relocalizer).localization
    pairs = sorted(
        (pair for pair in localization.pairs if len(pair.inliers)),
        key=lambda pair: (-int(pair.inliers.sum()), -len(pair.inliers)),
    )
    pictures = _map_pictures(localization, pairs, relocalizer.reference_map)
    return Inspection(outcome, query.pixels(), tuple(pairs), pictures)


def _map_pictures(
    localization: Localization, pairs: Sequence[PairMatches], reference_map: ReferenceMap
) -> dict[str, MapPicture]:
    names = chain((pair.image_name for pair in pairs), localization.retrieved)
    pictures = {}
    for name in list(dict.fromkeys(names))[:NUM_MAP_IMAGES]:
        index = reference_map.index_of(name)
        image = None if index is None else reference_map.thumbnail(index)
        if index is not None and image is not None:
            camera = reference_map.camera(index)
            pictures[name] = MapPicture(image, (camera.width, camera.height))
    return pictures


def _apart(ranked: Sequence[Outcome], run: Run, count: int) -> list[Outcome]:
    """Those of which no neighbour comes before them, then the others."""
    places = {id(outcome): place for place, outcome in enumerate(run.outcomes)}
    gap = len(places) // (NEIGHBOURHOODS * count)
    chosen: list[Outcome] = []
    for outcome in ranked:
        if all(abs(places[id(outcome)] - places[id(other)]) > gap for other in chosen):
            chosen.append(outcome)
        if len(chosen) == count:
            break
    return [*chosen, *(outcome for outcome in ranked if outcome not in chosen)]


def _spread(outcomes: Sequence[Outcome], count: int) -> list[Outcome]:
    """At most `count`, evenly spaced."""
    if len(outcomes) <= count:
        return list(outcomes)
    places = np.linspace(0, len(outcomes) - 1, count).round().astype(int)
    return [outcomes[place] for place in places]


def _error(outcome: Outcome) -> float:
    """Position error, the larger the worse; wrong in an unknown way is worst."""
    return math.inf if outcome.error is None else outcome.error[0]
