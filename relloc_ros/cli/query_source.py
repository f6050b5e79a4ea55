# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where queries come from: options of bags, and how a source is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.source_options import (
    BAG_PANEL,
    CameraFrame,
    CameraInfoTopic,
    ImageTopic,
    given_camera,
    read_posed,
)

if TYPE_CHECKING:
    from relloc_ros.evaluation.queries import Queries

__all__ = [
    'BaseFrame',
    'CameraFrame',
    'CameraInfoTopic',
    'GroundTruthTopic',
    'ImageTopic',
    'MapFrame',
    'NoTracker',
    'OdomFrame',
    'open_source',
]

BAG = 'rosbag'

GroundTruthTopic = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='TOPIC',
        help='True poses of the robot (PoseStamped, PoseWithCovarianceStamped, Odometry), or '
        '`/tf`; by default the only pose topic, else TF.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
MapFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame of the true poses; by default `map`.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
BaseFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame of the robot, whose pose is scored; by default `base_link`.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
OdomFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame of odometry; by default `odom`.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
NoTracker = Annotated[
    bool,
    typer.Option(
        '--no-tracker',
        help='Take each image for itself, and every pose that the localizer gives. By default the '
        "node's tracker judges them one after the other, by odometry.",
        rich_help_panel=BAG_PANEL,
    ),
]


@contextmanager
def open_source(
    source: Path,
    folder_options: Mapping[str, Any] | None = None,
    bag_options: Mapping[str, Any] | None = None,
    shared_options: Mapping[str, Any] | None = None,
) -> Iterator[Queries]:
    """Open posed images of any format, or a bag.

    Args:
        source: what holds the queries.
        folder_options: what `read_posed` takes.
        bag_options: what `BagReader` takes.
        shared_options: `camera` and `time_offset`, for both.

    Raises:
        DataError: neither, or damaged.
        typer.BadParameter: an option of the other kind is given.
    """
    from relloc_ros.bags.reader import BagReader
    from relloc_ros.bags.storage import is_bag
    from relloc_ros.evaluation.queries import BagQueries, FolderQueries

    folder, bag, shared = map(_given, (folder_options, bag_options, shared_options))
    if source.exists() and is_bag(source) and folder.get('source_format', BAG) == BAG:
        folder.pop('source_format', None)
        if folder:
            raise typer.BadParameter(f'{_names(folder)}: for folders, SOURCE is a bag')
        if 'camera' in shared:
            shared['camera_info'] = _camera_info(shared.pop('camera'))
        with BagReader(source, **bag, **shared) as reader:
            yield BagQueries(reader, bag.get('base_frame', 'base_link'))
        return
    if bag:
        raise typer.BadParameter(f'{_names(bag)}: for bags, and {source} is none')
    yield FolderQueries(read_posed(source, **folder, **shared))


def _given(options: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (options or {}).items() if value is not None}


def _names(options: Mapping[str, Any]) -> str:
    named = {'list_file': 'list', 'source_format': 'format'}
    return ', '.join('--' + named.get(key, key).replace('_', '-') for key in options)


def _camera_info(choice: str) -> Any:
    from relloc_ros.bags.messages import camera_info_message

    return camera_info_message(given_camera(choice), 0, '')
