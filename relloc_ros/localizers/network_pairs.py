# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network says of image pairs by itself: essential matrices or relative poses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.localizers.network_images import DescribedImages
from relloc_ros.localizers.network_sight import NetworkSight
from relloc_ros.localizers.sighting import RegressedPair, Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import QueryImage

__all__ = ['RegressedPairs']


class RegressedPairs(NetworkSight):
    """Essential matrices or relative poses that a network regresses: not a match is looked at."""

    def __init__(
        self,
        reference_map: ReferenceMap,
        config: LocalizationConfig,
        folder: Path,
        wanted: tuple[str, ...],
    ) -> None:
        """Load the network.

        Args:
            reference_map: the map.
            config: names the file of the weights.
            folder: of the map's images.
            wanted: names of the networks that will do.

        Raises:
            DataError: the file is missing, damaged, or of another network.
            MissingDependencyError: PyTorch is not installed.
        """
        from relloc_ros.networks.checkpoint import load_network  # noqa: PLC0415  optional
        from relloc_ros.networks.inference import PairRegressor  # noqa: PLC0415

        super().__init__(reference_map, config)
        settings = config.essential
        self._regressor = PairRegressor(load_network(Path(settings.network), wanted))
        self._gives_essentials = settings.pair_estimator in ('essnet', 'nc_essnet')
        self._described = DescribedImages(
            reference_map,
            folder,
            self._regressor.describe,
            lambda features: features.nbytes,
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
        """Let the network compare the query with each map image."""
        with timer('features'):
            features = self._regressor.describe(query.image)
            references = [self._described[int(index)] for index in chosen]
        with timer('matching'):
            pairs = self._pairs(references, features, chosen)
        return Sighting(
            query.name,
            query.stamp_ns,
            seed,
            retrieved=retrieved,
            regressed=pairs,
            timings_ms=timer.milliseconds,
        )

    def _pairs(
        self,
        references: list[NDArray[np.float32]],
        features: NDArray[np.float32],
        chosen: NDArray[np.intp],
    ) -> tuple[RegressedPair, ...]:
        poses = [self.reference_map.cam_from_map(int(index)).inverse() for index in chosen]
        if self._gives_essentials:
            essentials = self._regressor.essentials(references, features)
            return tuple(
                RegressedPair(int(index), pose, essential=essential)
                for index, pose, essential in zip(chosen, poses, essentials, strict=True)
            )
        relative = self._regressor.relative_poses(references, features)
        return tuple(
            RegressedPair(int(index), pose, cam_from_ref=cam_from_ref)
            for index, pose, cam_from_ref in zip(chosen, poses, relative, strict=True)
        )
