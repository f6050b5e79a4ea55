# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose from matches with the 3D points of a triangulated map: the structure-based reference.

Sattler et al., CVPR 2019, section 4. `retrieved` matches with similar images, the way of
hierarchical localization; `direct` searches the points of the whole map, the way of Active
Search, and looks at no image: it searches everywhere, also if the query has a search area.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import MapError
from relloc_ros.localizers.base import RigLocalizer, no_features, no_retrieval
from relloc_ros.localizers.mirrored import ask_whether_mirrored, is_mirrored, mirrored
from relloc_ros.localizers.point_matching import (
    PointMatches,
    images_of_matches,
    lift_matches,
    search_points,
)
from relloc_ros.localizers.pose_from_points import solve_from_points
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    QueryFeatures,
    extract_and_retrieve,
    extract_query,
    match_reference_images,
)
from relloc_ros.localizers.rivals import undisputed
from relloc_ros.localizers.seen_camera import deviation_of_camera
from relloc_ros.localizers.sighting import NO_ROW, PlacedSighting, SeenPoints, Sighting
from relloc_ros.localizers.solution import Solution, answer, refusal
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, QueryImage
from relloc_ros.vision.matching import create_matcher

__all__ = ['StructureLocalizer']

MIN_KEYPOINTS = 8


class StructureLocalizer(RigLocalizer):
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
        self._ratio = config.match_ratio or reference_map.extractor.match_ratio
        self._matcher = create_matcher(
            config.matcher, reference_map.config.features, self._ratio, config.weights_folder
        )

    @property
    def _points(self) -> MapPoints:
        points = self.reference_map.points
        assert points is not None
        return points

    def sight(self, query: QueryImage, seed: int) -> Sighting:
        """Find matches with 3D points."""
        timer = StageTimer()
        retrieved = None
        if self.config.structure.matching == 'direct':
            with timer('features'):
                features = extract_query(self.reference_map, query, self.config.max_keypoints)
        else:
            features, retrieved = extract_and_retrieve(
                self.reference_map, query, self.config, timer
            )
        if len(features) < MIN_KEYPOINTS:
            return no_features(query, len(features), timer)
        if retrieved is not None and len(retrieved) == 0:
            return no_retrieval(query, timer)
        with timer('matching'):
            if retrieved is None:
                matches, matched = self._search(features)
                ranking = [image.index for image in matched]
            else:
                matches, matched = self._match(features, retrieved)
                ranking = retrieved.tolist()
            asked = features, matched, self._ratio
            are_mutual = retrieved is not None and self.config.matcher == 'mutual_ratio'
            may_be_mirrored = ask_whether_mirrored(
                self.reference_map, *asked, are_mutual=are_mutual
            )
            if may_be_mirrored() and is_mirrored(
                self.reference_map, query, *asked, are_mutual=are_mutual
            ):
                return mirrored(query, timer)
        names = tuple(self.reference_map.image_names[index] for index in ranking)
        points = self._seen_points(features, matches, matched)
        return Sighting.of_matches(
            query, seed, features, names, matched, points, timer.milliseconds
        )

    def locate(self, views: Sequence[PlacedSighting], seed: int) -> Localization:
        """Estimate the pose of the body from the points its cameras show."""
        timer = StageTimer()
        with timer('absolute_pose'):
            solution = self._solve(views, seed)
        with timer('camera'):
            threshold_px = self.config.structure.reprojection_threshold_px
            deviation = deviation_of_camera(solution, views, threshold_px)
        return answer('structure', views, solution, timer.milliseconds, deviation)

    def _solve(self, views: Sequence[PlacedSighting], seed: int) -> Solution:
        showing = [view for view in views if view.sighting.features is not None]
        if not showing:
            return refusal(views)
        solution = solve_from_points(
            showing,
            self.config,
            seed,
            threshold_px=self.config.structure.reprojection_threshold_px,
            called='matches with 3D points',
        )
        return undisputed(solution, showing, self.config, seed)

    def _match(
        self, features: QueryFeatures, retrieved: NDArray[np.intp]
    ) -> tuple[PointMatches, list[MatchedImage]]:
        images = match_reference_images(
            self.reference_map,
            features,
            retrieved,
            matcher=self._matcher,
            ratio=self._ratio,
            max_images=self.config.structure.max_images,
            distance_limits=(0.0, 0.0),
        )
        return lift_matches(self._points, images), images

    def _search(self, features: QueryFeatures) -> tuple[PointMatches, list[MatchedImage]]:
        settings = self.config.structure
        matches = search_points(
            self.reference_map,
            self._points,
            features,
            ratio=self._ratio,
            max_matches=settings.max_matches,
        )
        images = images_of_matches(self.reference_map, self._points, matches)
        return matches, images

    def _seen_points(
        self, features: QueryFeatures, matches: PointMatches, matched: Sequence[MatchedImage]
    ) -> SeenPoints:
        """Give the points their positions, and each match the point it shows."""
        row_of = np.full(len(features), NO_ROW, dtype=np.intp)
        row_of[matches.keypoints] = np.arange(len(matches))
        wanted = np.append(matches.points, NO_POINT)
        shown = []
        for image in matched:
            rows = row_of[image.matches[:, 0]]
            points = self._points.of_image(image.index)[image.features.rows[image.matches[:, 1]]]
            agrees = (rows != NO_ROW) & (points == wanted[rows])
            shown.append(np.where(agrees, rows, NO_ROW))
        positions = np.asarray(self._points.positions[matches.points])
        return SeenPoints(matches.keypoints, positions, tuple(shown))
