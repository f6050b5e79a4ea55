# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refine the poses of a map: what its images see together corrects what a robot said.

The frame and the scale of the map stay. A killed run leaves the old map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import sqlite3

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.errors import MapError
from relloc_ros.geometry import Array, RigidTransform, pose_error
from relloc_ros.map import bundle_adjustment
from relloc_ros.map.format import Generation, current_generation
from relloc_ros.map.noisy_pairs import NoisyPairs
from relloc_ros.map.pair_matching import Pair, Progress, match_pairs, verify_pairs
from relloc_ros.map.pose_drift import drift
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sparse_files import read_model
from relloc_ros.map.triangulation import (
    MAX_ANGLE_DEG,
    MAX_EPIPOLAR_ERROR_PX,
    MAX_REPROJECTION_ERROR_PX,
    SCRATCH_DATABASE,
    agrees_with_poses,
    copy_unchanged,
    triangulate,
    update_manifest,
    write_model,
)
from relloc_ros.vision.relative_pose import MatchedPoints

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
        left: names of the images that see too little in common with others; as they were.
        num_groups: groups of images that nothing ties together; each keeps its own place.
        num_points: 3D points now.
        error_before: median reprojection error with the old poses, pixels.
        error_after: with the new ones.
        cameras: new calibrations by camera ID; empty where they were not refined.
    """

    moves: tuple[Move, ...]
    suspects: tuple[Move, ...]
    left: tuple[str, ...]
    num_groups: int
    num_points: int
    error_before: float
    error_after: float
    cameras: Mapping[int, Camera]


@dataclass(frozen=True, slots=True)
class Noise:
    """How wrong the poses of a map are taken to be, along and about each axis.

    Attributes:
        position: standard deviation, map units.
        rotation: standard deviation, radians.
    """

    position: float
    rotation: float


@dataclass(frozen=True, slots=True)
class _Round:
    """One triangulation and adjustment: how far off things may be, and what of it counts."""

    max_epipolar_px: float
    max_angle_deg: float
    max_error_px: float
    loss: pycolmap.LossFunctionType
    loss_scale_px: float


ROUNDS = (
    _Round(0.0, 10.0, 100.0, pycolmap.LossFunctionType.SOFT_L1, 4.0),
    _Round(12.0, 4.0, 16.0, pycolmap.LossFunctionType.SOFT_L1, 2.0),
    _Round(
        MAX_EPIPOLAR_ERROR_PX,
        MAX_ANGLE_DEG,
        MAX_REPROJECTION_ERROR_PX,
        pycolmap.LossFunctionType.CAUCHY,
        1.0,
    ),
    _Round(
        MAX_EPIPOLAR_ERROR_PX,
        MAX_ANGLE_DEG,
        MAX_REPROJECTION_ERROR_PX,
        pycolmap.LossFunctionType.CAUCHY,
        1.0,
    ),
)
"""The first takes what pairs agree on, however far off the poses are."""


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
            work = _Work(reference_map, old, new, noise, refine_calibration)
            refinement = work.run(report)
            update_manifest(old, new)
    return refinement


class _Work:
    """Poses and cameras while they are refined."""

    def __init__(
        self,
        reference_map: ReferenceMap,
        old: Generation,
        new: Generation,
        noise: Noise,
        refine_calibration: bool,
    ) -> None:
        self._map = reference_map
        self._old, self._new = old, new
        self._noise = noise
        self._refine_calibration = refine_calibration
        self._database = new.folder / SCRATCH_DATABASE
        self._ids = [int(image_id) for image_id in reference_map.image_ids]
        self._given = [reference_map.cam_from_map(i) for i in range(reference_map.num_images)]
        self._poses = list(self._given)
        self._cameras = dict(reference_map.cameras)
        self._adjusted: set[int] = set()
        self._groups: list[list[int]] = []

    def run(self, report: Progress) -> Refinement:
        noisy = NoisyPairs(self._map, self._noise.position, self._noise.rotation)
        pairs = match_pairs(self._map, self._new, self._database, lambda _: noisy.verify, report)
        for number, each in enumerate(ROUNDS):
            report(number, len(ROUNDS), f'adjusting, round {number + 1}')
            if number > 0:
                self._verify(pairs, noisy, each.max_epipolar_px)
            self._adjust(each)
        report(0, 1, 'triangulating')
        self._verify(pairs, noisy, MAX_EPIPOLAR_ERROR_PX)
        model = triangulate(self._model(), self._database)
        self._database.unlink()
        report(1, 1, 'triangulating')
        return self._write(model, report)

    def _model(self) -> pycolmap.Reconstruction:
        """Give the images and cameras as they are now, without points."""
        model = read_model(self._old.sparse)
        for camera_id, camera in self._cameras.items():
            model.cameras[camera_id].params = camera.params
        for image_id, pose in zip(self._ids, self._poses, strict=True):
            image = model.images[image_id]
            image.frame.set_cam_from_world(image.camera_id, pycolmap.Rigid3d(pose.matrix[:3]))
        return model

    def _verify(self, pairs: Sequence[Pair], noisy: NoisyPairs, max_error_px: float) -> None:
        def verify(pair: Pair, matches: MatchedPoints) -> NDArray[np.bool_]:
            if self._adjusted.issuperset(pair):
                return agrees_with_poses(self._poses.__getitem__, pair, matches, max_error_px)
            return noisy.verify(pair, matches)

        cameras = self._cameras if self._refine_calibration else None
        verify_pairs(self._map, self._database, pairs, verify, cameras)

    def _adjust(self, limits: _Round) -> None:
        model = triangulate(
            self._model(), self._database, limits.max_angle_deg, limits.max_error_px
        )
        row_of = {image_id: row for row, image_id in enumerate(self._ids)}
        groups = bundle_adjustment.keep_constrained(model)
        if not groups:
            raise MapError(
                f'map {self._map.path}: its images see too little in common to refine their '
                'poses: are they far more wrong than was said? `relloc map check --deep` may know'
            )
        centres = {
            image_id: pose.inverse().translation
            for image_id, pose in zip(self._ids, self._given, strict=True)
        }
        bundle_adjustment.adjust(
            model,
            centres,
            self._noise.position,
            loss=limits.loss,
            loss_scale_px=limits.loss_scale_px,
            refine_calibration=self._refine_calibration,
        )
        self._poses = list(self._given)
        self._groups = [[row_of[int(image_id)] for image_id in group] for group in groups]
        self._adjusted = {row for group in self._groups for row in group}
        for group in self._groups:
            self._take_over(model, group)
        if self._refine_calibration:
            self._cameras = {
                camera_id: Camera.from_pycolmap(model.cameras[camera_id])
                for camera_id in self._cameras
            }

    def _take_over(self, model: pycolmap.Reconstruction, group: Sequence[int]) -> None:
        moved = []
        for row in group:
            matrix = model.images[self._ids[row]].cam_from_world().matrix()
            moved.append(RigidTransform.from_matrix(matrix))
        given = [self._given[row] for row in group]
        back = drift(moved, given, self._noise.position, self._noise.rotation)
        for row, pose in zip(group, moved, strict=True):
            self._poses[row] = back.move_camera(pose)

    def _write(self, model: pycolmap.Reconstruction, report: Progress) -> Refinement:
        numbers = np.load(self._old.poses)
        for row in sorted(self._adjusted):
            pose = self._poses[row]
            numbers[row] = [*pose.quat_wxyz, *pose.translation]
        np.save(self._new.poses, numbers)
        if self._refine_calibration:
            _write_cameras(self._new.database, self._cameras)
        points = write_model(self._map, model, self._new, report)
        after = bundle_adjustment.reprojection_errors(model)
        return self._summary(model, numbers, len(points), after)

    def _summary(
        self, model: pycolmap.Reconstruction, numbers: Array, num_points: int, after: Array
    ) -> Refinement:
        for image_id, pose in zip(self._ids, self._given, strict=True):
            image = model.images[image_id]
            image.frame.set_cam_from_world(image.camera_id, pycolmap.Rigid3d(pose.matrix[:3]))
        bundle_adjustment.place_points(model)
        before = bundle_adjustment.reprojection_errors(model)
        names = self._map.image_names
        moves = []
        for row in sorted(self._adjusted):
            pose = RigidTransform.from_quat_wxyz(numbers[row, :4], numbers[row, 4:])
            moves.append(Move(names[row], *pose_error(pose.inverse(), self._given[row].inverse())))
        limits = SUSPECT_STDS * self._noise.position, SUSPECT_STDS * self._noise.rotation
        return Refinement(
            tuple(moves),
            tuple(move for move in moves if move.distance > limits[0] or move.angle > limits[1]),
            tuple(names[row] for row in range(len(self._ids)) if row not in self._adjusted),
            len(self._groups),
            num_points,
            float(np.median(before)),
            float(np.median(after)),
            self._cameras if self._refine_calibration else {},
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
