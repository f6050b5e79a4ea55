# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Match the images of a map with each other, for COLMAP to triangulate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
import shutil
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import pycolmap
from threadpoolctl import threadpool_limits

from relloc_ros.camera import Camera
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.format import Generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.same_map import open_same
from relloc_ros.parallel import Task, TaskPool, ThreadTasks
from relloc_ros.vision.matching import Keypoints, MutualRatio
from relloc_ros.vision.relative_pose import MatchedPoints

__all__ = ['Pair', 'Progress', 'Verify', 'match_pairs', 'verify_pairs']

Progress = Callable[[int, int, str], None]
Pair = tuple[int, int]
Rows = NDArray[np.uint32]
"""(K, 2), of the keypoints of two images in the database."""
Verify = Callable[[Pair, MatchedPoints], NDArray[np.bool_]]
"""Tells which matches (K,) of two images are good; the first image is the query."""

RETRIEVED, NEIGHBOURS = 40, 20
"""Images retrieved for each image, and how many of them, seen from different places, matched."""
MIN_PAIR_MATCHES = 8
WORKERS = 2
BATCH = 16
"""Pairs that a worker matches at a time: a fraction of a second."""


class _Matcher(NamedTuple):
    reference_map: ReferenceMap
    verify: Verify


def match_pairs(
    reference_map: ReferenceMap,
    new: Generation,
    output: Path,
    make_verify: Callable[[ReferenceMap], Verify],
    report: Progress,
    pool: TaskPool | None = None,
) -> list[Pair]:
    """Write the matches of similar images, all and verified, into a copy of a map's database.

    Args:
        reference_map: the map.
        new: with the same images and keypoints as the map.
        output: the copy.
        make_verify: gives for the map what says which matches are good, called by several
            threads; a function of a module if there is a pool.
        report: called with the number done, the number in all and the name of the stage.
        pool: matches the pairs; None takes threads of this process.

    Returns:
        The pairs with matches.

    Raises:
        WorkerError: the pool's workers cannot be reached, or die.
    """
    pairs = _choose_pairs(reference_map)
    shutil.copyfile(new.database, output)
    task = Task(
        _match_and_verify,
        _Matcher(reference_map, make_verify(reference_map)),
        partial(_open_matcher, reference_map.path.absolute(), reference_map.map_id, make_verify),
        BATCH,
    )
    ids = reference_map.image_ids
    matched = []
    with (
        # BLAS threads wait for each other, which on a busy machine takes longer than the products.
        threadpool_limits(1, 'blas'),
        ThreadTasks(WORKERS) if pool is None else nullcontext(pool) as tasks,
        _writing(output) as database,
    ):
        database.clear_matches()
        database.clear_two_view_geometries()
        found = tasks.map(task, pairs)
        for done, (pair, (rows, good)) in enumerate(zip(pairs, found, strict=True), start=1):
            first, second = (int(ids[index]) for index in pair)
            if len(rows) >= MIN_PAIR_MATCHES:
                database.write_matches(first, second, rows)
                matched.append(pair)
            _write_verified(database, first, second, good)
            report(done, len(pairs), 'matching')
    return matched


def _open_matcher(
    path: Path, map_id: str, make_verify: Callable[[ReferenceMap], Verify]
) -> _Matcher:
    """Make in a worker what the process has that writes the map."""
    reference_map = open_same(path, map_id)
    return _Matcher(reference_map, make_verify(reference_map))


def _match_and_verify(matcher: _Matcher, pair: Pair) -> tuple[Rows, Rows]:
    rows = _match(matcher.reference_map, pair)
    good = matcher.verify(pair, _points(matcher.reference_map, pair, rows))
    return rows, rows[good]


def verify_pairs(
    reference_map: ReferenceMap,
    path: Path,
    pairs: Sequence[Pair],
    verify: Verify,
    cameras: Mapping[int, Camera] | None = None,
) -> None:
    """Decide anew which of the matches in a database are good.

    Args:
        reference_map: the map.
        path: of the database.
        pairs: what `match_pairs` has returned.
        verify: says which matches are good; called by several threads.
        cameras: by ID; None is those of the map.
    """
    ids = reference_map.image_ids
    lock = Lock()
    with _writing(path) as database, _threads() as executor:
        database.clear_two_view_geometries()

        def check(pair: Pair) -> Rows:
            first, second = (int(ids[index]) for index in pair)
            with lock:
                rows = database.read_matches(first, second)
            return rows[verify(pair, _points(reference_map, pair, rows, cameras))]

        for pair, good in zip(pairs, executor.map(check, pairs), strict=True):
            first, second = (int(ids[index]) for index in pair)
            with lock:
                _write_verified(database, first, second, good)


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    executor = ThreadPoolExecutor(WORKERS)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _writing(path: Path) -> Iterator[pycolmap.Database]:
    with (
        closing(pycolmap.Database.open(path)) as database,
        pycolmap.DatabaseTransaction(database),
    ):
        yield database


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


def _write_verified(database: pycolmap.Database, first: int, second: int, rows: Rows) -> None:
    if len(rows) >= MIN_PAIR_MATCHES:
        geometry = pycolmap.TwoViewGeometry()
        geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
        geometry.inlier_matches = rows
        database.write_two_view_geometry(first, second, geometry)


def _match(reference_map: ReferenceMap, pair: Pair) -> Rows:
    """Match two images: rows of their keypoints in the database."""
    matcher = MutualRatio(reference_map.extractor.match_ratio)
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
    rows = [item.rows[matches[:, side]] for side, item in enumerate(features)]
    return np.column_stack(rows).astype(np.uint32)


def _points(
    reference_map: ReferenceMap,
    pair: Pair,
    rows: Rows,
    cameras: Mapping[int, Camera] | None = None,
) -> MatchedPoints:
    normalized, focal_lengths = [], []
    for side, index in enumerate(pair):
        features = reference_map.features(index)
        chosen = np.searchsorted(features.rows, rows[:, side])
        if cameras is None:
            camera = reference_map.camera(index)
            normalized.append(features.normalized[chosen])
        else:
            camera = cameras[reference_map.camera_id(index)]
            normalized.append(camera.normalize(features.points2D[chosen]))
        focal_lengths.append(camera.mean_focal_length)
    return MatchedPoints(normalized[0], normalized[1], focal_lengths[0], focal_lengths[1])
