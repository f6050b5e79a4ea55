# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Add 3D points to a map: its own keypoints, matched and triangulated from its poses.

The poses, the keypoints and the descriptors stay as they are. A killed run leaves the old map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
import shutil

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.errors import MapError
from relloc_ros.geometry import skew
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Generation, Manifest, current_generation
from relloc_ros.map.image_index import ImageIndex
from relloc_ros.map.point_index import index_points
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.matching import Keypoints, MutualRatio
from relloc_ros.vision.relative_pose import MatchedPoints, in_front, sampson_errors

__all__ = ['Progress', 'triangulate_map']

Progress = Callable[[int, int, str], None]

RETRIEVED, NEIGHBOURS = 40, 20
"""Images retrieved for each image, and how many of them, seen from different places, matched."""
MAX_EPIPOLAR_ERROR_PX = 3.0
MIN_PAIR_MATCHES = 8
MIN_TRIANGULATION_ANGLE_DEG = 1.0
WORKERS = 2
TRIANGULATED = 'triangulated'
SCRATCH_DATABASE = 'matches.db'

Pair = tuple[int, int]


def triangulate_map(path: Path, *, wait: float = 0.0, progress: Progress | None = None) -> int:
    """Replace the 3D points of a map.

    Args:
        path: folder of the map, which stays as it is until all is done.
        wait: seconds to wait for another process that changes the map.
        progress: called with the number done, the number in all and the name of the stage.

    Returns:
        The number of points.

    Raises:
        MapError: no map, damaged, being changed, cannot be written, or nothing can be
            triangulated.
    """
    report = progress or (lambda done, total, stage: None)
    current_generation(path)
    with new_generation(path, overwrite=True, wait=wait) as new:
        old = current_generation(path)
        with ReferenceMap.open(path) as reference_map:
            reference_map.prepare()
            _copy_unchanged(old, new)
            _match_pairs(reference_map, new, report)
            report(0, 1, 'triangulating')
            model = _triangulate(path, old, new)
            report(1, 1, 'triangulating')
            points = _collect_points(reference_map, model, new, report)
            points.write(new.points)
            _update_manifest(old, new)
    return len(points)


def _copy_unchanged(old: Generation, new: Generation) -> None:
    for name in ('database', 'poses', 'images', 'global_descriptors', 'vocabulary'):
        shutil.copyfile(getattr(old, name), getattr(new, name))
    for name in ('thumbnails', 'retrieval'):
        if getattr(old, name).is_dir():
            shutil.copytree(getattr(old, name), getattr(new, name))


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


def _match_pairs(reference_map: ReferenceMap, new: Generation, report: Progress) -> None:
    """Write the verified matches of all pairs into a database that is thrown away later."""
    pairs = _choose_pairs(reference_map)
    scratch = new.folder / SCRATCH_DATABASE
    shutil.copyfile(new.database, scratch)
    ids = [entry.image_id for entry in ImageIndex.read(new).entries]
    matcher = MutualRatio(reference_map.extractor.match_ratio)

    def match(pair: Pair) -> NDArray[np.uint32]:
        return _verified_matches(reference_map, pair, matcher)

    database = pycolmap.Database.open(scratch)
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


def _write_matches(
    database: pycolmap.Database, first: int, second: int, matches: NDArray[np.uint32]
) -> None:
    geometry = pycolmap.TwoViewGeometry()
    geometry.config = pycolmap.TwoViewGeometryConfiguration.CALIBRATED
    geometry.inlier_matches = matches
    database.write_matches(first, second, matches)
    database.write_two_view_geometry(first, second, geometry)


