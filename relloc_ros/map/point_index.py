# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put together what a map knows of its 3D points, from which keypoints show which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.visual_words import learn_words, make_entries
from relloc_ros.vision.features import FeatureExtractor

__all__ = ['index_points']


def index_points(
    positions: Array,
    shown: Sequence[NDArray[np.int32]],
    stored: Iterable[NDArray[np.uint8]],
    extractor: FeatureExtractor,
    seed: int,
) -> MapPoints:
    """Learn visual words from the keypoints that show points, and list who shows what.

    Args:
        positions: (P, 3) in the map.
        shown: for each image, the points that its M keypoints show, or `NO_POINT`, (M,).
        stored: for each image, its descriptors (M, D) as the extractor stores them.
        extractor: of these descriptors.
        seed: of the words.
    """
    keypoint_points = np.concatenate(shown)
    seen = np.flatnonzero(keypoint_points != NO_POINT)
    descriptors = np.concatenate(
        [rows[points != NO_POINT] for rows, points in zip(stored, shown, strict=True)]
    )
    unit = extractor.unit_descriptors(descriptors)
    words = learn_words(unit, seed)
    found = make_entries(unit, keypoint_points[seen], words)
    return MapPoints(
        positions=positions,
        keypoint_offsets=_offsets(np.array([len(points) for points in shown])),
        keypoint_points=keypoint_points,
        observation_offsets=_offsets(np.bincount(keypoint_points[seen], minlength=len(positions))),
        observations=seen[np.argsort(keypoint_points[seen], kind='stable')].astype(np.int64),
        words=words,
        word_offsets=found.offsets,
        entry_points=found.points,
        entry_descriptors=descriptors[found.rows],
    )


def _offsets(counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
