# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `relloc replay`: play a bag into ROS 2 where there is no `ros2 bag play`.

Found by the `relloc` command through the entry-point group ``relloc.commands``. ROS is imported
when the command runs, so that its help can be read without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
import typer

from relloc_ros.errors import MissingDependencyError

__all__ = ['replay']


def replay(
    bag: Annotated[
        Path, typer.Argument(metavar='BAG', help='ROS 2 folder, .mcap, .db3, or ROS 1 .bag.')
    ],
    rate: Annotated[
        float, typer.Option(metavar='R', min=0.001, max=1000.0, help='Speed; 2 is twice as fast.')
    ] = 1.0,
    clock: Annotated[
        bool, typer.Option('--clock', help='Publish /clock too, for nodes with use_sim_time.')
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            metavar='SECONDS', min=0.0, help='Wait at most this long for somebody to listen.'
        ),
    ] = 5.0,
) -> None:
    """Publish the messages of a bag into ROS 2 with their own timing and QoS.

    Topics of message types that are not installed are named and left out.
    """
    try:
        from relloc_ros.ros.playback import play  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError(
            f'relloc replay needs ROS 2 ({error}): source your ROS installation, '
            'or install the wheels with `pip install relloc_ros[ros]`'
        ) from error
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn('{task.description}'), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(f'playing {bag.name}')
        count = play(
            bag,
            rate=rate,
            with_clock=clock,
            wait_s=wait,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(f'{count} messages played')
