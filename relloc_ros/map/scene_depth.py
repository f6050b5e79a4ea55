# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far from its cameras the scene of a map is: the yardstick of maps in any unit."""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array, skew
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.matching import match_mutual_ratio
from relloc_ros.vision.relative_pose import MatchedPoints, sampson_errors

__all__ = ['scene_depths']

NUM_IMAGES = 24
"""Map images asked, spread over the map."""
NUM_SIMILAR = 50
"""Images similar to each; the most similar, that halfway off and the furthest are its partners."""
MATCH_RATIO = 0.8
MAX_ERROR_PX = 2.0
MIN_ANGLE = np.deg2rad(1.0)
"""Between the rays of a match whose depth is taken."""
MIN_MATCHES = 15
"""Fewer on the epipolar lines of a pair are there by chance."""
MIN_SHARE = 0.1
"""Of the matches whose rays meet at an angle; with fewer, the cameras only turn."""
QUANTILES = (0.25, 0.5, 0.75)
FAR = 1e3
"""Depth in units of the map's extent where the cameras only turn: as good as infinite."""


def scene_depths(reference_map: ReferenceMap) -> Array:
    """Quartiles (3,) of the depth of what the map's images see, map units.

    Measured on the matches of a few pairs of similar images. Cameras that only turn see
    everything infinitely far away; where no pair has matches, the scene is taken to be as far as
    the map is wide.
    """
    chosen = np.linspace(0, reference_map.num_images - 1, NUM_IMAGES).astype(int)
    pairs = [
        (index, partner)
        for index in np.unique(chosen).tolist()
        for partner in _partners(reference_map, index)
    ]
    found = [_match_depths(reference_map, *pair) for pair in pairs]
    depths = np.concatenate(found) if found else np.empty(0)
    extent = max(float(np.linalg.norm(np.ptp(reference_map.centres, axis=0))), 1e-9)
    known = depths[np.isfinite(depths)]
    if len(known) > MIN_SHARE * len(depths):
        return np.quantile(known, QUANTILES)
    return np.full(len(QUANTILES), extent if len(depths) == 0 else FAR * extent)


def _partners(reference_map: ReferenceMap, index: int) -> list[int]:
    descriptor = reference_map.global_descriptors(np.array([index]))[0]
    similar, _ = reference_map.retrieve(descriptor, NUM_SIMILAR + 1)
    similar = similar[similar != index]
    if len(similar) == 0:
        return []
    centres = reference_map.centres
    distances = np.linalg.norm(centres[similar] - centres[index], axis=1)
    by_distance = similar[np.argsort(-distances, kind='stable')]
    halfway = by_distance[len(similar) // 2]
    return sorted({int(similar[0]), int(halfway), int(by_distance[0])})


def _match_depths(reference_map: ReferenceMap, first: int, second: int) -> Array:
    """Depths (K,) in the first image of its matches; infinite for rays that are parallel."""
    ours, theirs = reference_map.features(first), reference_map.features(second)
    extractor = reference_map.extractor
    matches = match_mutual_ratio(
        extractor.unit_descriptors(ours.descriptors),
        extractor.unit_descriptors(theirs.descriptors),
        MATCH_RATIO,
    )
    points = MatchedPoints(
        ours.normalized[matches[:, 0]],
        theirs.normalized[matches[:, 1]],
        reference_map.camera(first).mean_focal_length,
        reference_map.camera(second).mean_focal_length,
    )
    first_from_second = (
        reference_map.cam_from_map(first) @ reference_map.cam_from_map(second).inverse()
    )
    essential = skew(first_from_second.translation) @ first_from_second.rotation
    agreeing = np.abs(sampson_errors(essential, points)) <= MAX_ERROR_PX
    if agreeing.sum() < MIN_MATCHES:
        return np.empty(0)
    points = points.select(agreeing)
    return _depths(
        _rays(points.query),
        _rays(points.reference) @ first_from_second.rotation.T,
        first_from_second.translation,
    )


def _depths(rays: Array, other_rays: Array, baseline: Array) -> Array:
    """Depths along rays (N, 3) where they are nearest to other rays (N, 3) from `baseline`."""
    aa, bb = (rays**2).sum(axis=1), (other_rays**2).sum(axis=1)
    ab = (rays * other_rays).sum(axis=1)
    at, bt = rays @ baseline, other_rays @ baseline
    determinant = aa * bb - ab**2
    parallel = determinant < np.sin(MIN_ANGLE) ** 2 * aa * bb
    determinant[parallel] = 1.0
    depth = (bb * at - ab * bt) / determinant
    other_depth = (ab * at - aa * bt) / determinant
    depth[parallel] = np.inf
    other_depth[parallel] = np.inf
    kept: Array = depth[(depth > 0.0) & (other_depth > 0.0)]
    return kept


def _rays(points2D: Array) -> Array:
    return np.column_stack([points2D, np.ones(len(points2D))])
