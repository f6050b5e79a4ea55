# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a camera, or of a rig of cameras, from points of known position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.localizers.sighting import PlacedSighting, matched_images
from relloc_ros.localizers.solution import Solution, accept
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.vision.covariance import ViewResiduals, fuse_views, pose_covariance
from relloc_ros.vision.rig_pose import CameraPoints, estimate_rig_pose, rig_residuals

__all__ = ['solve_from_points']

MIN_DISTANCE = 1e-9


def solve_from_points(
    views: Sequence[PlacedSighting],
    config: LocalizationConfig,
    seed: int,
    *,
    threshold_px: float,
    called: str,
) -> Solution:
    """Estimate the pose that most points of all views agree with.

    Args:
        views: what the images show, all with points.
        config: how sure a pose must be.
        seed: of the RANSAC.
        threshold_px: largest reprojection error of an inlier.
        called: what the points are called, for people.
    """
    cameras = [_camera_points(view, threshold_px) for view in views]
    total = sum(len(camera) for camera in cameras)
    if total < config.min_inliers:
        return Solution(Status.TOO_FEW_MATCHES, f'{total} {called}')
    seeing = [index for index, camera in enumerate(cameras) if len(camera)]
    map_from_body, found = estimate_rig_pose(
        [cameras[index] for index in seeing], threshold_px=threshold_px, seed=seed
    )
    inliers = [np.zeros(len(camera), dtype=bool) for camera in cameras]
    for index, mask in zip(seeing, found, strict=True):
        inliers[index] = mask
    count = sum(int(mask.sum()) for mask in inliers)
    if count < config.min_inliers:
        return Solution(Status.TOO_FEW_INLIERS, f'{count} inliers of {total} {called}')
    masks = _match_masks(views, inliers)
    seen = [camera.select(mask) for camera, mask in zip(cameras, inliers, strict=True)]
    pose = _with_covariance(map_from_body, seen, views, _count_images(views, masks))
    if pose is None:
        return Solution(Status.DEGENERATE, f'the {called} leave the pose free')
    return accept(pose, masks, views, config)


def _with_covariance(
    map_from_body: RigidTransform,
    seen: Sequence[CameraPoints],
    views: Sequence[PlacedSighting],
    num_images: int,
) -> PoseEstimate | None:
    """Say how sure a pose is; where places of views are not known exactly, weigh them by that."""
    if all(view.is_certain for view in views):
        residuals, jacobians = rig_residuals(map_from_body, seen)
        covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), num_images)
        return None if covariance is None else PoseEstimate(map_from_body, covariance)
    doubted = []
    for camera, view in zip(seen, views, strict=True):
        residuals, jacobians = rig_residuals(map_from_body, [camera])
        doubted.append(
            ViewResiduals(residuals.ravel(), jacobians.reshape(-1, 6), view.place_covariance)
        )
    fused = fuse_views(doubted, num_images)
    if fused is None:
        return None
    step, covariance = fused
    rotation = exp_so3(step[3:]) @ map_from_body.rotation
    moved = RigidTransform(rotation, map_from_body.translation + step[:3])
    return PoseEstimate(moved, covariance)


def _camera_points(view: PlacedSighting, threshold_px: float) -> CameraPoints:
    """Give the points of a view, in the pixels of a coarser camera if its place is not certain."""
    points, features = view.sighting.points, view.features
    assert points is not None
    coarseness = 1.0 if view.is_certain else np.hypot(1.0, _doubt_px(view) / threshold_px)
    return CameraPoints(
        view.body_from_cam,
        features.normalized[points.keypoints],
        points.positions,
        features.focal_length / float(coarseness),
    )


def _doubt_px(view: PlacedSighting) -> float:
    """How far points may be off since the view's place is not known exactly.

    How far away the points are, their distance from the map images tells.
    """
    sighting, points = view.sighting, view.sighting.points
    if points is None or not len(points):
        return 0.0
    centres = [image.cam_from_map.inverse().translation for image in sighting.matched]
    distances = np.linalg.norm(points.positions - np.mean(centres, axis=0), axis=1)
    shift = view.position_std / max(float(np.median(distances)), MIN_DISTANCE)
    return view.features.focal_length * float(np.hypot(view.rotation_std, shift))


def _match_masks(
    views: Sequence[PlacedSighting], inliers: Sequence[NDArray[np.bool_]]
) -> tuple[NDArray[np.bool_], ...]:
    """For each matched image of each view, which of its matches show an inlier."""
    masks: list[NDArray[np.bool_]] = []
    for view, mask in zip(views, inliers, strict=True):
        assert view.sighting.points is not None
        masks += view.sighting.points.masks(mask)
    return tuple(masks)


def _count_images(views: Sequence[PlacedSighting], masks: Sequence[NDArray[np.bool_]]) -> int:
    """Count the map images that support the pose; one that two views see has one error."""
    supporting = {
        image.index
        for (*_, image), mask in zip(matched_images(views), masks, strict=True)
        if mask.any()
    }
    return max(1, len(supporting))
