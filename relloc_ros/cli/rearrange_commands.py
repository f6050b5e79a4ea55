# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map merge, split, prune and export."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, progress_bar
from relloc_ros.cli.edit_commands import NamesFile, Pattern, chosen_names, warn_of_same
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import MapArgument, Overwrite, Wait

__all__ = ['export', 'merge', 'prune', 'split']

NewMap = Annotated[
    Path,
    typer.Option('--output', metavar='MAP', help='Folder to create.', show_default=False),
]


class ExportFormat(str, Enum):
    """Formats of `relloc map export`."""

    COLMAP = 'colmap'
    COLMAP_TEXT = 'colmap-text'
    CSV = 'csv'
    TUM = 'tum'


def merge(
    first: Annotated[
        Path, typer.Argument(metavar='MAP', help='Its settings and vocabulary are kept.')
    ],
    second: Annotated[Path, typer.Argument(metavar='MAP2', help='A map in the same frame.')],
    output: NewMap,
    prefix: Annotated[
        str, typer.Option(metavar='TEXT', help="Put before the names of MAP2's images.")
    ] = '',
    images: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar='DIR',
            help="Folder of MAP2's images, needed where the vocabularies differ.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    wait: Wait = 0.0,
) -> None:
    """Make one map of two that are posed in the same frame; both stay as they are.

    Features and 3D points are taken over. Two maps built independently have different
    vocabularies: then the images of MAP2 are described again, by that of MAP.
    """
    from relloc_ros.map.merging import merge_maps

    terminate_quietly()
    with progress_bar('merging maps') as progress:
        merged = merge_maps(
            first,
            second,
            output,
            prefix=prefix,
            images=images,
            overwrite=overwrite,
            wait=wait,
            progress=progress,
        )
    print_note(f'map {output} is ready: {merged.num_images} images')
    warn_of_same(merged.same_pixels)
    if merged.partly_points:
        print_note(
            'only one of the maps had 3D points, which `--localizer structure` needs: '
            f'relloc map triangulate {output}'
        )


def split(
    map_folder: MapArgument,
    output: NewMap,
    list_file: NamesFile = None,
    pattern: Pattern = None,
    box: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar='XMIN,YMIN,XMAX,YMAX',
            help='Images whose cameras are in here, map units. With six numbers, '
            'XMIN,YMIN,ZMIN,XMAX,YMAX,ZMAX, z counts, too. Write --box=-1,… where the first is '
            'negative.',
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    wait: Wait = 0.0,
) -> None:
    """Make a map of some of a map's images; MAP stays as it is.

    To divide a map, remove the same images from it afterwards: `relloc map remove`.
    """
    from relloc_ros.map.selection import names_in_box, split_map

    terminate_quietly()
    if box is None:
        chosen = chosen_names(map_folder, [], list_file, pattern, ways='--list, --pattern, --box')
    elif list_file is not None or pattern is not None:
        raise typer.BadParameter('--box says which images: leave out --list and --pattern')
    else:
        chosen = set(names_in_box(map_folder, _numbers(box)))
    with progress_bar('splitting') as progress:
        count = split_map(
            map_folder, chosen, output, overwrite=overwrite, wait=wait, progress=progress
        )
    print_note(f'map {output} is ready: {count} images')


def prune(
    map_folder: MapArgument,
    distance: Annotated[
        float,
        typer.Option(min=0.0, help='Between two cameras, map units.', show_default=False),
    ],
    angle: Annotated[
        float, typer.Option(min=0.0, max=180.0, help='Between their directions, degrees.')
    ] = 5.0,
    wait: Wait = 0.0,
) -> None:
    """Drop images of a map that are nearly where better ones of the same camera are.

    Of images within --distance and --angle of each other, the one with most keypoints stays, or
    the sharpest of those with as many. Measure what that costs: `relloc evaluate`.
    """
    from relloc_ros.map.selection import prune_map

    terminate_quietly()
    with progress_bar('pruning') as progress:
        dropped = prune_map(map_folder, distance, angle, wait=wait, progress=progress)
    print_note(f'{len(dropped)} images dropped from map {map_folder}')


def export(
    map_folder: MapArgument,
    output: Annotated[
        Path,
        typer.Option(
            '--output', metavar='PATH', help='Folder or file to create.', show_default=False
        ),
    ],
    kind: Annotated[
        ExportFormat,
        typer.Option(
            '--format',
            help='colmap: folder with binary model and database; colmap-text: folder with the '
            'model; csv: table of poses and cameras, which `relloc map build` reads; tum: stamps '
            'and poses.',
        ),
    ] = ExportFormat.COLMAP,
    overwrite: Overwrite = False,
) -> None:
    """Write poses, cameras and 3D points of a map in formats of other programs.

    The images themselves are not in a map: other programs need their folder, too.
    """
    from relloc_ros.map.export import export_map

    terminate_quietly()
    count = export_map(map_folder, output, kind.value, overwrite=overwrite)
    print_note(f'{output}: {count} images')


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(',')]
    except ValueError as error:
        raise typer.BadParameter(
            f'--box {text}: expected numbers with commas between, for example 0,0,10,5.5'
        ) from error