def _verified_matches(
    reference_map: ReferenceMap, pair: Pair, matcher: MutualRatio
) -> NDArray[np.uint32]:
    """Match two images and keep what lies on the epipolar lines of their poses, (K, 2) rows."""
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
    first_from_second = (
        reference_map.cam_from_map(pair[0]) @ reference_map.cam_from_map(pair[1]).inverse()
    )
    points = MatchedPoints(
        features[0].normalized[matches[:, 0]],
        features[1].normalized[matches[:, 1]],
        cameras[0].mean_focal_length,
        cameras[1].mean_focal_length,
    )
    essential = skew(first_from_second.translation) @ first_from_second.rotation
    good = np.abs(sampson_errors(essential, points)) <= MAX_EPIPOLAR_ERROR_PX
    good &= in_front(first_from_second, points)
    rows = [item.rows[matches[good, side]] for side, item in enumerate(features)]
    return np.column_stack(rows).astype(np.uint32)


def _triangulate(path: Path, old: Generation, new: Generation) -> pycolmap.Reconstruction:
    """Triangulate with COLMAP and write the model to sparse/; poses and cameras stay fixed."""
    options = pycolmap.IncrementalPipelineOptions()
    options.extract_colors = False
    # A point seen twice may be wrong, but the query's matches outvote it, and half of all points
    # are seen twice: with them the poses in sparse maps are up to a third better.
    options.triangulation.ignore_two_view_tracks = False
    options.triangulation.min_angle = MIN_TRIANGULATION_ANGLE_DEG
    options.mapper.filter_min_tri_angle = MIN_TRIANGULATION_ANGLE_DEG
    # The same map gets the same points, wherever and however often.
    options.num_threads = options.mapper.num_threads = 1
    for part in (options, options.mapper, options.triangulation):
        part.random_seed = 0
        # COLMAP passes over cameras that it finds implausible without a word; strong lenses, as in
        # fr1 of TUM RGB-D, have coefficients above 1. Here the calibration is given.
        part.min_focal_length_ratio = 1e-3
        part.max_focal_length_ratio = part.max_extra_param = 1e3
    scratch, output = new.folder / SCRATCH_DATABASE, new.folder / TRIANGULATED
    output.mkdir()
    with _quiet_colmap():
        model = pycolmap.triangulate_points(
            pycolmap.Reconstruction(old.sparse), scratch, new.folder, output, options=options
        )
    shutil.rmtree(output)
    scratch.unlink()
    if len(model.points3D) == 0:
        raise MapError(
            f'map {path}: no point can be triangulated: its images overlap too little, or were '
            'taken from one place; `relloc map check` may know more'
        )
    new.sparse.mkdir()
    model.write_binary(new.sparse)
    return model


@contextmanager
def _quiet_colmap() -> Iterator[None]:
    # A line for each image, and a warning for each whose colours it looks for.
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


def _collect_points(
    reference_map: ReferenceMap,
    model: pycolmap.Reconstruction,
    new: Generation,
    report: Progress,
) -> MapPoints:
    entries = ImageIndex.read(new).entries
    row_of = {point_id: row for row, point_id in enumerate(sorted(model.points3D))}
    positions = np.array([model.points3D[point_id].xyz for point_id in row_of]).reshape(-1, 3)
    parts = []
    for entry in entries:
        shown = np.full(len(model.images[entry.image_id].points2D), NO_POINT, dtype=np.int32)
        for row, point2D in enumerate(model.images[entry.image_id].points2D):
            if point2D.has_point3D():
                shown[row] = row_of[point2D.point3D_id]
        parts.append(shown)
    report(0, 1, 'visual words')
    with closing(FeatureStore(new.database, reference_map.config.features)) as store:
        stored = (store.stored(entry.image_id)[1] for entry in entries)
        extractor, seed = reference_map.extractor, reference_map.config.random_seed
        points = index_points(positions, parts, stored, extractor, seed)
    report(1, 1, 'visual words')
    return points


def _update_manifest(old: Generation, new: Generation) -> None:
    manifest = Manifest.read(old.manifest)
    checksums = content_checksums(new, manifest.config)
    updated = replace(manifest, map_id=make_map_id(checksums), checksums=checksums)
    updated.write(new.manifest)
