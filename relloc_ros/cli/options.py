# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and what they make of them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

if TYPE_CHECKING:
    from relloc_ros.config import LocalizationConfig, MapConfig, TrackingConfig

__all__ = [
    'ConfigFile',
    'ImagesFolder',
    'ListFile',
    'LocalizerName',
    'MapArgument',
    'MapFolder',
    'Overwrite',
    'Settings',
    'Split',
    'SplitOption',
    'Wait',
    'chosen_split',
    'evaluation_configs',
    'localization_config',
    'map_config',
]


class Split(str, Enum):
    """The published halves of a data set."""

    TRAIN = 'train'
    TEST = 'test'


# Optional[...] instead of `| None`: evaluated at run time, and typer of Python 3.10 wants it.
MapArgument = Annotated[Path, typer.Argument(metavar='MAP', help='Folder of the map.')]
MapFolder = Annotated[
    Path, typer.Option('--map', help='Folder of the map.', metavar='MAP', show_default=False)
]
ImagesFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--images',
        metavar='DIR',
        help='Folder of the images; by default `images` in SOURCE or beside the model.',
        show_default=False,
    ),
]
ListFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--list',
        metavar='FILE',
        help='Text file with the images to take: one name a line, relative to the images folder.',
        show_default=False,
    ),
]
SplitOption = Annotated[
    Optional[Split],  # noqa: UP045
    typer.Option(
        '--split',
        help='Published half of a data set to take (7-Scenes, Cambridge Landmarks, kapture, '
        'NeRF); by default all of it.',
        show_default=False,
    ),
]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        '--set',
        metavar='KEY=VALUE',
        help='Change a setting, for example `max_keypoints=4000`. Can be given several times.',
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--config',
        metavar='FILE',
        help='YAML file of settings, plain or a ROS parameter file. --set goes before it.',
        show_default=False,
    ),
]
LocalizerName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--localizer',
        metavar='NAME',
        help='Localization method; by default that of the settings, `essential`.',
        show_default=False,
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        '--wait',
        metavar='SECONDS',
        min=0.0,
        help='How long to wait for another process that changes the map.',
    ),
]
Overwrite = Annotated[bool, typer.Option('--overwrite', help='Replace what OUTPUT holds.')]


def chosen_split(option: Split | None) -> Literal['train', 'test'] | None:
    """Turn the option into what sources take."""
    return None if option is None else option.value


def localization_config(
    file: Path | None, assignments: list[str] | None, localizer: str | None
) -> LocalizationConfig:
    """Settings of the pipeline: defaults, then the file, then --set, then --localizer.

    Raises:
        ConfigError: unreadable file, unknown key, value out of range.
    """
    from relloc_ros.config import LocalizationConfig, TrackingConfig, make_config

    values = _values(file, assignments, TrackingConfig)
    if localizer is not None:
        values['localizer'] = localizer
    return make_config(LocalizationConfig, values)


def evaluation_configs(
    file: Path | None, assignments: list[str] | None, localizer: str | None
) -> tuple[LocalizationConfig, TrackingConfig]:
    """Settings of pipeline and tracker: defaults, then the file, then --set, then --localizer.

    Raises:
        ConfigError: unreadable file, unknown key, value out of range.
    """
    from relloc_ros.config import LocalizationConfig, TrackingConfig, make_config, parameters

    values = _values(file, assignments)
    tracking = {key: values.pop(key) for key in parameters(TrackingConfig) if key in values}
    if localizer is not None:
        values['localizer'] = localizer
    return make_config(LocalizationConfig, values), make_config(TrackingConfig, tracking)


def map_config(file: Path | None, assignments: list[str] | None) -> MapConfig:
    """Settings of a map: defaults, then the file, then --set.

    Raises:
        ConfigError: unreadable file, unknown key, value out of range.
    """
    from relloc_ros.config import MapConfig, make_config

    return make_config(MapConfig, _values(file, assignments))


def _values(
    file: Path | None, assignments: list[str] | None, *passed_over: type
) -> dict[str, Any]:
    from relloc_ros.config import NodeConfig, parameters, parse_assignments, read_config_file

    values: dict[str, Any] = {} if file is None else read_config_file(file)
    # A node's parameter file is welcome here: what concerns the node alone is passed over.
    for config_class in (NodeConfig, *passed_over):
        for key in parameters(config_class):
            values.pop(key, None)
    values.pop('use_sim_time', None)
    values.update(parse_assignments(assignments or []))
    return values
