# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triangulate from the poses, adjust them, and again with what then fits together better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import RigidTransform, pose_error
from relloc_ros.map import bundle_adjustment
from relloc_ros.map.noisy_pairs import NoisyPairs
from relloc_ros.map.pair_matching import Pair, Progress, verify_pairs
from relloc_ros.map.pose_drift import drift
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sparse_files import read_model
from relloc_ros.map.triangulation import (
    MAX_ANGLE_DEG,
    MAX_EPIPOLAR_ERROR_PX,
    MAX_REPROJECTION_ERROR_PX,
    agrees_with_poses,
    triangulate,
)
from relloc_ros.vision.relative_pose import MatchedPoints

__all__ = ['Noise', 'PoseAdjustment']

GOOD_FACTOR, WRONG_FACTOR, SLACK_PX = 2.0, 10.0, 0.05
"""A given pose is good if its error is at most so many times that of the new pose, and wrong if it
is more than so many times; between the two it is as good as the poses about it."""
GOOD_SHARE = 0.5
"""Of good poses, from which on a map was good but for some."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How wrong the poses of a map are taken to be, along and about each axis.

    Attributes:
        position: standard deviation, map units.
        rotation: standard deviation, radians.
    """

    position: float
    rotation: float

    def __post_init__(self) -> None:
        """Check that the numbers are deviations."""
        for name in ('position', 'rotation'):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise DataError(f'standard deviation of {name} {value} is not positive and finite')


@dataclass(frozen=True, slots=True)
class _Round:
    """One triangulation and adjustment: how far off things may be, and from where less counts."""

    max_epipolar_px: float
    max_angle_deg: float
    max_error_px: float
    loss_scale_px: float


ROUNDS = (
    _Round(12.0, 4.0, 16.0, 2.0),
    _Round(MAX_EPIPOLAR_ERROR_PX, MAX_ANGLE_DEG, MAX_REPROJECTION_ERROR_PX, 1.0),
    _Round(MAX_EPIPOLAR_ERROR_PX, MAX_ANGLE_DEG, MAX_REPROJECTION_ERROR_PX, 0.5),
    _Round(MAX_EPIPOLAR_ERROR_PX, MAX_ANGLE_DEG, MAX_REPROJECTION_ERROR_PX, 0.5),
)
"""After the first, whose limits follow the noise of the poses."""
FIRST_LOSS_PX = 4.0
NOISE_STDS, MAX_FIRST_ANGLE_DEG = 3.0, 15.0
MUCH_BETTER, LEAST_NOISE = 0.5, 0.02
"""Parts of the noise that was said: noise that is so large moves the images about so far."""
MEDIAN_LENGTH = 1.538
"""Of a vector of three numbers with standard deviation 1."""


