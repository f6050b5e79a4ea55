# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc view: a run in 3D, in the browser."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
import time
from typing import TYPE_CHECKING, Annotated, Optional
import webbrowser

import typer

from relloc_ros.cli.console import print_note, print_warning
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.errors import MapError

if TYPE_CHECKING:
    from relloc_ros.evaluation.outcomes import Run
    from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['view']


def view(
    run_folder: Annotated[
        Path, typer.Argument(metavar='RUN', help='Output folder of `relloc evaluate`.')
    ],
    map_folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--map',
            metavar='MAP',
            help='Folder of the map, if it has been moved since.',
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help='Address to listen at; 0.0.0.0 lets other machines in.')
    ] = 'localhost',
    port: Annotated[
        int, typer.Option(min=1, max=65535, help='The next free one is taken if it is in use.')
    ] = 8080,
    no_browser: Annotated[
        bool, typer.Option('--no-browser', help='Only print the address.')
    ] = False,
) -> None:
    """Show map, true poses, estimates with covariance and errors in 3D, until Ctrl-C.

    Needs viser: `pip install relloc_ros[view]`.
    """
    from relloc_ros.evaluation.outcomes import read_run
    from relloc_ros.evaluation.viewer import RunViewer

    terminate_quietly()
    run = read_run(run_folder)
    with ExitStack() as stack:
        reference_map = _open_map(run, map_folder)
        if reference_map is not None:
            stack.enter_context(reference_map)
        viewer = RunViewer(run, reference_map, host=host, port=port)
        stack.callback(viewer.close)
        typer.echo(viewer.url)
        print_note('Ctrl-C ends it')
        if not no_browser:
            webbrowser.open(viewer.url)
        _wait()


def _open_map(run: Run, folder: Path | None) -> ReferenceMap | None:
    from relloc_ros.map.reference_map import ReferenceMap

    if folder is not None:
        return ReferenceMap.open(folder)
    if not run.map_path:
        return None
    try:
        reference_map = ReferenceMap.open(run.map_path)
    except MapError as error:
        print_warning(f'showing the poses alone: {error}; --map names the map where it is now')
        return None
    if reference_map.map_id != run.map_id:
        print_warning(f'map {run.map_path} has been built again since this run')
    return reference_map


def _wait() -> None:
    try:
        while True:
            time.sleep(3600.0)
    except KeyboardInterrupt:
        return
