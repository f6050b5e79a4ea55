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
from relloc_ros.localizers.base import Localizer, StageTimer
from relloc_ros.localizers.pose_from_essentials import solve_from_essential_matrices
from relloc_ros.localizers.pose_from_structure import solve_from_local_structure
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    QueryFeatures,
    extract_query,
    match_reference_images,
    retrieve_images,
)
from relloc_ros.localizers.solution import Solution, answer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, QueryImage, Status
from relloc_ros.vision.matching import create_matcher

__all__ = ['EssentialLocalizer']

MIN_MATCHES = 8
"""Fewer keypoints in an image, or matches in a pair, cannot support an essential matrix."""


class EssentialLocalizer(Localizer):
    """Retrieval, matches with diverse map images, local structure or essential matrices, pose."""

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Prepare to localize in a map.

        Raises:
            ConfigError: the matcher is not for the map's features.
            DataError: the weights of the matcher are missing or unusable.
            MissingDependencyError: a package of the matcher is not installed.
        """
        super().__init__(reference_map, config)
        self._match_ratio = config.match_ratio or reference_map.extractor.match_ratio
        self._matcher = create_matcher(
            config.matcher,
            reference_map.config.features,
            self._match_ratio,
            config.weights_folder,
        )

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""
        timer = StageTimer()
        with timer('features'):
            features = extract_query(self.reference_map, query, self.config.max_keypoints)
        if len(features) < MIN_MATCHES:
            reason = f'{len(features)} keypoints: the image is blank, dark, blurred or covered'
            return self._answer(query, timer, Solution(Status.NO_FEATURES, reason))
        with timer('retrieval'):
            retrieved = retrieve_images(self.reference_map, query, self.config)
        if len(retrieved) == 0:
            reason = 'no map image is as similar as min_similarity: not a place of this map?'
            return self._answer(query, timer, Solution(Status.NO_RETRIEVAL, reason))
        with timer('matching'):
            matched = self._match(features, retrieved)
        solution = self._solve(features, matched, seed, timer)
        return self._answer(query, timer, solution, features, retrieved, matched)

    def _match(self, features: QueryFeatures, retrieved: NDArray[np.intp]) -> list[MatchedImage]:
        settings = self.config.essential
        matched = match_reference_images(
            self.reference_map,
            features,
            retrieved,
            matcher=self._matcher,
            ratio=self._match_ratio,
            max_images=settings.max_pairs,
            distance_limits=(settings.min_image_distance, settings.max_image_distance),
        )
        return [image for image in matched if len(image.matches) >= MIN_MATCHES]

    def _solve(
        self,
        features: QueryFeatures,
        matched: list[MatchedImage],
        seed: int,
        timer: StageTimer,
    ) -> Solution:
        if len(matched) < 2:
            reason = f'{len(matched)} map images with {MIN_MATCHES} matches, two are needed'
            return Solution(Status.TOO_FEW_MATCHES, reason)
        if self.config.essential.refinement == 'local_structure':
            with timer('local_structure'):
                solution = solve_from_local_structure(features, matched, self.config, seed)
            if solution.pose is not None:
                return solution
        with timer('essential_matrices'):
            return solve_from_essential_matrices(features, matched, self.config, seed)

    def _answer(
        self,
        query: QueryImage,
        timer: StageTimer,
        solution: Solution,
        features: QueryFeatures | None = None,
        retrieved: Sequence[int] | NDArray[np.intp] = (),
        matched: Sequence[MatchedImage] = (),
    ) -> Localization:
        names = tuple(self.reference_map.image_names[index] for index in retrieved)
        return answer(query, 'essential', timer.milliseconds, solution, features, names, matched)
