# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The default localizer: pose from essential matrices to posed images, refined.

Zhou et al., ICRA 2020, sections III and IV-A, with two refinements of our own. `local_structure`
asks the triangulated points first: where they settle the pose, the essential matrices would add
nothing and are not estimated. Where they do not, the pairs decide, refined on all their matches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.base import Localizer, StageTimer
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    QueryFeatures,
    match_reference_images,
)
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, QueryImage, Status
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance
from relloc_ros.vision.epipolar_refinement import epipolar_residuals, refine_epipolar
from relloc_ros.vision.features import extract_features
from relloc_ros.vision.local_structure import PosedViews, triangulate_tracks
from relloc_ros.vision.pose_from_pairs import PairsPose, estimate_pose_from_pairs
from relloc_ros.vision.relative_pose import PAIR_ESTIMATORS, MatchedPoints, PairGeometry

__all__ = ['EssentialLocalizer']

MIN_PAIR_MATCHES = 8
MIN_TRACKS = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """A pose, or why there is none; `inliers` has a mask over the matches of each image."""

    status: Status
    reason: str = ''
    pose: PoseEstimate | None = None
    inliers: tuple[NDArray[np.bool_], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Images with an essential matrix."""

    images: list[MatchedImage]
    points: list[MatchedPoints]
    geometries: list[PairGeometry]


class EssentialLocalizer(Localizer):
    """Retrieval, matches with diverse map images, essential matrices or local structure, pose."""

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""
        timer = StageTimer()
        with timer('features'):
            extracted = extract_features(query.image, self.config.max_keypoints)
            features = QueryFeatures.of(
                extracted,
                query.camera.normalize(extracted.points2D),
                query.camera.mean_focal_length,
            )
        if len(features) < MIN_PAIR_MATCHES:
            reason = f'{len(features)} keypoints: the image is blank, dark or blurred'
            return self._answer(query, timer, _Solution(Status.NO_FEATURES, reason))
        with timer('retrieval'):
            retrieved = self._retrieve(query)
        names = tuple(self.reference_map.image_names[index] for index in retrieved)
        if not names:
            reason = 'no map image is similar: the place may not be in the map'
            return self._answer(query, timer, _Solution(Status.NO_RETRIEVAL, reason))
        with timer('matching'):
            matched = self._match(features, retrieved)
        solution = self._solve(features, matched, seed, timer)
        return self._answer(query, timer, solution, names, features, matched)

    def _retrieve(self, query: QueryImage) -> NDArray[np.intp]:
        descriptor = self.reference_map.describe(query.image)
        indices, similarities = self.reference_map.retrieve(descriptor, self.config.top_k)
        return np.asarray(indices[similarities >= self.config.min_similarity], dtype=np.intp)

    def _match(self, features: QueryFeatures, retrieved: NDArray[np.intp]) -> list[MatchedImage]:
        settings = self.config.essential
        matched = match_reference_images(
            self.reference_map,
            features,
            retrieved,
            ratio=self.config.match_ratio,
            max_images=settings.max_pairs,
            distance_limits=(settings.min_image_distance, settings.max_image_distance),
        )
        return [image for image in matched if len(image.matches) >= MIN_PAIR_MATCHES]

    def _solve(
        self, features: QueryFeatures, matched: list[MatchedImage], seed: int, timer: StageTimer
    ) -> _Solution:
        if len(matched) < 2:
            reason = f'{len(matched)} map images with {MIN_PAIR_MATCHES} matches, two are needed'
            return _Solution(Status.TOO_FEW_MATCHES, reason)
        settings = self.config.essential
        if settings.refinement == 'local_structure':
            with timer('local_structure'):
                solution = self._from_local_structure(features, matched, seed)
            if solution.pose is not None:
                return solution
        with timer('essential_matrices'):
            pairs = self._estimate_pairs(features, matched, seed)
        with timer('pose_from_pairs'):
            return self._from_pairs(features, matched, pairs)

    def _from_local_structure(
        self, features: QueryFeatures, matched: list[MatchedImage], seed: int
    ) -> _Solution:
        settings = self.config.essential
        observations, seen = _track_table(features, matched)
        multiple = np.flatnonzero(seen.sum(axis=1) >= 2)
        views = PosedViews.of(
            [image.cam_from_map for image in matched], [image.focal_length for image in matched]
        )
        tracks = triangulate_tracks(
            multiple,
            observations[multiple],
            seen[multiple],
            views,
            threshold_px=settings.reprojection_threshold_px,
            min_angle=np.deg2rad(settings.min_triangulation_angle_deg),
        )
        if len(tracks) < max(MIN_TRACKS, self.config.min_inliers):
            return _Solution(Status.TOO_FEW_MATCHES, f'{len(tracks)} triangulated keypoints')
        points2D = features.normalized[tracks.keypoint_index]
        map_from_cam, inliers = estimate_absolute_pose(
            points2D,
            tracks.points,
            features.focal_length,
            threshold_px=settings.reprojection_threshold_px,
            seed=seed,
        )
        count = int(inliers.sum())
        if count < self.config.min_inliers:
            return _Solution(Status.TOO_FEW_INLIERS, f'{count} inliers of {len(tracks)} points')
        residuals, jacobians = absolute_residuals(
            map_from_cam, points2D[inliers], tracks.points[inliers], features.focal_length
        )
        num_images = int(tracks.seen[inliers].any(axis=0).sum())
        covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), num_images)
        if covariance is None:
            return _Solution(Status.DEGENERATE, 'the points leave the pose free')
        supported = np.zeros(seen.shape, dtype=bool)
        supported[tracks.keypoint_index[inliers]] = tracks.seen[inliers]
        masks = tuple(supported[image.matches[:, 0], k] for k, image in enumerate(matched))
        return _Solution(
            Status.LOCALIZED, '', PoseEstimate(map_from_cam, covariance), masks
        )

    def _estimate_pairs(
        self, features: QueryFeatures, matched: list[MatchedImage], seed: int
    ) -> _Pairs:
        settings = self.config.essential
        estimate = PAIR_ESTIMATORS[settings.pair_estimator]
        pairs = _Pairs([], [], [])
        for image in matched:
            points = MatchedPoints(
                features.normalized[image.matches[:, 0]],
                image.features.normalized[image.matches[:, 1]],
                features.focal_length,
                image.focal_length,
            )
            geometry = estimate(points, threshold_px=settings.epipolar_threshold_px, seed=seed)
            if geometry is not None:
                pairs.images.append(image)
                pairs.points.append(points)
                pairs.geometries.append(geometry)
        return pairs

    def _from_pairs(
        self, features: QueryFeatures, matched: list[MatchedImage], pairs: _Pairs
    ) -> _Solution:
        with_baseline = [k for k, pair in enumerate(pairs.geometries) if pair.has_baseline]
        if len(pairs.geometries) < 2:
            reason = f'{len(pairs.geometries)} map images with an essential matrix, two are needed'
            return _Solution(Status.TOO_FEW_INLIERS, reason)
        if len(with_baseline) < 2:
            reason = 'no baseline to the map images: the query only rotates against them'
            return _Solution(Status.DEGENERATE, reason)
        kept = _Pairs(*([values[k] for k in with_baseline] for values in _columns(pairs)))
        result = estimate_pose_from_pairs(
            [pair.essential for pair in kept.geometries],
            [image.cam_from_map.inverse() for image in kept.images],
            max_angle=np.deg2rad(self.config.essential.max_direction_angle_deg),
        )
        if result is None:
            reason = 'the map images and the query lie on one line: its position is free along it'
            return _Solution(Status.DEGENERATE, reason)
        agreeing = [k for k, inlier in enumerate(result.inliers) if inlier]
        return self._judge_pairs(matched, kept, agreeing, result)

    def _judge_pairs(
        self, matched: list[MatchedImage], pairs: _Pairs, agreeing: list[int], result: PairsPose
    ) -> _Solution:
        settings = self.config.essential
        images = [pairs.images[k] for k in agreeing]
        masks = {
            pairs.images[k].name: _inlier_mask(pairs.geometries[k], pairs.images[k])
            for k in agreeing
        }
        pose = PoseEstimate(result.map_from_cam, result.covariance)
        if settings.refinement != 'none':
            inlier_points = [
                _select(pairs.points[k], masks[pairs.images[k].name]) for k in agreeing
            ]
            refined = _refine(result.map_from_cam, inlier_points, images)
            if refined is None:
                return _Solution(Status.DEGENERATE, 'the matches leave the pose free')
            pose = refined
        inliers = tuple(
            masks.get(image.name, np.zeros(len(image.matches), dtype=bool)) for image in matched
        )
        count = _distinct_keypoints(matched, inliers)
        if count < self.config.min_inliers or len(agreeing) < settings.min_agreeing_pairs:
            reason = f'{count} inliers in {len(agreeing)} agreeing map images'
            return _Solution(Status.TOO_FEW_INLIERS, reason)
        return _Solution(Status.LOCALIZED, '', pose, inliers)

    def _answer(
        self,
        query: QueryImage,
        timer: StageTimer,
        solution: _Solution,
        retrieved: tuple[str, ...] = (),
        features: QueryFeatures | None = None,
        matched: list[MatchedImage] | None = None,
    ) -> Localization:
        matched = matched or []
        masks = solution.inliers or tuple(
            np.zeros(len(image.matches), dtype=bool) for image in matched
        )
        pairs = tuple(
            PairMatches(
                image.name,
                features.points2D[image.matches[:, 0]],
                image.features.points2D[image.matches[:, 1]],
                mask,
            )
            for image, mask in zip(matched, masks, strict=True)
            if features is not None
        )
        return Localization(
            status=solution.status,
            reason=solution.reason,
            stamp_ns=query.stamp_ns,
            localizer='essential',
            camera_pose=solution.pose,
            num_matches=sum(len(image.matches) for image in matched),
            num_inliers=_distinct_keypoints(matched, masks),
            retrieved=retrieved,
            pairs=pairs,
            timings_ms=timer.milliseconds,
        )


def _columns(pairs: _Pairs) -> tuple[list[MatchedImage], list[MatchedPoints], list[PairGeometry]]:
    return pairs.images, pairs.points, pairs.geometries


def _track_table(
    features: QueryFeatures, matched: list[MatchedImage]
) -> tuple[Array, NDArray[np.bool_]]:
    """Observations (N, P, 2) of each query keypoint in each map image, and which exist (N, P)."""
    observations = np.zeros((len(features), len(matched), 2))
    seen = np.zeros((len(features), len(matched)), dtype=bool)
    for k, image in enumerate(matched):
        query_index, map_index = image.matches.T
        observations[query_index, k] = image.features.normalized[map_index]
        seen[query_index, k] = True
    return observations, seen


def _inlier_mask(geometry: PairGeometry, image: MatchedImage) -> NDArray[np.bool_]:
    if geometry.inliers is None:
        return np.ones(len(image.matches), dtype=bool)
    return geometry.inliers


def _select(points: MatchedPoints, mask: NDArray[np.bool_]) -> MatchedPoints:
    return MatchedPoints(
        points.query[mask],
        points.reference[mask],
        points.query_focal_length,
        points.reference_focal_length,
    )


def _refine(
    map_from_cam: RigidTransform, points: list[MatchedPoints], images: list[MatchedImage]
) -> PoseEstimate | None:
    poses = [image.cam_from_map for image in images]
    refined = refine_epipolar(map_from_cam, points, poses)
    centres = np.array([pose.inverse().translation for pose in poses])
    scale = float(np.linalg.norm(centres - refined.translation, axis=1).mean())
    residuals, jacobians = epipolar_residuals(refined, points, poses, scale=max(scale, 1e-9))
    covariance = pose_covariance(residuals, jacobians, len(images))
    return None if covariance is None else PoseEstimate(refined, covariance)


def _distinct_keypoints(
    matched: list[MatchedImage], masks: tuple[NDArray[np.bool_], ...]
) -> int:
    found = [image.matches[mask, 0] for image, mask in zip(matched, masks, strict=True)]
    return len(np.unique(np.concatenate(found))) if found else 0
