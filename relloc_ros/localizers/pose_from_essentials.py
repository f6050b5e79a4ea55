# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The query's pose from essential matrices to map images, with optional epipolar refinement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
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
    """A map image with its geometry; `mask` marks the matches that agree with it."""

    image: MatchedImage
    points: MatchedPoints
    geometry: PairGeometry
    mask: NDArray[np.bool_]

    @property
    def inlier_points(self) -> MatchedPoints:
        return self.points.select(self.mask)


def solve_from_essential_matrices(
    query: QueryFeatures,
    matched: list[MatchedImage],
    config: LocalizationConfig,
    seed: int,
) -> Solution:
    """Estimate essential matrices, then the pose most of them agree with."""
    pairs = _estimate_pairs(query, matched, config, seed)
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
        max_angle=np.deg2rad(config.essential.max_direction_angle_deg),
    )
    if result is None:
        reason = 'map images and query on one line: the position is free along it'
        return Solution(Status.DEGENERATE, reason)
    agreeing = [pair for pair, agrees in zip(with_baseline, result.inliers, strict=True) if agrees]
    if len(agreeing) < config.essential.min_agreeing_pairs:
        reason = f'{len(agreeing)} of {len(pairs)} essential matrices agree'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    pose: PoseEstimate | None = PoseEstimate(result.map_from_cam, result.covariance)
    if config.essential.refinement != 'none':
        pose = _refine(result.map_from_cam, agreeing)
    if pose is None:
        return Solution(Status.DEGENERATE, 'the matches leave the pose free')
    masks = {pair.image.name: pair.mask & _in_front(pair, pose) for pair in agreeing}
    inliers = tuple(
        masks.get(image.name, np.zeros(len(image.matches), dtype=bool)) for image in matched
    )
    return accept(pose, inliers, query, matched, config)


def _estimate_pairs(
    query: QueryFeatures,
    matched: list[MatchedImage],
    config: LocalizationConfig,
    seed: int,
) -> list[_Pair]:
    """Give the pairs whose essential matrix more matches support than chance would."""
    settings = config.essential
    estimate = PAIR_ESTIMATORS[settings.pair_estimator]
    pairs = []
    for image in matched:
        points = image.points(query)
        geometry = estimate(points, threshold_px=settings.epipolar_threshold_px, seed=seed)
        if geometry is None:
            continue
        mask = geometry.inliers
        if mask is None:  # regressed: nothing says which matches agree
            mask = np.ones(len(image.matches), dtype=bool)
        pairs.append(_Pair(image, points, geometry, mask))
    return pairs


def _in_front(pair: _Pair, pose: PoseEstimate) -> NDArray[np.bool_]:
    cam_from_ref = pose.map_from_body.inverse() @ pair.image.cam_from_map.inverse()
    return in_front(cam_from_ref, pair.points)


def _refine(map_from_cam: RigidTransform, pairs: list[_Pair]) -> PoseEstimate | None:
    """Refine on all inlier matches; None when they leave the pose free."""
    points = [pair.inlier_points for pair in pairs]
    poses = [pair.image.cam_from_map for pair in pairs]
    refined = refine_epipolar(map_from_cam, points, poses)
    centres = np.array([pose.inverse().translation for pose in poses])
    distance = float(np.linalg.norm(centres - refined.translation, axis=1).mean())
    residuals, jacobians = epipolar_residuals(refined, points, poses, scale=max(distance, 1e-9))
    covariance = pose_covariance(residuals, jacobians, len(pairs))
    return None if covariance is None else PoseEstimate(refined, covariance)
