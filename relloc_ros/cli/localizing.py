# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The localizer of commands that localize."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relloc_ros.cli.console import print_warning

if TYPE_CHECKING:
    from relloc_ros.config import LocalizationConfig
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.pipeline import Relocalizer

__all__ = ['prepare_localizer']


def prepare_localizer(reference_map: ReferenceMap, config: LocalizationConfig) -> Relocalizer:
    """Prepare the configured localizer, and warn where its calibration is not what one expects.

    Raises:
        ConfigError: unknown localizer.
        MapError: the map lacks what the localizer needs.
    """
    from relloc_ros.pipeline import Relocalizer

    relocalizer = Relocalizer(reference_map, config)
    if relocalizer.calibration.is_warning:
        print_warning(relocalizer.calibration.remark)
    return relocalizer