class PoseAdjustment:
    """Poses and cameras of a map while they are refined.

    Attributes:
        poses: cam_from_map of each image.
        cameras: by ID.
        adjusted: images whose poses follow from what they see.
        kept: those of them whose given poses were as good, and are kept.
        groups: the adjusted ones by what points tie together.
    """

    def __init__(
        self,
        reference_map: ReferenceMap,
        sparse: Path,
        database: Path,
        noise: Noise,
        refine_calibration: bool,
    ) -> None:
        """Start from the map as it is.

        Args:
            reference_map: the map.
            sparse: its model.
            database: for `match_pairs`, with `verify`.
            noise: of the poses.
            refine_calibration: whether cameras are adjusted.
        """
        self._map = reference_map
        self._sparse = sparse
        self._database = database
        self._noise = noise
        self._refine_calibration = refine_calibration
        self._noisy = NoisyPairs(reference_map, noise.position, noise.rotation)
        self._ids = [int(image_id) for image_id in reference_map.image_ids]
        self._given = [reference_map.cam_from_map(i) for i in range(reference_map.num_images)]
        self._position_std = noise.position
        self.poses = list(self._given)
        self.cameras = dict(reference_map.cameras)
        self.adjusted: set[int] = set()
        self.kept: set[int] = set()
        self.groups: list[list[int]] = []

    def verify(self, pair: Pair, matches: MatchedPoints) -> NDArray[np.bool_]:
        """Tell which matches (K,) of two images are good, before any pose is adjusted."""
        return self._noisy.verify(pair, matches)

    def run(self, pairs: Sequence[Pair], report: Progress) -> None:
        """Adjust the poses.

        Args:
            pairs: what `match_pairs` has returned.
            report: called with the number done, the number in all and the name of the stage.

        Raises:
            MapError: the images see too little in common.
        """
        rounds = (self._first_round(), *ROUNDS)
        for number, each in enumerate(rounds):
            report(number, len(rounds), 'adjusting')
            if number > 0:
                self.verify_again(pairs, each.max_epipolar_px)
            self._adjust(each)
        if not self._refine_calibration:
            self._keep_good(pairs)

    def verify_again(
        self, pairs: Sequence[Pair], max_error_px: float = MAX_EPIPOLAR_ERROR_PX
    ) -> None:
        """Decide anew which matches are good, by the poses as they are now."""

        def verify(pair: Pair, matches: MatchedPoints) -> NDArray[np.bool_]:
            if self.adjusted.issuperset(pair):
                return agrees_with_poses(self.poses.__getitem__, pair, matches, max_error_px)
            return self._noisy.verify(pair, matches)

        cameras = self.cameras if self._refine_calibration else None
        verify_pairs(self._map, self._database, pairs, verify, cameras)

    def triangulated(self) -> pycolmap.Reconstruction:
        """Triangulate what has been verified from the poses as they are now."""
        return triangulate(self._model(), self._database)

    def errors_before(self, model: pycolmap.Reconstruction) -> dict[int, float]:
        """Give the error of each image with the given poses and cameras, pixels.

        Args:
            model: says which keypoints show the same point; poses and points are changed.
        """
        self._set_poses(model, self._given, self._map.cameras)
        bundle_adjustment.place_points(model)
        return bundle_adjustment.image_errors(model)

    def _keep_good(self, pairs: Sequence[Pair]) -> None:
        """Return to the given poses where new ones are no better, and adjust the others to them.

        Adjusted poses are as noisy as the keypoints: those of a good map would get worse.
        """
        self.verify_again(pairs)
        model = self.triangulated()
        after = bundle_adjustment.image_errors(model)
        before = self.errors_before(model)
        ratios = {
            row: before[image_id] / (after[image_id] + SLACK_PX)
            for row, image_id in enumerate(self._ids)
            if image_id in after and row in self.adjusted
        }
        if sum(ratio <= GOOD_FACTOR for ratio in ratios.values()) < GOOD_SHARE * len(ratios):
            return
        self.kept = {row for row, ratio in ratios.items() if ratio <= WRONG_FACTOR}
        for row in self.kept:
            self.poses[row] = self._given[row]
        if self.kept < self.adjusted:
            for each in (ROUNDS[0], ROUNDS[-1]):
                self.verify_again(pairs, each.max_epipolar_px)
                self._adjust(each)

    def _first_round(self) -> _Round:
        angle = math.radians(MAX_ANGLE_DEG) + NOISE_STDS * self._noise.rotation
        angle = min(angle, math.radians(MAX_FIRST_ANGLE_DEG))
        focal_length = max(camera.mean_focal_length for camera in self.cameras.values())
        return _Round(0.0, math.degrees(angle), angle * focal_length, FIRST_LOSS_PX)

    def _model(self) -> pycolmap.Reconstruction:
        """Give the images and cameras as they are now, without points."""
        model = read_model(self._sparse)
        self._set_poses(model, self.poses, self.cameras)
        return model

    def _set_poses(
        self,
        model: pycolmap.Reconstruction,
        poses: Sequence[RigidTransform],
        cameras: Mapping[int, Camera],
    ) -> None:
        for camera_id, camera in cameras.items():
            model.cameras[camera_id].params = camera.params
        for image_id, pose in zip(self._ids, poses, strict=True):
            image = model.images[image_id]
            image.frame.set_cam_from_world(image.camera_id, pycolmap.Rigid3d(pose.matrix[:3]))

    def _adjust(self, limits: _Round) -> None:
        model = triangulate(
            self._model(), self._database, limits.max_angle_deg, limits.max_error_px
        )
        row_of = {image_id: row for row, image_id in enumerate(self._ids)}
        bundle_adjustment.drop_weak_points(model)
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
            self._position_std,
            loss_scale_px=limits.loss_scale_px,
            refine_calibration=self._refine_calibration,
            fixed=[self._ids[row] for row in sorted(self.kept)],
        )
        self.poses = list(self._given)
        self.groups = [[row_of[int(image_id)] for image_id in group] for group in groups]
        self.adjusted = {row for group in self.groups for row in group}
        self.kept &= self.adjusted
        for group in self.groups:
            self._take_over(model, group)
        if not self.kept:
            self._judge_noise()
        if self._refine_calibration:
            self.cameras = {
                camera_id: Camera.from_pycolmap(model.cameras[camera_id])
                for camera_id in self.cameras
            }

    def _judge_noise(self) -> None:
        """Trust the positions more where they turn out to be much better than was said."""
        moves = [
            pose_error(self.poses[row].inverse(), self._given[row].inverse())[0]
            for row in self.adjusted
        ]
        found = float(np.median(moves)) / MEDIAN_LENGTH
        if found < MUCH_BETTER * self._position_std:
            self._position_std = max(found, LEAST_NOISE * self._noise.position)

    def _take_over(self, model: pycolmap.Reconstruction, group: Sequence[int]) -> None:
        moved = []
        for row in group:
            matrix = model.images[self._ids[row]].cam_from_world().matrix()
            moved.append(RigidTransform.from_matrix(matrix))
        if self.kept.intersection(group):
            # These hold the frame.
            for row, pose in zip(group, moved, strict=True):
                self.poses[row] = self._given[row] if row in self.kept else pose
            return
        given = [self._given[row] for row in group]
        back = drift(moved, given, self._noise.position, self._noise.rotation)
        for row, pose in zip(group, moved, strict=True):
            self.poses[row] = back.move_camera(pose)
