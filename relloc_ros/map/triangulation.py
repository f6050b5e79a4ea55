# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Add 3D points to a map: its own keypoints, matched and triangulated from its poses.

The poses, the keypoints and the descriptors stay as they are. A killed run leaves the old map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
import shutil
import tempfile

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.errors import MapError
from relloc_ros.geometry import RigidTransform, skew
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Generation, Manifest, current_generation
from relloc_ros.map.image_index import ImageIndex
from relloc_ros.map.pair_matching import Pair, Progress, Verify, match_pairs
from relloc_ros.map.point_index import index_points
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sparse_files import read_model
from relloc_ros.parallel import TaskPool
from relloc_ros.vision.relative_pose import MatchedPoints, in_front, sampson_errors

__all__ = [
    'SCRATCH_DATABASE',
    'agrees_with_poses',
    'copy_unchanged',
    'quiet_colmap',
    'triangulate',
    'triangulate_map',
    'update_manifest',
    'write_model',
]

MAX_EPIPOLAR_ERROR_PX = 3.0
MAX_ANGLE_DEG, MAX_REPROJECTION_ERROR_PX = 2.0, 4.0
MIN_TRIANGULATION_ANGLE_DEG = 1.0
SCRATCH_DATABASE = 'matches.db'


def triangulate_map(
    path: Path,
    *,
    wait: float = 0.0,
    progress: Progress | None = None,
    pool: TaskPool | None = None,
) -> int:
    """Replace the 3D points of a map.

    Args:
        path: folder of the map, which stays as it is until all is done.
        wait: seconds to wait for another process that changes the map.
        progress: called with the number done, the number in all and the name of the stage.
        pool: matches the pairs of images; None takes threads of this process. The points are the
            same.

    Returns:
        The number of points.

    Raises:
        MapError: no map, damaged, being changed, cannot be written, or nothing can be
            triangulated.
        WorkerError: the pool's workers cannot be reached, or die.
    """
    report = progress or (lambda done, total, stage: None)
    current_generation(path)
    with new_generation(path, overwrite=True, wait=wait) as new:
        old = current_generation(path)
        with ReferenceMap.open(path) as reference_map:
            if len(reference_map.image_names) < 2:
                raise MapError(f'map {path} has one image: a point needs two, `relloc map add`')
            reference_map.prepare()
            copy_unchanged(old, new)
            scratch = new.folder / SCRATCH_DATABASE
            match_pairs(reference_map, new, scratch, _agreement_with_poses, report, pool)
            report(0, 1, 'triangulating')
            model = triangulate(read_model(old.sparse), scratch)
            _check_points(path, model)
            report(1, 1, 'triangulating')
            scratch.unlink()
            points = write_model(reference_map, model, new, report)
            update_manifest(old, new)
    return len(points)


def copy_unchanged(old: Generation, new: Generation) -> None:
    """Copy all of a map but its model, its 3D points and map.yaml."""
    for name in ('database', 'poses', 'images', 'global_descriptors', 'vocabulary'):
        shutil.copyfile(getattr(old, name), getattr(new, name))
    for name in ('thumbnails', 'retrieval'):
        if getattr(old, name).is_dir():
            shutil.copytree(getattr(old, name), getattr(new, name), symlinks=True)


def _agreement_with_poses(reference_map: ReferenceMap) -> Verify:
    return partial(agrees_with_poses, reference_map.cam_from_map)


def agrees_with_poses(
    cam_from_map: Callable[[int], RigidTransform],
    pair: Pair,
    matches: MatchedPoints,
    max_error_px: float = MAX_EPIPOLAR_ERROR_PX,
) -> NDArray[np.bool_]:
    """Tell which matches (K,) of two images lie on the epipolar lines of their poses."""
    first_from_second = cam_from_map(pair[0]) @ cam_from_map(pair[1]).inverse()
    essential = skew(first_from_second.translation) @ first_from_second.rotation
    near = np.abs(sampson_errors(essential, matches)) <= max_error_px
    return near & in_front(first_from_second, matches)


def triangulate(
    model: pycolmap.Reconstruction,
    database: Path,
    max_angle_deg: float = MAX_ANGLE_DEG,
    max_error_px: float = MAX_REPROJECTION_ERROR_PX,
) -> pycolmap.Reconstruction:
    """Triangulate with COLMAP; poses and cameras stay fixed.

    Args:
        model: images and cameras; changed.
        database: with verified matches.
        max_angle_deg: between a ray and the point it sees.
        max_error_px: between a keypoint and the point that it shows.
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.extract_colors = False
    tracks = options.triangulation
    # A point seen twice may be wrong, but the query's matches outvote it, and half of all points
    # are seen twice: with them the poses in sparse maps are up to a third better.
    tracks.ignore_two_view_tracks = False
    tracks.min_angle = MIN_TRIANGULATION_ANGLE_DEG
    tracks.create_max_angle_error = tracks.continue_max_angle_error = max_angle_deg
    tracks.merge_max_reproj_error = tracks.complete_max_reproj_error = max_error_px
    options.mapper.filter_max_reproj_error = max_error_px
    options.mapper.filter_min_tri_angle = MIN_TRIANGULATION_ANGLE_DEG
    # The same map gets the same points, wherever and however often.
    options.num_threads = options.mapper.num_threads = 1
    for part in (options, options.mapper, options.triangulation):
        part.random_seed = 0
        # COLMAP passes over cameras that it finds implausible without a word; strong lenses, as in
        # fr1 of TUM RGB-D, have coefficients above 1. Here the calibration is given.
        part.min_focal_length_ratio = 1e-3
        part.max_focal_length_ratio = part.max_extra_param = 1e3
    with tempfile.TemporaryDirectory(dir=database.parent) as output, quiet_colmap():
        return pycolmap.triangulate_points(
            model, database, database.parent, output, options=options
        )


def _check_points(path: Path, model: pycolmap.Reconstruction) -> None:
    if len(model.points3D) == 0:
        raise MapError(
            f'map {path}: no point can be triangulated: its images overlap too little, or were '
            'taken from one place; `relloc map check` may know more'
        )


@contextmanager
def quiet_colmap() -> Iterator[None]:
    """Keep COLMAP from printing anything but errors."""
    # A line for each image, and a warning for each whose colours it looks for.
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.ERROR.value
    try:
        yield
    finally:
        pycolmap.logging.minloglevel = level


def write_model(
    reference_map: ReferenceMap,
    model: pycolmap.Reconstruction,
    new: Generation,
    report: Progress,
) -> MapPoints:
    """Write sparse/ and points/.

    Args:
        reference_map: the map before.
        model: with points that show the keypoints in `new`.
        new: complete but for these and map.yaml.
        report: called with the number done, the number in all and the name of the stage.
    """
    new.sparse.mkdir()
    model.write_binary(new.sparse)
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
    points.write(new.points)
    return points


def update_manifest(old: Generation, new: Generation) -> None:
    """Write map.yaml with the checksums of what is there now, all else as it was."""
    manifest = Manifest.read(old.manifest)
    checksums = content_checksums(new, manifest.config)
    updated = replace(manifest, map_id=make_map_id(checksums), checksums=checksums)
    updated.write(new.manifest)
