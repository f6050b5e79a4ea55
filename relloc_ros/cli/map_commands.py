# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map: build, describe and check maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from rich.table import Table
import typer

from relloc_ros.cli.console import print_error, print_note, progress_bar, stdout
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import (
    ConfigFile,
    ImagesFolder,
    ListFile,
    Overwrite,
    Settings,
    SplitOption,
    chosen_split,
    map_config,
)

__all__ = ['app']

app = typer.Typer(
    help='Build, triangulate, describe and check maps.',
    no_args_is_help=True,
    rich_markup_mode='markdown',
)

MapArgument = Annotated[Path, typer.Argument(metavar='MAP', help='Folder of the map.')]


@app.command()
def build(
    source: Annotated[
        Path,
        typer.Argument(
            metavar='SOURCE',
            help='COLMAP model with posed images, or the folder that holds it, or a scene of '
            '7-Scenes or Cambridge Landmarks.',
        ),
    ],
    output: Annotated[
        Path,
        typer.Option('--output', metavar='MAP', help='Folder to create.', show_default=False),
    ],
    images: ImagesFolder = None,
    list_file: ListFile = None,
    split: SplitOption = None,
    settings: Settings = None,
    config: ConfigFile = None,
    vocabulary: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar='FILE',
            help='vocabulary.npz of another map; by default one is learned from the images.',
            show_default=False,
        ),
    ] = None,
    units: Annotated[str, typer.Option(help='Unit of length of the poses.')] = 'm',
    overwrite: Overwrite = False,
) -> None:
    """Build a map from posed images.

    SOURCE is a COLMAP model, text or binary, with or without 3D points, or a scene of a data set
    in its original layout, whose map is made of `--split train`.
    A map that exists stays intact until the new one is complete.
    """
    from relloc_ros.map.builder import build_map
    from relloc_ros.map.sources import read_source

    terminate_quietly()
    settings_of_map = map_config(config, settings)
    posed = read_source(source, images, list_file, chosen_split(split))
    with progress_bar('building the map') as progress:
        build_map(
            posed,
            output,
            settings_of_map,
            overwrite=overwrite,
            vocabulary=vocabulary,
            source=str(source),
            units=units,
            progress=progress,
        )
    print_note(f'map {output} is ready: {len(posed)} images')
    print_note(f'try it: relloc localize IMAGE --map {output}')


@app.command()
def triangulate(map_folder: MapArgument) -> None:
    """Add 3D points to a map, for `--localizer structure`; those it has are replaced.

    Its own keypoints are matched between similar images and triangulated from its poses, which
    stay as they are. The map stays as it is until all is done.
    """
    from relloc_ros.map.triangulation import triangulate_map

    terminate_quietly()
    with progress_bar('triangulating') as progress:
        count = triangulate_map(map_folder, progress=progress)
    print_note(f'map {map_folder} has {count} 3D points now')
    print_note(f'try it: relloc localize IMAGE --map {map_folder} --localizer structure')


@app.command()
def info(map_folder: MapArgument) -> None:
    """Describe a map: images, cameras, extent, how it was built."""
    from relloc_ros.map.check import map_info

    table = Table.grid(padding=(0, 2))
    for key, value in map_info(map_folder).items():
        if isinstance(value, dict):
            table.add_row(key, '')
            for name, item in value.items():
                table.add_row(f'  {name}', str(item))
        else:
            text = ' x '.join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(key, text)
    stdout.print(table)


@app.command()
def check(map_folder: MapArgument) -> None:
    """Read everything in a map and report what is damaged; exit code 1 if anything is."""
    from relloc_ros.map.check import check_map

    problems = check_map(map_folder)
    for problem in problems:
        print_error(problem)
    if problems:
        raise typer.Exit(1)
    stdout.print(f'map {map_folder} is complete and undamaged')
