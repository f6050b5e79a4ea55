# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localization methods, found by name in the LOCALIZERS table."""

from __future__ import annotations

from relloc_ros.config import LocalizationConfig, nearest
from relloc_ros.errors import ConfigError
from relloc_ros.localizers.apr import AprLocalizer
from relloc_ros.localizers.base import Localizer, RigLocalizer
from relloc_ros.localizers.essential import EssentialLocalizer
from relloc_ros.localizers.retrieval import RetrievalLocalizer
from relloc_ros.localizers.structure import StructureLocalizer
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['LOCALIZERS', 'Localizer', 'RigLocalizer', 'create_localizer', 'for_rigs']

LOCALIZERS: dict[str, type[Localizer]] = {
    'apr': AprLocalizer,
    'essential': EssentialLocalizer,
    'retrieval': RetrievalLocalizer,
    'structure': StructureLocalizer,
}


def create_localizer(reference_map: ReferenceMap, config: LocalizationConfig) -> Localizer:
    """Make the localizer the configuration names.

    Raises:
        ConfigError: no such localizer; names the nearest.
        MapError: the map lacks what the method needs.
        MissingDependencyError: packages for the features in the map are not installed.
    """
    if config.localizer not in LOCALIZERS:
        known = ', '.join(LOCALIZERS)
        hint = nearest(config.localizer, list(LOCALIZERS))
        raise ConfigError(f"unknown localizer '{config.localizer}'{hint}; known: {known}")
    reference_map.prepare()
    return LOCALIZERS[config.localizer](reference_map, config)


def for_rigs(localizer: Localizer) -> RigLocalizer:
    """Give a localizer as one that takes several images for one pose.

    Raises:
        ConfigError: it takes single images only; names those that take rigs.
    """
    if isinstance(localizer, RigLocalizer):
        return localizer
    names = {kind: name for name, kind in LOCALIZERS.items()}
    able = ', '.join(name for name, kind in LOCALIZERS.items() if issubclass(kind, RigLocalizer))
    raise ConfigError(
        f"localizer '{names.get(type(localizer), type(localizer).__name__)}' takes single images, "
        f'no rigs: set localizer to one of {able}, or localize with one camera'
    )
