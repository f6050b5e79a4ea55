# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map build --sfm: poses for images that have none."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar
from relloc_ros.cli.source_options import given_camera

if TYPE_CHECKING:
    from relloc_ros.config import MapConfig
    from relloc_ros.map.sources import PosedImage
    from relloc_ros.map.structure_from_motion import Reconstructed

__all__ = [
    'SFM_PANEL',
    'UNKNOWN',
    'Mapper',
    'MapperOption',
    'Sfm',
    'poses_by_sfm',
    'refuse_without_sfm',
    'warn_of_scale',
]

UNKNOWN = 'unknown'
"""Units of a map whose scale nobody knows."""

SFM_PANEL = 'Options for images without poses'
SHOWN = 20


class Mapper(str, Enum):
    """As `structure_from_motion.Mapper`, which takes long to import."""

    INCREMENTAL = 'incremental'
    GLOBAL = 'global'


Sfm = Annotated[
    bool,
    typer.Option(
        '--sfm',
        help='SOURCE is a folder of images without poses, of one scene: find their poses by '
        'structure from motion. Focal length and distortion are found, too, unless --camera '
        'gives them.',
        rich_help_panel=SFM_PANEL,
    ),
]
MapperOption = Annotated[
    Optional[Mapper],  # noqa: UP045
    typer.Option(
        '--mapper',
        help='How: incremental adds image by image; global (GLOMAP) takes all at once, which is '
        'quicker for hundreds of images.',
        show_default='incremental',
        rich_help_panel=SFM_PANEL,
    ),
]


def poses_by_sfm(
    source: Path,
    images: Path | None,
    list_file: Path | None,
    camera: str | None,
    mapper: Mapper | None,
    config: MapConfig,
    others: dict[str, Any],
) -> list[PosedImage]:
    """Find poses of the images in a folder, and say which images have none.

    Raises:
        typer.BadParameter: an option is given that is for posed images.
        DataError: as `find_images` and `reconstruct`.
        MissingDependencyError: as `reconstruct`.
    """
    from relloc_ros.map import structure_from_motion
    from relloc_ros.map.unposed_images import find_images

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f'--{given[0].replace("_", "-")} is for posed images: leave it out with --sfm'
        )
    fixed = None if camera is None else given_camera(camera)
    unposed = find_images(images or _images_in(source), list_file, fixed)
    chosen = structure_from_motion.Mapper((mapper or Mapper.INCREMENTAL).value)
    with progress_bar('structure from motion') as progress:
        found = structure_from_motion.reconstruct(
            unposed, config, mapper=chosen, refine_cameras=fixed is None, progress=progress
        )
    _tell(found, len(unposed))
    return found.posed


def refuse_without_sfm(**options: Any) -> None:
    """Refuse options that mean nothing for posed images.

    Raises:
        typer.BadParameter: one is given.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f'--{given[0].replace("_", "-")} is for images without poses: add --sfm'
        )


def warn_of_scale(map_folder: Path) -> None:
    """Say what a map without a scale is good for, and how it gets one."""
    print_warning(
        f'images alone tell no scale: lengths in map {map_folder} are in unknown units, its frame '
        'is arbitrary, and a node on a robot refuses it'
    )
    print_note(
        f'give it both: relloc map align {map_folder} --to POSITIONS, or the scale alone: relloc '
        f'map align {map_folder} --distance IMAGE_A IMAGE_B METRES'
    )


def _images_in(source: Path) -> Path:
    """Take the folder of images of a data set, or the folder itself."""
    return source / 'images' if (source / 'images').is_dir() else source


def _tell(found: Reconstructed, count: int) -> None:
    print_note(
        f'structure from motion: {len(found.posed)} of {count} images registered, '
        f'{found.num_points} points, mean reprojection error {found.mean_error_px:.2f} pixels'
    )
    if found.left_out:
        more = f' and {len(found.left_out) - SHOWN} more' if len(found.left_out) > SHOWN else ''
        print_warning(f'left out: {", ".join(found.left_out[:SHOWN])}{more}')
    if found.other_models:
        sizes = ', '.join(map(str, found.other_models))
        print_warning(
            f'further models of {sizes} images share too little with this one: take images in '
            'between to connect them'
        )
