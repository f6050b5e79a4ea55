# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node loads when it is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import math
from pathlib import Path

from relloc_ros.config import LocalizationConfig, NodeConfig
from relloc_ros.errors import ConfigError, MapError
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.upright import tilt_of_z
from relloc_ros.pipeline import Relocalizer
from relloc_ros.ros.frame import MessageLocalizer
from relloc_ros.ros.rig import wants_rigs

__all__ = ['LoadedMap', 'load_map']

METRES = 'm'


@dataclass(frozen=True, slots=True)
class LoadedMap:
    """A localizer ready for images.

    Attributes:
        localizer: turns image messages into camera poses.
        map_id: short hash of the map's content.
        close: frees the map; the localizer cannot be used any more.
        reference_map: what the localizer looks at, for pictures.
        warnings: what is odd about the map, one sentence each.
        notes: what else there is to say about it.
    """

    localizer: MessageLocalizer
    map_id: str
    close: Callable[[], None]
    reference_map: ReferenceMap | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_map(config: NodeConfig, localization: LocalizationConfig) -> LoadedMap:
    """Open the map and prepare the localizer.

    Raises:
        ConfigError: no map named, an unknown localizer, or one that cannot do what is asked.
        MapError: the map is missing, damaged or not in metres.
    """
    if not config.map_path:
        raise ConfigError(
            'the parameter map_path is empty: set it to a map made by `relloc map build`'
        )
    path = Path(config.map_path).expanduser()
    reference_map = ReferenceMap.open(
        path, localization.descriptor_cache_mb, localization.weights_folder
    )
    try:
        if reference_map.units != METRES:
            raise MapError(
                f'map {path} is in {reference_map.units!r}, not in metres: TF and pose would be '
                'wrong on a robot; build it from poses in metres, or give it a scale with `relloc '
                f'map align {path}`'
            )
        localizer = Relocalizer(reference_map, localization)
        if wants_rigs(config):
            localizer.require_rigs()
    except BaseException:
        reference_map.close()
        raise
    warnings = list(_warnings(reference_map))
    notes: list[str] = []
    remark = localizer.calibration.remark
    if remark:
        (warnings if localizer.calibration.is_warning else notes).append(remark)
    return LoadedMap(
        localizer,
        reference_map.map_id,
        reference_map.close,
        reference_map,
        tuple(warnings),
        tuple(notes),
    )


def _warnings(reference_map: ReferenceMap) -> Iterator[str]:
    tilt = tilt_of_z(reference_map.rotations)
    if tilt is not None:
        yield (
            f'z of map {reference_map.path} is {math.degrees(tilt):.0f} deg from up, to judge by '
            'its cameras: on a robot TF and 2D poses would be wrong; build it from poses in a '
            'frame whose z is up'
        )
