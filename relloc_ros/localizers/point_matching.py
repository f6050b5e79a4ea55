# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matches of query keypoints with the 3D points of a map: by way of images, or by visual words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.visual_words import nearest_words

__all__ = ['PointMatches', 'images_of_matches', 'lift_matches', 'search_points']


@dataclass(frozen=True, slots=True, eq=False)
class PointMatches:
    """Query keypoints and the points they may show, each keypoint once at most.

    Attributes:
        keypoints: (C,) rows of the query's features.
        points: (C,) rows of the map's points.
    """

    keypoints: NDArray[np.intp]
    points: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.keypoints)


def lift_matches(points: MapPoints, matched: Sequence[MatchedImage]) -> PointMatches:
    """Turn matches with map images into matches with the points their keypoints show.

    Where the images disagree about a keypoint, most of them decide.
    """
    found = [np.empty((0, 2), dtype=np.intp)]
    for image in matched:
        shown = points.of_image(image.index)[image.features.rows[image.matches[:, 1]]]
        pairs = np.column_stack([image.matches[:, 0], shown])
        found.append(pairs[shown != NO_POINT])
    pairs, votes = np.unique(np.concatenate(found), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], -votes, pairs[:, 0]))
    keypoints, first = np.unique(pairs[order, 0], return_index=True)
    return PointMatches(keypoints, pairs[order][first, 1])


def search_points(
    reference_map: ReferenceMap,
    points: MapPoints,
    query: QueryFeatures,
    *,
    ratio: float,
    max_matches: int,
) -> PointMatches:
    """Match with the whole map, cheapest words first, until there are enough matches.

    Prioritized search of Active Search (Sattler et al., PAMI 2017), without its second direction:
    a keypoint is compared with the points of its own visual word. Words with few of them come
    first, because they cost least and are the most distinctive.
    """
    found: dict[int, tuple[float, int]] = {}
    for keypoints, row_range in _by_cost(points, query):
        entries = points.entry_points[row_range]
        if len(entries) < 2:  # nothing says whether the nearest is distinctive
            continue
        stored = points.entry_descriptors[row_range]
        similarity = (
            query.descriptors[keypoints] @ reference_map.extractor.unit_descriptors(stored).T
        )
        two = np.argpartition(-similarity, 1, axis=1)[:, :2]
        values = np.take_along_axis(similarity, two, axis=1)
        swap = values[:, 1] > values[:, 0]
        two[swap], values[swap] = two[swap][:, ::-1], values[swap][:, ::-1]
        distances = np.maximum(1.0 - values, 0.0)
        for row in np.flatnonzero(distances[:, 0] <= ratio * ratio * distances[:, 1]):
            point, distance = int(entries[two[row, 0]]), float(distances[row, 0])
            if point not in found or distance < found[point][0]:
                found[point] = distance, int(keypoints[row])
        if len(found) >= max_matches:
            break
    return PointMatches(
        np.array([keypoint for _, keypoint in found.values()], dtype=np.intp),
        np.array(list(found), dtype=np.intp),
    )


def _by_cost(points: MapPoints, query: QueryFeatures) -> Iterator[tuple[NDArray[np.intp], slice]]:
    """Give the keypoints of each word with the rows of its entries, fewest entries first."""
    words = nearest_words(query.descriptors, np.asarray(points.words))
    counts = np.diff(points.word_offsets)
    present = np.unique(words)
    for word in present[np.argsort(counts[present], kind='stable')]:
        start, end = points.word_offsets[word : word + 2]
        yield np.flatnonzero(words == word), slice(int(start), int(end))


def images_of_matches(
    reference_map: ReferenceMap, points: MapPoints, matches: PointMatches
) -> list[MatchedImage]:
    """Give map images that together see all matched points, with these as matches.

    Greedily: each image is the one that sees most of what those before it do not. All points are
    covered since a match that no image showed could support no pose.
    """
    which, images, rows = points.observations_of(matches.points)
    uncovered = np.ones(len(matches), dtype=bool)
    chosen = []
    while len(images) and uncovered[which].any():
        index = int(np.bincount(images[uncovered[which]]).argmax())
        seen = images == index
        uncovered[which[seen]] = False
        chosen.append(_seen_in(reference_map, index, matches.keypoints[which[seen]], rows[seen]))
    return chosen


def _seen_in(
    reference_map: ReferenceMap,
    index: int,
    keypoints: NDArray[np.intp],
    rows: NDArray[np.intp],
) -> MatchedImage:
    features = reference_map.features(index)
    columns = np.minimum(np.searchsorted(features.rows, rows), len(features) - 1)
    usable = features.rows[columns] == rows
    return MatchedImage(
        index=index,
        name=reference_map.image_names[index],
        cam_from_map=reference_map.cam_from_map(index),
        focal_length=reference_map.camera(index).mean_focal_length,
        features=features,
        matches=np.column_stack([keypoints, columns])[usable],
    )
