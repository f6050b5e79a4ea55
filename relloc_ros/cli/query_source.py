# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where queries come from: options of bags, and how a source is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.options import Split, chosen_split
from relloc_ros.cli.source_options import (
    BAG_PANEL,
    CameraFrame,
    CameraInfoTopic,
    ImageTopic,
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
    images: Path | None,
    list_file: Path | None,
    split: Split | None,
    bag_options: dict[str, str | None],
) -> Iterator[Queries]:
    """Open a folder of posed images or a bag.

    Raises:
        DataError: neither, or damaged.
        typer.BadParameter: an option of the other kind is given.
    """
    from relloc_ros.bags.reader import BagReader
    from relloc_ros.bags.storage import is_bag
    from relloc_ros.evaluation.queries import BagQueries, FolderQueries
    from relloc_ros.map.sources import read_source

    given = {key: value for key, value in bag_options.items() if value is not None}
    if source.exists() and is_bag(source):
        if images is not None or list_file is not None or split is not None:
            raise typer.BadParameter('--images, --list, --split: for folders, SOURCE is a bag')
        with BagReader(source, **given) as reader:
            yield BagQueries(reader, given.get('base_frame', 'base_link'))
        return
    if given:
        option = '--' + next(iter(given)).replace('_', '-')
        raise typer.BadParameter(f'{option} is for bags, and {source} is none')
    yield FolderQueries(read_source(source, images, list_file, chosen_split(split)))
