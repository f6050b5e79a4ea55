# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The default localizer: pose from essential matrices to posed images, refined.

Zhou et al., ICRA 2020, sections III and IV-A, with two refinements of our own. `local_structure`
asks the triangulated points first: where they settle the pose, the essential matrices would add
nothing and are not estimated. Where they do not, the pairs decide, refined on all their matches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.localizers.base import RigLocalizer, no_features, no_retrieval
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.mirrored import ask_whether_mirrored, is_mirrored, mirrored
from relloc_ros.localizers.network_estimators import create_network_sight
from relloc_ros.localizers.pose_from_essentials import solve_from_essential_matrices
from relloc_ros.localizers.pose_from_points import solve_from_points
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    QueryFeatures,
    choose_reference_images,
    extract_and_retrieve,
    match_images,
    sort_by_matches,
)
from relloc_ros.localizers.regressed_pairs import solve_from_regressed_pairs
from relloc_ros.localizers.rivals import undisputed
from relloc_ros.localizers.seen_camera import deviation_of_camera
from relloc_ros.localizers.sighting import PlacedSighting, SeenPoints, Sighting
from relloc_ros.localizers.solution import Solution, answer, refusal
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, QueryImage, Status
from relloc_ros.vision.matching import create_matcher

__all__ = ['EssentialLocalizer']

MIN_MATCHES = 8
"""Fewer keypoints in an image, or matches in a pair, cannot support an essential matrix."""

SUFFICIENT_SHARE = 0.5
"""Where fewer of the keypoints that two map images show give points, the scene repeats itself or
poses of the map are poor: on walls of tiles 37 %, with wrong poses; on redkitchen 83 %."""

FEW = 1.5
"""Times as many points as suffice: poses of fewer get better with further images."""


