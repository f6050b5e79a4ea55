# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc bag: make rosbags."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, progress_bar
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import ImagesFolder, ListFile, SplitOption
from relloc_ros.cli.source_options import CameraOption, FormatName, SensorName, read_posed

__all__ = ['app']

app = typer.Typer(help='Make rosbags.', no_args_is_help=True, rich_markup_mode='markdown')


class Storage(str, Enum):
    """File formats of rosbag2."""

    MCAP = 'mcap'
    SQLITE3 = 'sqlite3'


@app.callback()
def _group() -> None:
    """Make rosbags."""


@app.command()
def write(
    source: Annotated[
        Path,
        typer.Argument(
            metavar='SOURCE',
            help='Posed images of any format that `relloc map build` takes.',
        ),
    ],
    output: Annotated[
        Path,
        typer.Option('--output', metavar='BAG', help='Folder to create.', show_default=False),
    ],
    images: ImagesFolder = None,
    list_file: ListFile = None,
    split: SplitOption = None,
    source_format: FormatName = None,
    camera: CameraOption = None,
    sensor: SensorName = None,
    storage: Annotated[Storage, typer.Option(help='File format.')] = Storage.MCAP,
    compressed: Annotated[
        bool, typer.Option('--compressed', help='Images as JPEG or PNG instead of raw.')
    ] = False,
    odom_drift: Annotated[
        float,
        typer.Option(
            metavar='RATIO', min=0.0, help='Error of the odometry for each length travelled.'
        ),
    ] = 0.0,
    kidnap: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar='FROM:TO',
            help='After image number FROM, somebody carries the robot to where image number TO '
            'was taken (counted from 1 by time), and odometry notices nothing.',
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write posed images as a rosbag2, as a robot with a camera would have recorded them.

    It holds images, camera_info, /tf from odom to base_link, /tf_static from base_link to the
    camera, and the true poses of base_link.
    """
    from relloc_ros.bags.writer import write_bag

    terminate_quietly()
    jump = None if kidnap is None else _read_kidnap(kidnap)
    posed = read_posed(
        source,
        images=images,
        list_file=list_file,
        split=split,
        source_format=source_format,
        camera=camera,
        sensor=sensor,
    )
    written = len(posed) if jump is None else jump[0] + 1 + len(posed) - jump[1]
    with progress_bar('writing the bag') as progress:
        write_bag(
            posed,
            output,
            storage=storage.value,
            compressed=compressed,
            odom_drift=odom_drift,
            kidnap=jump,
            progress=progress,
        )
    print_note(f'bag {output} is ready: {written} images')


def _read_kidnap(text: str) -> tuple[int, int]:
    """Read `FROM:TO`, two numbers of images, as their indices."""
    parts = text.split(':')
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
        raise typer.BadParameter(f'--kidnap {text}: two numbers of images, for example 60:120')
    return int(parts[0]) - 1, int(parts[1]) - 1


@app.command()
def export(
    run_folder: Annotated[
        Path, typer.Argument(metavar='RUN', help='Output folder of `relloc evaluate`.')
    ],
    output: Annotated[
        Path,
        typer.Option(
            '--output',
            metavar='BAG',
            help='Folder to create, or a file that ends in `.mcap`.',
            show_default=False,
        ),
    ],
) -> None:
    """Write a run as a rosbag2, to be looked at in RViz or Foxglove.

    It holds poses with covariance, /tf from map to the estimate, true poses, the paths of both,
    and a status for each query. `relloc evaluate --bag` writes pictures of the matches as well.
    """
    from relloc_ros.evaluation.outcomes import read_run
    from relloc_ros.evaluation.result_bag import write_result_bag

    terminate_quietly()
    run = read_run(run_folder)
    write_result_bag(run, output)
    print_note(f'bag {output} is ready: {len(run.outcomes)} queries')
