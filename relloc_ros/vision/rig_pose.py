# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a body with several cameras, from 2D-3D matches of all of them together.

The cameras need not see the same things, and none needs enough points of its own. If only one of
them sees anything, it is left to P3P: a camera of a rig alone gives what it gives without a rig.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import poselib
import pycolmap

from relloc_ros.geometry import Array, RigidTransform, skew
from relloc_ros.vision.absolute_pose import (
    LOSS_SCALE_PX,
    MAX_RANSAC_ITERATIONS,
    MIN_RANSAC_ITERATIONS,
    absolute_residuals,
    estimate_absolute_pose,
)
from relloc_ros.vision.relative_pose import camera_pose, pinhole

__all__ = ['CameraPoints', 'estimate_rig_pose', 'rig_residuals']

Masks = tuple[NDArray[np.bool_], ...]

REFINEMENTS = 2
"""The RANSAC scores a hypothesis that is not refined: its inliers change with the refinement."""
MIN_POINTS = 3
MIN_DEPTH = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class CameraPoints:
    """What one camera of a body sees of known points.

    Attributes:
        body_from_cam: where the camera sits.
        points2D: (K, 2) normalized, undistorted.
        points3D: (K, 3) in the map.
        focal_length: pixels.
    """

    body_from_cam: RigidTransform
    points2D: Array
    points3D: Array
    focal_length: float

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.points2D)

    def select(self, mask: NDArray[np.bool_]) -> CameraPoints:
        """Return the points a mask (K,) names."""
        return CameraPoints(
            self.body_from_cam, self.points2D[mask], self.points3D[mask], self.focal_length
        )


def estimate_rig_pose(
    cameras: Sequence[CameraPoints], *, threshold_px: float, seed: int
) -> tuple[RigidTransform, Masks]:
    """Estimate map_from_body by generalized P3P RANSAC (COLMAP) and Cauchy refinement (PoseLib).

    PoseLib's own generalized RANSAC is quicker, but its solver asks the C library for random
    numbers, whatever the seed.

    Args:
        cameras: all that see at least one point.
        threshold_px: largest reprojection error of an inlier, in pixels of its camera.
        seed: of the RANSAC.

    Returns:
        The pose, and the inliers (K,) of each camera; none of them where nothing was found.
    """
    if len(cameras) == 1:
        return _alone(cameras[0], threshold_px, seed)
    # About the points' own place: far from the map's origin the solvers lose digits.
    centre = np.concatenate([camera.points3D for camera in cameras]).mean(axis=0)
    map_from_local = RigidTransform(np.eye(3), centre)
    local = [
        CameraPoints(c.body_from_cam, c.points2D, c.points3D - centre, c.focal_length)
        for c in cameras
    ]
    local_from_body = _ransac(local, threshold_px, seed)
    if local_from_body is None:
        return RigidTransform.identity(), tuple(np.zeros(len(c), dtype=bool) for c in cameras)
    for _ in range(REFINEMENTS):
        local_from_body = _refine(local_from_body, local, threshold_px)
    return map_from_local @ local_from_body, _inliers(local_from_body, local, threshold_px)


def rig_residuals(
    map_from_body: RigidTransform, cameras: Sequence[CameraPoints]
) -> tuple[Array, Array]:
    """Reprojection residuals (N, 2) in pixels of all cameras in turn, derivatives (N, 2, 6).

    The body moves as in `structures.PoseEstimate`: origin + dp, Exp(dtheta) @ rotation.
    """
    residuals, jacobians = [np.empty((0, 2))], [np.empty((0, 2, 6))]
    for camera in cameras:
        map_from_cam = map_from_body @ camera.body_from_cam
        own, by_camera = absolute_residuals(
            map_from_cam, camera.points2D, camera.points3D, camera.focal_length
        )
        # A turn of the body moves the camera's centre by dtheta x lever.
        lever = map_from_cam.translation - map_from_body.translation
        by_turn = by_camera[..., 3:] - by_camera[..., :3] @ skew(lever)
        residuals.append(own)
        jacobians.append(np.concatenate([by_camera[..., :3], by_turn], axis=2))
    return np.concatenate(residuals), np.concatenate(jacobians)


def _alone(camera: CameraPoints, threshold_px: float, seed: int) -> tuple[RigidTransform, Masks]:
    map_from_cam, inliers = estimate_absolute_pose(
        camera.points2D,
        camera.points3D,
        camera.focal_length,
        threshold_px=threshold_px,
        seed=seed,
    )
    return map_from_cam @ camera.body_from_cam.inverse(), (inliers,)


def _ransac(
    cameras: Sequence[CameraPoints], threshold_px: float, seed: int
) -> RigidTransform | None:
    options = pycolmap.RANSACOptions()
    options.max_error = threshold_px
    options.min_num_trials = MIN_RANSAC_ITERATIONS
    options.max_num_trials = MAX_RANSAC_ITERATIONS
    # The generator is this thread's own; the option for it is not in all versions.
    pycolmap.set_random_seed(seed)
    found = pycolmap.estimate_generalized_absolute_pose(
        np.concatenate([camera.points2D * camera.focal_length for camera in cameras]),
        np.concatenate([camera.points3D for camera in cameras]),
        np.repeat(np.arange(len(cameras)), [len(camera) for camera in cameras]).tolist(),
        [pycolmap.Rigid3d(c.body_from_cam.inverse().matrix[:3]) for c in cameras],
        [_pycolmap_pinhole(camera.focal_length) for camera in cameras],
        options,
    )
    if found is None:
        return None
    return RigidTransform.from_matrix(found['rig_from_world'].matrix()).inverse()


def _refine(
    local_from_body: RigidTransform, cameras: Sequence[CameraPoints], threshold_px: float
) -> RigidTransform:
    masks = _inliers(local_from_body, cameras, threshold_px)
    if sum(int(mask.sum()) for mask in masks) < MIN_POINTS:
        return local_from_body
    seen = [camera.select(mask) for camera, mask in zip(cameras, masks, strict=True)]
    refined, _ = poselib.refine_generalized_absolute_pose(
        [camera.points2D * camera.focal_length for camera in seen],
        [camera.points3D for camera in seen],
        camera_pose(local_from_body.inverse()),
        [camera_pose(camera.body_from_cam.inverse()) for camera in seen],
        [pinhole(camera.focal_length) for camera in seen],
        {'loss_type': 'CAUCHY', 'loss_scale': LOSS_SCALE_PX},
    )
    return RigidTransform(np.array(refined.R), np.array(refined.t)).inverse()


def _inliers(
    local_from_body: RigidTransform, cameras: Sequence[CameraPoints], threshold_px: float
) -> Masks:
    masks = []
    for camera in cameras:
        cam_from_local = (local_from_body @ camera.body_from_cam).inverse()
        points = cam_from_local.apply(camera.points3D)
        depth = np.maximum(points[:, 2], MIN_DEPTH)
        errors = np.linalg.norm(points[:, :2] / depth[:, None] - camera.points2D, axis=1)
        near = errors * camera.focal_length <= threshold_px
        masks.append(near & (points[:, 2] > MIN_DEPTH))
    return tuple(masks)


def _pycolmap_pinhole(focal_length: float) -> pycolmap.Camera:
    return pycolmap.Camera(
        model='SIMPLE_PINHOLE', width=1, height=1, params=[focal_length, 0.0, 0.0]
    )
