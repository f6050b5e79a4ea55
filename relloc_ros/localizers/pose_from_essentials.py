# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a camera or a rig from essential matrices to map images, refined if so wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.reference_matching import MatchedImage
from relloc_ros.localizers.sighting import PlacedSighting, matched_images
from relloc_ros.localizers.solution import Solution, accept
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.vision.covariance import pose_covariance
from relloc_ros.vision.epipolar_refinement import epipolar_residuals, refine_epipolar
from relloc_ros.vision.pose_from_pairs import estimate_pose_from_pairs
from relloc_ros.vision.relative_pose import (
    PAIR_ESTIMATORS,
    MatchedPoints,
    PairGeometry,
    in_front,
)

__all__ = ['solve_from_essential_matrices']


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """A view and a map image with their geometry; `mask` marks the matches that agree with it."""

    view: PlacedSighting
    image: MatchedImage
    points: MatchedPoints
    geometry: PairGeometry
    mask: NDArray[np.bool_]

    @property
    def inlier_points(self) -> MatchedPoints:
        return self.points.select(self.mask)


def solve_from_essential_matrices(
    views: Sequence[PlacedSighting], config: LocalizationConfig
) -> Solution:
    """Estimate essential matrices, then the pose most of them agree with."""
    pairs = _estimate_pairs(views, config)
    if len(pairs) < 2:
        reason = f'{len(pairs)} map images with an essential matrix, two are needed'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    with_baseline = [pair for pair in pairs if pair.geometry.has_baseline]
    if len(with_baseline) < 2:
        reason = 'no baseline: the query is a mere rotation of the map images'
        return Solution(Status.DEGENERATE, reason)
    result = estimate_pose_from_pairs(
        [pair.geometry.essential for pair in with_baseline],
        [pair.image.cam_from_map.inverse() for pair in with_baseline],
        [pair.view.body_from_cam for pair in with_baseline],
        max_angle=np.deg2rad(config.essential.max_direction_angle_deg),
    )
    if result is None:
        reason = 'map images and query on one line: the position is free along it'
        return Solution(Status.DEGENERATE, reason)
    agreeing = [pair for pair, agrees in zip(with_baseline, result.inliers, strict=True) if agrees]
    # Two images of a rig that err alike against one map image confirm nothing.
    num_images = len({pair.image.index for pair in agreeing})
    if num_images < config.essential.min_agreeing_pairs:
        reason = f'{len(agreeing)} of {len(pairs)} essential matrices agree'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    pose: PoseEstimate | None = PoseEstimate(result.map_from_body, result.covariance)
    if config.essential.refinement != 'none':
        pose = _refine(result.map_from_body, agreeing)
    if pose is None:
        return Solution(Status.DEGENERATE, 'the matches leave the pose free')
    # Which view settled what is not known here: all may err as the least certain one.
    doubt = max((pair.view for pair in agreeing), key=lambda view: view.position_std)
    pose = PoseEstimate(pose.map_from_body, pose.covariance + doubt.place_covariance)
    masks = {id(pair.image): pair.mask & _in_front(pair, pose) for pair in agreeing}
    inliers = tuple(
        masks.get(id(image), np.zeros(len(image.matches), dtype=bool))
        for *_, image in matched_images(views)
    )
    return accept(pose, inliers, views, config)


def _estimate_pairs(views: Sequence[PlacedSighting], config: LocalizationConfig) -> list[_Pair]:
    """Give the pairs whose essential matrix more matches support than chance would."""
    settings = config.essential
    estimate = PAIR_ESTIMATORS[settings.pair_estimator]
    pairs = []
    for _, view, image in matched_images(views):
        points = image.points(view.features)
        geometry = estimate(
            points, threshold_px=settings.epipolar_threshold_px, seed=view.sighting.seed
        )
        if geometry is None:
            continue
        mask = geometry.inliers
        if mask is None:  # regressed: nothing says which matches agree
            mask = np.ones(len(image.matches), dtype=bool)
        pairs.append(_Pair(view, image, points, geometry, mask))
    return pairs


def _in_front(pair: _Pair, pose: PoseEstimate) -> NDArray[np.bool_]:
    map_from_cam = pose.map_from_body @ pair.view.body_from_cam
    cam_from_ref = map_from_cam.inverse() @ pair.image.cam_from_map.inverse()
    return in_front(cam_from_ref, pair.points)


def _refine(map_from_body: RigidTransform, pairs: list[_Pair]) -> PoseEstimate | None:
    """Refine on all inlier matches; None when they leave the pose free."""
    points = [pair.inlier_points for pair in pairs]
    poses = [pair.image.cam_from_map for pair in pairs]
    places = [pair.view.body_from_cam for pair in pairs]
    refined = refine_epipolar(map_from_body, points, poses, places)
    centres = np.array([pose.inverse().translation for pose in poses])
    distance = float(np.linalg.norm(centres - refined.translation, axis=1).mean())
    scale = max(distance, 1e-9)
    residuals, jacobians = epipolar_residuals(refined, points, poses, places, scale=scale)
    num_images = len({pair.image.index for pair in pairs})
    covariance = pose_covariance(residuals, jacobians, num_images)
    return None if covariance is None else PoseEstimate(refined, covariance)
