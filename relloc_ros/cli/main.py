# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `relloc` command: what it consists of, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys
from typing import Annotated

import typer

from relloc_ros import __version__
from relloc_ros.allocation import keep_freed_memory
from relloc_ros.cli import bag_commands, map_commands
from relloc_ros.cli.analyze_command import analyze_apr
from relloc_ros.cli.benchmark_command import benchmark
from relloc_ros.cli.compare_command import compare
from relloc_ros.cli.console import print_error, show_warnings, stdout
from relloc_ros.cli.evaluate_command import evaluate
from relloc_ros.cli.extensions import add_extensions
from relloc_ros.cli.interruption import EXIT_INTERRUPTED, was_interrupted
from relloc_ros.cli.localize_command import localize
from relloc_ros.cli.report_command import report
from relloc_ros.cli.score_command import score
from relloc_ros.cli.synth_command import synth
from relloc_ros.cli.train_command import train
from relloc_ros.cli.view_command import view
from relloc_ros.errors import RellocError

__all__ = ['main', 'make_app']

EXIT_FAILURE = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; ends by SystemExit: 0, 1 for an error, 2 for wrong usage."""
    show_warnings()
    keep_freed_memory()
    # OpenCV prints a line of its own for each file it cannot read; ours say more.
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    try:
        make_app()(args=arguments, prog_name='relloc')
    except RellocError as error:
        print_error(str(error))
        sys.exit(EXIT_FAILURE)
    except OSError as error:
        # Full disks and forbidden folders can show up anywhere.
        print_error(f'{error.filename or "input or output"}: {error.strerror or error}')
        sys.exit(EXIT_FAILURE)
    except BaseException as error:
        if was_interrupted(error):
            sys.exit(EXIT_INTERRUPTED)
        raise


def make_app() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        help='Where was this image taken? Pose of a camera or robot in a map of posed images.',
        epilog='Start with `relloc map build SOURCE --output MAP`, then '
        '`relloc localize IMAGE --map MAP`.',
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode='markdown',
    )
    app.callback()(_options)
    app.add_typer(map_commands.app, name='map')
    app.command()(localize)
    app.command()(evaluate)
    app.command()(score)
    app.command()(compare)
    app.command()(benchmark)
    app.command()(report)
    app.command()(view)
    app.command()(train)
    app.command()(analyze_apr)
    app.command()(synth)
    app.add_typer(bag_commands.app, name='bag')
    add_extensions(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f'relloc {__version__}')
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            '--version', help='Print the version.', callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Where was this image taken? Pose of a camera or robot in a map of posed images."""
