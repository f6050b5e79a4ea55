# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Match the images of a map with each other, for COLMAP to triangulate."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import shutil

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import ImageIndex
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.matching import Keypoints, MutualRatio
from relloc_ros.vision.relative_pose import MatchedPoints

__all__ = ['Pair', 'Progress', 'Verify', 'match_pairs']

Progress = Callable[[int, int, str], None]
Pair = tuple[int, int]
Verify = Callable[[Pair, MatchedPoints], NDArray[np.bool_]]
"""Tells which matches (K,) of two images are good; the first image is the query."""

RETRIEVED, NEIGHBOURS = 40, 20
"""Images retrieved for each image, and how many of them, seen from different places, matched."""
MIN_PAIR_MATCHES = 8
WORKERS = 2


def match_pairs(
    reference_map: ReferenceMap, new: Generation, output: Path, verify: Verify, report: Progress
) -> None:
    """Write the verified matches of similar images into a copy of a map's database.

    Args:
        reference_map: the map.
        new: with the same images and keypoints as the map.
        output: the copy.
        verify: says which matches are good; called by several threads.
        report: called with the number done, the number in all and the name of the stage.
    """
    pairs = _choose_pairs(reference_map)
    shutil.copyfile(new.database, output)
    ids = [entry.image_id for entry in ImageIndex.read(new).entries]
    matcher = MutualRatio(reference_map.extractor.match_ratio)

    def match(pair: Pair) -> NDArray[np.uint32]:
        return _verified_matches(reference_map, pair, matcher, verify)

    database = pycolmap.Database.open(output)
    pool = ThreadPoolExecutor(WORKERS)
    try:
        found = pool.map(match, pairs)
        with pycolmap.DatabaseTransaction(database):
            for done, (pair, matches) in enumerate(zip(pairs, found, strict=True), start=1):
                if len(matches) >= MIN_PAIR_MATCHES:
                    _write_matches(database, ids[pair[0]], ids[pair[1]], matches)
                report(done, len(pairs), 'matching')
    finally:
        pool.shutdown(cancel_futures=True)
        database.close()


def _choose_pairs(reference_map: ReferenceMap) -> list[Pair]:
    """Pair each image with similar ones that are seen from different places."""
    pairs: set[Pair] = set()
    for index in range(reference_map.num_images):
        descriptor = reference_map.global_descriptors(np.array([index]))[0]
        similar, _ = reference_map.retrieve(descriptor, RETRIEVED + 1)
        similar = similar[similar != index]
        chosen = select_diverse(reference_map.centres[similar], NEIGHBOURS, (0.0, 0.0))
        pairs.update((min(index, int(i)), max(index, int(i))) for i in similar[chosen])
    return sorted(pairs)


def _write_matches(
    database: pycolmap.Database, first: int, second: int, matches: NDArray[np.uint32]
) -> None:
    geometry = pycolmap.TwoViewGeometry()
    geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
    geometry.inlier_matches = matches
    database.write_matches(first, second, matches)
    database.write_two_view_geometry(first, second, geometry)


def _verified_matches(
    reference_map: ReferenceMap, pair: Pair, matcher: MutualRatio, verify: Verify
) -> NDArray[np.uint32]:
    """Match two images, (K, 2) rows of their keypoints in the database."""
    features = [reference_map.features(index) for index in pair]
    cameras = [reference_map.camera(index) for index in pair]
    keypoints = [
        Keypoints(
            item.points2D,
            reference_map.extractor.unit_descriptors(item.descriptors),
            (camera.width, camera.height),
        )
        for item, camera in zip(features, cameras, strict=True)
    ]
    matches = matcher.match(*keypoints)
    points = MatchedPoints(
        features[0].normalized[matches[:, 0]],
        features[1].normalized[matches[:, 1]],
        cameras[0].mean_focal_length,
        cameras[1].mean_focal_length,
    )
    good = verify(pair, points)
    rows = [item.rows[matches[good, side]] for side, item in enumerate(features)]
    return np.column_stack(rows).astype(np.uint32)
