# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The query's pose from keypoints that several map images triangulate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import Array
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.solution import Solution, accept
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance
from relloc_ros.vision.local_structure import PosedViews, Tracks, triangulate_tracks

__all__ = ['solve_from_local_structure']


def solve_from_local_structure(
    query: QueryFeatures,
    matched: list[MatchedImage],
    config: LocalizationConfig,
    seed: int,
) -> Solution:
    """Triangulate query keypoints seen in two or more map images, then P3P LO-RANSAC on them."""
    settings = config.essential
    tracks = _triangulate(query, matched, config)
    if len(tracks) < config.min_inliers:
        return Solution(Status.TOO_FEW_MATCHES, f'{len(tracks)} triangulated keypoints')
    points2D = query.normalized[tracks.keypoint_index]
    map_from_cam, inliers = estimate_absolute_pose(
        points2D,
        tracks.points,
        query.focal_length,
        threshold_px=settings.reprojection_threshold_px,
        seed=seed,
    )
    if inliers.sum() < config.min_inliers:
        reason = f'{inliers.sum()} inliers of {len(tracks)} triangulated keypoints'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    residuals, jacobians = absolute_residuals(
        map_from_cam, points2D[inliers], tracks.points[inliers], query.focal_length
    )
    num_images = int(tracks.seen[inliers].any(axis=0).sum())
    covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), num_images)
    if covariance is None:
        return Solution(Status.DEGENERATE, 'the triangulated keypoints leave the pose free')
    masks = _match_masks(tracks.select(inliers), query, matched)
    return accept(PoseEstimate(map_from_cam, covariance), masks, query, matched, config)


def _triangulate(
    query: QueryFeatures, matched: list[MatchedImage], config: LocalizationConfig
) -> Tracks:
    observations, seen = _observations(query, matched)
    several = np.flatnonzero(seen.sum(axis=1) >= 2)
    views = PosedViews.of(
        [image.cam_from_map for image in matched],
        [image.focal_length for image in matched],
    )
    return triangulate_tracks(
        several,
        observations[several],
        seen[several],
        views,
        threshold_px=config.essential.reprojection_threshold_px,
        min_angle=np.deg2rad(config.essential.min_triangulation_angle_deg),
    )


def _observations(
    query: QueryFeatures, matched: list[MatchedImage]
) -> tuple[Array, NDArray[np.bool_]]:
    """Observations (N, P, 2) of each query keypoint in each map image, and which exist (N, P)."""
    observations = np.zeros((len(query), len(matched), 2))
    seen = np.zeros((len(query), len(matched)), dtype=bool)
    for column, image in enumerate(matched):
        query_index, map_index = image.matches.T
        observations[query_index, column] = image.features.normalized[map_index]
        seen[query_index, column] = True
    return observations, seen


def _match_masks(
    tracks: Tracks, query: QueryFeatures, matched: list[MatchedImage]
) -> tuple[NDArray[np.bool_], ...]:
    """For each image, which of its matches belong to the tracks."""
    supported = np.zeros((len(query), len(matched)), dtype=bool)
    supported[tracks.keypoint_index] = tracks.seen
    return tuple(supported[image.matches[:, 0], k] for k, image in enumerate(matched))
