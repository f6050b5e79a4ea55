# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose from matches with the 3D points of a triangulated map: the structure-based reference.

Sattler et al., CVPR 2019, section 4. `retrieved` matches with similar images, the way of
hierarchical localization; `direct` searches the points of the whole map, the way of Active
Search, and looks at no image: it searches everywhere, also if the query has a search area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import MapError
from relloc_ros.localizers.base import Localizer, StageTimer
from relloc_ros.localizers.point_matching import (
    PointMatches,
    images_of_matches,
    lift_matches,
    search_points,
)
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    QueryFeatures,
    extract_query,
    match_reference_images,
    retrieve_images,
)
from relloc_ros.localizers.solution import Solution, accept, answer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, PoseEstimate, QueryImage, Status
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance
from relloc_ros.vision.matching import create_matcher

__all__ = ['StructureLocalizer']

MIN_KEYPOINTS = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Matching:
    """What matching found: images best first, those that were matched, and points."""

    ranking: NDArray[np.intp]
    images: list[MatchedImage]
    points: PointMatches


class StructureLocalizer(Localizer):
    """Matches with 3D points, P3P LO-RANSAC, robust refinement."""

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Prepare to localize in a map.

        Raises:
            MapError: the map has no 3D points.
            ConfigError: the matcher is not for the map's features.
            DataError: the weights of the matcher are missing or unusable.
            MissingDependencyError: a package of the matcher is not installed.
        """
        super().__init__(reference_map, config)
        if reference_map.points is None:
            raise MapError(
                f'map {reference_map.path} has no 3D points, which localizer structure needs: '
                f'add them with `relloc map triangulate {reference_map.path}`'
            )
        self._points = reference_map.points
        self._ratio = config.match_ratio or reference_map.extractor.match_ratio
        self._matcher = create_matcher(
            config.matcher, reference_map.config.features, self._ratio, config.weights_folder
        )

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""
        timer = StageTimer()
        with timer('features'):
            features = extract_query(self.reference_map, query, self.config.max_keypoints)
        if len(features) < MIN_KEYPOINTS:
            reason = f'{len(features)} keypoints: the image is blank, dark, blurred or covered'
            return self._answer(query, timer, Solution(Status.NO_FEATURES, reason))
        if self.config.structure.matching == 'direct':
            with timer('matching'):
                matching = self._search(features)
        else:
            with timer('retrieval'):
                retrieved = retrieve_images(self.reference_map, query, self.config)
            if len(retrieved) == 0:
                reason = 'no map image is as similar as min_similarity: not a place of this map?'
                return self._answer(query, timer, Solution(Status.NO_RETRIEVAL, reason))
            with timer('matching'):
                matching = self._match(features, retrieved)
        with timer('absolute_pose'):
            solution = self._solve(features, matching, seed)
        return self._answer(query, timer, solution, features, matching)

    def _match(self, features: QueryFeatures, retrieved: NDArray[np.intp]) -> _Matching:
        images = match_reference_images(
            self.reference_map,
            features,
            retrieved,
            matcher=self._matcher,
            ratio=self._ratio,
            max_images=self.config.structure.max_images,
            distance_limits=(0.0, 0.0),
        )
        return _Matching(retrieved, images, lift_matches(self._points, images))

    def _search(self, features: QueryFeatures) -> _Matching:
        settings = self.config.structure
        matches = search_points(
            self.reference_map,
            self._points,
            features,
            ratio=self._ratio,
            max_matches=settings.max_matches,
        )
        images = images_of_matches(self.reference_map, self._points, matches, settings.max_images)
        return _Matching(np.array([image.index for image in images]), images, matches)

    def _solve(self, features: QueryFeatures, matching: _Matching, seed: int) -> Solution:
        matches = matching.points
        minimum = self.config.min_inliers
        if len(matches) < minimum:
            reason = f'{len(matches)} matches with 3D points'
            return Solution(Status.TOO_FEW_MATCHES, reason)
        points2D = features.normalized[matches.keypoints]
        points3D = np.asarray(self._points.positions[matches.points])
        map_from_cam, inliers = estimate_absolute_pose(
            points2D,
            points3D,
            features.focal_length,
            threshold_px=self.config.structure.reprojection_threshold_px,
            seed=seed,
        )
        share = float(inliers.mean())
        if inliers.sum() < minimum or share < self.config.min_match_agreement:
            reason = f'{inliers.sum()} inliers of {len(matches)} matches with 3D points'
            return Solution(Status.TOO_FEW_INLIERS, reason)
        residuals, jacobians = absolute_residuals(
            map_from_cam, points2D[inliers], points3D[inliers], features.focal_length
        )
        masks = self._masks(matching, inliers)
        num_images = max(1, sum(bool(mask.any()) for mask in masks))
        covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), num_images)
        if covariance is None:
            return Solution(Status.DEGENERATE, 'the matches with 3D points leave the pose free')
        pose = PoseEstimate(map_from_cam, covariance)
        return accept(pose, masks, features, matching.images, self.config)

    def _masks(
        self, matching: _Matching, inliers: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], ...]:
        """For each image, which of its matches show the point of an inlier."""
        point_of = dict(
            zip(
                matching.points.keypoints[inliers].tolist(),
                matching.points.points[inliers].tolist(),
                strict=True,
            )
        )
        masks = []
        for image in matching.images:
            shown = self._points.of_image(image.index)[image.features.rows[image.matches[:, 1]]]
            wanted = [point_of.get(keypoint, -2) for keypoint in image.matches[:, 0].tolist()]
            masks.append(shown == np.array(wanted, dtype=np.int64))
        return tuple(masks)

    def _answer(
        self,
        query: QueryImage,
        timer: StageTimer,
        solution: Solution,
        features: QueryFeatures | None = None,
        matching: _Matching | None = None,
    ) -> Localization:
        ranking = matching.ranking if matching else ()
        images = matching.images if matching else ()
        names = tuple(self.reference_map.image_names[index] for index in ranking)
        return answer(query, 'structure', timer.milliseconds, solution, features, names, images)
