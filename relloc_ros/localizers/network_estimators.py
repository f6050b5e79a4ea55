# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pair estimators that are networks, found by the name in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relloc_ros.config import EssentialConfig, LocalizationConfig
from relloc_ros.errors import ConfigError
from relloc_ros.localizers.network_images import images_folder
from relloc_ros.localizers.network_matches import LearnedMatches
from relloc_ros.localizers.network_pairs import RegressedPairs
from relloc_ros.localizers.network_sight import NetworkSight
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['NETWORK_ESTIMATORS', 'create_network_sight', 'images_of_estimator']


@dataclass(frozen=True, slots=True)
class _Estimator:
    kind: type[RegressedPairs] | type[LearnedMatches]
    networks: tuple[str, ...]


NETWORK_ESTIMATORS: Mapping[str, _Estimator] = {
    'essnet': _Estimator(RegressedPairs, ('essnet',)),
    'nc_essnet': _Estimator(RegressedPairs, ('nc_essnet',)),
    'nc_5pt': _Estimator(LearnedMatches, ('nc_essnet', 'nc_matching')),
    'rpr': _Estimator(RegressedPairs, ('rpr',)),
    'relocnet': _Estimator(RegressedPairs, ('relocnet',)),
}
"""Each with the networks whose weights serve."""


def images_of_estimator(reference_map: ReferenceMap, settings: EssentialConfig) -> Path:
    """Find the folder of the map's images, at which networks look.

    Raises:
        MapError: they are not where the settings say, nor, if these say nothing, in what the map
            was built from.
    """
    return images_folder(
        reference_map,
        settings.network_images,
        setting='essential.network_images',
        user=f'pair estimator {settings.pair_estimator}',
    )


def create_network_sight(
    reference_map: ReferenceMap, config: LocalizationConfig
) -> NetworkSight | None:
    """Load the network of the configured pair estimator; None if it takes none.

    Raises:
        ConfigError: no file of weights is named.
        DataError: it is missing, damaged, or of another network.
        MapError: the images of the map are not found.
        MissingDependencyError: PyTorch is not installed.
    """
    settings = config.essential
    estimator = NETWORK_ESTIMATORS.get(settings.pair_estimator)
    if estimator is None:
        return None
    if not settings.network:
        raise ConfigError(
            f'pair estimator {settings.pair_estimator} needs trained weights: set '
            'essential.network to a file that `relloc train` has written'
        )
    folder = images_of_estimator(reference_map, settings)
    return estimator.kind(reference_map, config, folder, estimator.networks)