class EssentialLocalizer(RigLocalizer):
    """Retrieval, matches with diverse map images, local structure or essential matrices, pose."""

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Prepare to localize in a map.

        Raises:
            ConfigError: the matcher is not for the map's features, or the pair estimator needs
                weights.
            DataError: the weights of the matcher or the pair estimator are missing or unusable.
            MapError: the pair estimator does not find the images of the map.
            MissingDependencyError: a package of the matcher or the pair estimator is not
                installed.
        """
        super().__init__(reference_map, config)
        self._network = create_network_sight(reference_map, config)
        self._triangulates = config.essential.refinement == 'local_structure'
        settings = config.essential
        may_stop = self._triangulates and settings.sufficient_points > 0
        self._first = -(-settings.max_pairs // 2) if may_stop else settings.max_pairs
        self._more = settings.more_pairs if may_stop else 0
        self._ratio = config.match_ratio or reference_map.extractor.match_ratio
        self._matcher = create_matcher(
            config.matcher,
            reference_map.config.features,
            self._ratio,
            config.weights_folder,
        )

    def sight(self, query: QueryImage, seed: int) -> Sighting:
        """Find matches, and points that map images triangulate; or ask the network."""
        if self._network is not None:
            return self._network.sight(query, seed)
        timer = StageTimer()
        features, retrieved = extract_and_retrieve(self.reference_map, query, self.config, timer)
        if len(features) < MIN_MATCHES:
            return no_features(query, len(features), timer)
        if len(retrieved) == 0:
            return no_retrieval(query, timer)
        return self.sight_among(query, seed, features, retrieved, timer)

    def sight_among(
        self,
        query: QueryImage,
        seed: int,
        features: QueryFeatures,
        retrieved: NDArray[np.intp],
        timer: StageTimer,
    ) -> Sighting:
        """Find matches with some of the retrieved images.

        Args:
            query: its name and stamp count; its pixels only in a map of learned features, where it
                may be mirrored.
            seed: of the random steps of this image.
            features: of the query.
            retrieved: (k,) indices of map images, most similar first.
            timer: of the stages.
        """
        ratio, are_mutual = self._ratio, self.config.matcher == 'mutual_ratio'
        with timer('matching'):
            chosen = self._choose(features, retrieved)
            first, rest, more = np.split(chosen, [self._first, self.config.essential.max_pairs])
            matched = self._match(features, first)
            may_be_mirrored = ask_whether_mirrored(
                self.reference_map, features, matched, ratio, are_mutual=are_mutual
            )
        points = self._triangulate(features, matched, timer)
        with timer('matching'):
            is_doubtful = may_be_mirrored()
        if is_doubtful or (len(rest) and not self._suffice(points, matched)):
            with timer('matching'):
                matched = sort_by_matches(matched + self._match(features, rest))
                if is_doubtful and is_mirrored(
                    self.reference_map, query, features, matched, ratio, are_mutual=are_mutual
                ):
                    return mirrored(query, timer)
            points = self._triangulate(features, matched, timer)
            if len(more) and self._are_few(points):
                with timer('matching'):
                    matched = sort_by_matches(matched + self._match(features, more))
                points = self._triangulate(features, matched, timer)
        names = tuple(self.reference_map.image_names[index] for index in retrieved)
        return Sighting.of_matches(
            query, seed, features, names, matched, points, timer.milliseconds
        )

    def locate(self, views: Sequence[PlacedSighting], seed: int) -> Localization:
        """Estimate the pose of the body from what its cameras show."""
        timer = StageTimer()
        solution = self._solve(views, seed, timer)
        with timer('camera'):
            threshold_px = self.config.essential.reprojection_threshold_px
            deviation = deviation_of_camera(solution, views, threshold_px)
        return answer('essential', views, solution, timer.milliseconds, deviation)

    def _choose(self, features: QueryFeatures, retrieved: NDArray[np.intp]) -> NDArray[np.intp]:
        settings = self.config.essential
        return choose_reference_images(
            self.reference_map,
            features,
            retrieved,
            ratio=self._ratio,
            max_images=settings.max_pairs + self._more,
            distance_limits=(settings.min_image_distance, settings.max_image_distance),
        )

    def _match(self, features: QueryFeatures, chosen: NDArray[np.intp]) -> list[MatchedImage]:
        matched = match_images(self.reference_map, features, chosen, self._matcher)
        return sort_by_matches([image for image in matched if len(image.matches) >= MIN_MATCHES])

    def _triangulate(
        self, features: QueryFeatures, matched: Sequence[MatchedImage], timer: StageTimer
    ) -> SeenPoints | None:
        if not self._triangulates:
            return None
        with timer('local_structure'):
            return triangulate_matches(features, matched, self.config.essential)

    def _suffice(self, points: SeenPoints | None, matched: Sequence[MatchedImage]) -> bool:
        """Tell whether there are enough points, and few of the others could have been some."""
        if not points:
            return False
        times_seen = np.bincount(np.concatenate([image.matches[:, 0] for image in matched]))
        candidates = np.count_nonzero(times_seen >= 2)
        least = self.config.essential.sufficient_points
        return len(points) >= max(least, SUFFICIENT_SHARE * candidates)

    def _are_few(self, points: SeenPoints | None) -> bool:
        return not points or len(points) < FEW * self.config.essential.sufficient_points

    def _solve(self, views: Sequence[PlacedSighting], seed: int, timer: StageTimer) -> Solution:
        regressed = [view for view in views if view.sighting.regressed]
        if regressed:
            with timer('essential_matrices'):
                return solve_from_regressed_pairs(regressed, self.config)
        showing = [view for view in views if view.sighting.features is not None]
        if not showing:
            return refusal(views)
        num_pairs = sum(len(view.sighting.matched) for view in showing)
        if num_pairs < 2:
            reason = f'{num_pairs} map images with {MIN_MATCHES} matches, two are needed'
            return Solution(Status.TOO_FEW_MATCHES, reason)
        if self._triangulates:
            with timer('local_structure'):
                solution = solve_from_points(
                    showing,
                    self.config,
                    seed,
                    threshold_px=self.config.essential.reprojection_threshold_px,
                    called='triangulated keypoints',
                )
                solution = undisputed(solution, showing, self.config, seed)
            if solution.is_ambiguous:
                return solution
            # Essential matrices of views whose places are not certain gave wrong poses.
            if solution.pose is not None or not all(view.is_certain for view in showing):
                return solution
        with timer('essential_matrices'):
            solution = solve_from_essential_matrices(showing, self.config)
            return undisputed(solution, showing, self.config, seed)
