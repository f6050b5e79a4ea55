# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matches that a network finds, for all that is done with matches of keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import Array
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.network_images import DescribedImages
from relloc_ros.localizers.network_sight import NetworkSight
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.feature_store import MapFeatures
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import QueryImage

__all__ = ['LearnedMatches']

MIN_MATCHES = 8
"""Fewer in a pair cannot support an essential matrix."""


class LearnedMatches(NetworkSight):
    """Matches of cells, which are treated as keypoints of a camera with coarse pixels.

    All thresholds in pixels, and what residuals say of the covariance, then hold for them as they
    do for keypoints.
    """

    def __init__(
        self,
        reference_map: ReferenceMap,
        config: LocalizationConfig,
        folder: Path,
        wanted: tuple[str, ...],
    ) -> None:
        """Load the networks.

        Args:
            reference_map: the map.
            config: names the files of the weights.
            folder: of the map's images.
            wanted: names of the networks whose matching will do; the features of all will.

        Raises:
            DataError: a file is missing, damaged, or of another network.
            MissingDependencyError: PyTorch is not installed.
        """
        from relloc_ros.networks.checkpoint import load_network  # noqa: PLC0415  optional
        from relloc_ros.networks.inference import DenseMatcher  # noqa: PLC0415

        super().__init__(reference_map, config)
        settings = config.essential
        matching = Path(settings.matching_network or settings.network)
        consensus = load_network(matching, wanted).consensus
        features = load_network(Path(settings.network))
        self._matcher = DenseMatcher(features, consensus, settings.network_side)
        self._coarseness = settings.learned_threshold_px / settings.epipolar_threshold_px
        self._triangulates = settings.refinement == 'local_structure'
        self._described = DescribedImages(
            reference_map,
            folder,
            self._matcher.describe,
            lambda described: described.features.nbytes,
            config.descriptor_cache_mb * 2**20,
        )

    def look(
        self,
        query: QueryImage,
        seed: int,
        retrieved: tuple[str, ...],
        chosen: NDArray[np.intp],
        timer: StageTimer,
    ) -> Sighting:
        """Match cells of the query with those of each map image."""
        with timer('features'):
            described = self._matcher.describe(query.image)
            references = [self._described[int(index)] for index in chosen]
        features = self._query_features(described.points2D, query.camera)
        with timer('matching'):
            matched = [
                self._matched_image(
                    int(index),
                    reference.points2D,
                    self._matcher.match(described, reference),
                    _finite_rows(features.normalized),
                )
                for index, reference in zip(chosen, references, strict=True)
            ]
        matched = [image for image in matched if len(image.matches) >= MIN_MATCHES]
        points = None
        if self._triangulates:
            with timer('local_structure'):
                points = triangulate_matches(features, matched, self.config.essential)
        return Sighting.of_matches(
            query, seed, features, retrieved, matched, points, timer.milliseconds
        )

    def _query_features(self, points2D: Array, camera: Camera) -> QueryFeatures:
        return QueryFeatures(
            points2D,
            camera.normalize(points2D),
            np.empty((len(points2D), 0), dtype=np.float32),
            camera.mean_focal_length / self._coarseness,
            camera,
        )

    def _matched_image(
        self,
        index: int,
        points2D: Array,
        matches: NDArray[np.intp],
        is_usable: NDArray[np.bool_],
    ) -> MatchedImage:
        camera = self.reference_map.camera(index)
        normalized = camera.normalize(points2D)
        is_finite = _finite_rows(normalized)
        return MatchedImage(
            index=index,
            name=self.reference_map.image_names[index],
            cam_from_map=self.reference_map.cam_from_map(index),
            focal_length=camera.mean_focal_length / self._coarseness,
            features=MapFeatures(
                points2D,
                normalized,
                np.empty((len(points2D), 0), dtype=np.uint8),
                np.arange(len(points2D)),
            ),
            matches=matches[is_usable[matches[:, 0]] & is_finite[matches[:, 1]]],
        )


def _finite_rows(points: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(points).all(axis=1))
