# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Query keypoints that several map images triangulate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import EssentialConfig
from relloc_ros.geometry import Array
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import NO_ROW, SeenPoints
from relloc_ros.vision.local_structure import PosedViews, Tracks, triangulate_tracks

__all__ = ['triangulate_matches']


def triangulate_matches(
    query: QueryFeatures, matched: Sequence[MatchedImage], settings: EssentialConfig
) -> SeenPoints:
    """Triangulate the query keypoints that are matched in two or more map images."""
    observations, seen = _observations(query, matched)
    several = np.flatnonzero(seen.sum(axis=1) >= 2)
    views = PosedViews.of(
        [image.cam_from_map for image in matched],
        [image.focal_length for image in matched],
    )
    tracks = triangulate_tracks(
        several,
        observations[several],
        seen[several],
        views,
        threshold_px=settings.reprojection_threshold_px,
        min_angle=np.deg2rad(settings.min_triangulation_angle_deg),
    )
    return SeenPoints(tracks.keypoint_index, tracks.points, _shown(tracks, query, matched))


def _observations(
    query: QueryFeatures, matched: Sequence[MatchedImage]
) -> tuple[Array, NDArray[np.bool_]]:
    """Observations (N, P, 2) of each query keypoint in each map image, and which exist (N, P)."""
    observations = np.zeros((len(query), len(matched), 2))
    seen = np.zeros((len(query), len(matched)), dtype=bool)
    for column, image in enumerate(matched):
        query_index, map_index = image.matches.T
        observations[query_index, column] = image.features.normalized[map_index]
        seen[query_index, column] = True
    return observations, seen


def _shown(
    tracks: Tracks, query: QueryFeatures, matched: Sequence[MatchedImage]
) -> tuple[NDArray[np.intp], ...]:
    """For each image, which track each of its matches belongs to."""
    rows = np.full((len(query), len(matched)), NO_ROW, dtype=np.intp)
    each = np.arange(len(tracks))[:, None]
    rows[tracks.keypoint_index] = np.where(tracks.seen, each, NO_ROW)
    return tuple(rows[image.matches[:, 0], column] for column, image in enumerate(matched))
