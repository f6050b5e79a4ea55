# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands that other parts provide, found by entry point and loaded when they are called.

An entry point of the group `relloc.commands` names a function with typer annotations. This is how
`relloc replay`, which needs ROS 2, is a command without the CLI importing ROS.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from relloc_ros.errors import MissingDependencyError

__all__ = ['add_extensions']

GROUP = 'relloc.commands'

HELP = {'replay': 'Publish a rosbag into ROS 2 with its own timing (needs ROS 2).'}

# Everything after the name belongs to the command, --help included.
PASS_ON: dict[str, Any] = {
    'context_settings': {'ignore_unknown_options': True, 'allow_extra_args': True},
    'add_help_option': False,
}


def add_extensions(app: typer.Typer) -> None:
    """Add a command for each entry point; nothing is imported."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        help_text = HELP.get(entry.name, f'Provided by {entry.value.partition(":")[0]}.')
        app.command(entry.name, help=help_text, **PASS_ON)(_caller(entry))


def _caller(entry: EntryPoint) -> Any:
    def call(context: typer.Context) -> None:
        try:
            command = typer.Typer(add_completion=False, rich_markup_mode='markdown')
            command.command()(entry.load())
            command(args=context.args, prog_name=f'relloc {entry.name}')
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f'relloc {entry.name} needs ROS 2 and found no {error.name}: source a ROS 2 '
                "installation, or pip install 'relloc_ros[ros]'"
            ) from error

    return call
