# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refine the poses of a map: what its images see together corrects what a robot said.

The frame and the scale of the map stay. A killed run leaves the old map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
import sqlite3

import numpy as np
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.geometry import pose_error
from relloc_ros.map.bundle_adjustment import image_errors, place_points
from relloc_ros.map.format import Generation, Manifest, current_generation
from relloc_ros.map.pair_matching import Progress, match_pairs
from relloc_ros.map.pose_adjustment import Noise, PoseAdjustment
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.triangulation import (
    SCRATCH_DATABASE,
    copy_unchanged,
    update_manifest,
    write_model,
)

__all__ = ['Move', 'Noise', 'Refinement', 'refine_map']

SUSPECT_STDS = 3.76
"""Length of a shift that noise of one standard deviation an axis exceeds as seldom (0.27 %) as one
number exceeds three."""


@dataclass(frozen=True, slots=True)
class Move:
    """How far an image has moved.

    Attributes:
        name: of the image.
        distance: map units.
        angle: radians.
    """

    name: str
    distance: float
    angle: float


@dataclass(frozen=True, slots=True)
class Refinement:
    """What refining has changed.

    Attributes:
        moves: of the images that were adjusted.
        suspects: those of them that moved further than the noise of the poses explains.
        num_kept: images whose poses fit what they see as well as any; as they were.
        left: names of the images that see too little in common with others; as they were.
        num_groups: groups of images that nothing ties together; each keeps its own place.
        num_points: 3D points now.
        uncalibrated: whether the map's covariances were calibrated, and are not any more.
        error_before: median of the images' reprojection errors with the old poses, pixels.
        error_after: with the new ones.
        cameras: new calibrations by camera ID; empty where they were not refined.
    """

    moves: tuple[Move, ...]
    suspects: tuple[Move, ...]
    num_kept: int
    left: tuple[str, ...]
    num_groups: int
    num_points: int
    uncalibrated: bool
    error_before: float
    error_after: float
    cameras: Mapping[int, Camera]


def refine_map(
    path: Path,
    noise: Noise,
    *,
    refine_calibration: bool = False,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> Refinement:
    """Adjust the poses of a map to what its images see, and triangulate its points anew.

    Args:
        path: folder of the map, which stays as it is until all is done.
        noise: of its poses.
        refine_calibration: whether focal lengths and distortion are adjusted, too.
        wait: seconds to wait for another process that changes the map.
        progress: called with the number done, the number in all and the name of the stage.

    Raises:
        MapError: no map, damaged, being changed, cannot be written, or its images see too little
            in common.
    """
    report = progress or (lambda done, total, stage: None)
    current_generation(path)
    with new_generation(path, overwrite=True, wait=wait) as new:
        old = current_generation(path)
        with ReferenceMap.open(path) as reference_map:
            reference_map.prepare()
            copy_unchanged(old, new)
            database = new.folder / SCRATCH_DATABASE
            work = PoseAdjustment(reference_map, old.sparse, database, noise, refine_calibration)
            pairs = match_pairs(reference_map, new, database, lambda _: work.verify, report)
            work.run(pairs, report)
            report(0, 1, 'triangulating')
            work.verify_again(pairs)
            model = work.triangulated()
            database.unlink()
            report(1, 1, 'triangulating')
            _write_poses(work, old, new)
            if refine_calibration:
                _write_cameras(new.database, work.cameras)
            num_points = len(write_model(reference_map, model, new, report))
            update_manifest(old, new)
            if work.adjusted > work.kept:
                # They say how wrong poses were in the map as it was.
                replace(Manifest.read(new.manifest), calibrations=()).write(new.manifest)
            found = _summary(work, reference_map, model, noise)
    cameras = work.cameras if refine_calibration else {}
    return replace(found, num_points=num_points, cameras=cameras)


def _write_poses(work: PoseAdjustment, old: Generation, new: Generation) -> None:
    numbers = np.load(old.poses)
    for row in work.adjusted - work.kept:
        numbers[row] = [*work.poses[row].quat_wxyz, *work.poses[row].translation]
    np.save(new.poses, numbers)


def _summary(
    work: PoseAdjustment,
    reference_map: ReferenceMap,
    model: pycolmap.Reconstruction,
    noise: Noise,
) -> Refinement:
    # As for the old poses, so that the two compare.
    place_points(model)
    after = image_errors(model)
    before = work.errors_before(model)
    names = reference_map.image_names
    moves = []
    for row in sorted(work.adjusted - work.kept):
        given = reference_map.cam_from_map(row).inverse()
        moves.append(Move(names[row], *pose_error(work.poses[row].inverse(), given)))
    limits = SUSPECT_STDS * noise.position, SUSPECT_STDS * noise.rotation
    return Refinement(
        tuple(moves),
        tuple(move for move in moves if move.distance > limits[0] or move.angle > limits[1]),
        len(work.kept),
        tuple(names[row] for row in range(len(work.poses)) if row not in work.adjusted),
        len(work.groups),
        0,
        bool(reference_map.calibrations and moves),
        float(np.median(list(before.values()))),
        float(np.median(list(after.values()))),
        {},
    )


def _write_cameras(path: Path, cameras: Mapping[int, Camera]) -> None:
    database = pycolmap.Database.open(path)
    for camera_id, camera in cameras.items():
        database.update_camera(camera.to_pycolmap(camera_id))
    database.close()
    connection = sqlite3.connect(path)
    try:
        # One file, which opens on read-only media.
        connection.execute('PRAGMA journal_mode=DELETE')
    finally:
        connection.close()
