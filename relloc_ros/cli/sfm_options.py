# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map build --sfm: poses for images that have none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.alignment_options import (
    FRAME_PANEL,
    TO_HELP,
    describe_alignment,
    given_reference,
)
from relloc_ros.cli.console import print_note, print_warning, progress_bar
from relloc_ros.cli.source_options import given_camera
from relloc_ros.errors import RellocError

if TYPE_CHECKING:
    from relloc_ros.config import MapConfig
    from relloc_ros.map.global_frame import GlobalFrame
    from relloc_ros.map.sources import PosedImage
    from relloc_ros.map.structure_from_motion import Reconstructed

__all__ = [
    'SFM_PANEL',
    'UNKNOWN',
    'AlignTo',
    'FoundPoses',
    'Mapper',
    'MapperOption',
    'Sfm',
    'poses_by_sfm',
    'refuse_without_sfm',
    'tell_of_scale',
]

UNKNOWN = 'unknown'
"""Units of a map whose scale nobody knows."""

SFM_PANEL = 'Options for images without poses'
SHOWN = 20


class Mapper(str, Enum):
    """As `structure_from_motion.Mapper`, which takes long to import."""

    INCREMENTAL = 'incremental'
    GLOBAL = 'global'


AlignTo = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--align-to',
        metavar='X',
        help='Needs --sfm. ' + TO_HELP,
        show_default=False,
        rich_help_panel=FRAME_PANEL,
    ),
]
Sfm = Annotated[
    bool,
    typer.Option(
        '--sfm',
        help='SOURCE is a folder of images without poses, of one scene: find their poses by '
        'structure from motion. Focal length and distortion are found, too: give them by '
        '--camera if you know them, the map is better for it.',
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


@dataclass(frozen=True, slots=True, eq=False)
class FoundPoses:
    """Images that have poses now.

    Attributes:
        posed: the images.
        units: of their poses.
        frame: where the frame of the poses lies in another one.
        problem: why frame and scale could not be fixed as asked.
    """

    posed: list[PosedImage]
    units: str = UNKNOWN
    frame: GlobalFrame | None = None
    problem: RellocError | None = None


def poses_by_sfm(
    source: Path,
    images: Path | None,
    list_file: Path | None,
    camera: str | None,
    mapper: Mapper | None,
    config: MapConfig,
    fixed_by: tuple[Path | None, Path | None, tuple[str, str, float] | None],
    others: dict[str, Any],
) -> FoundPoses:
    """Find poses of the images in a folder, fix frame and scale, and say how well both went.

    Args:
        source: folder of the images.
        images: another one.
        list_file: names of those wanted.
        camera: calibration.
        mapper: the way from matches to poses.
        config: settings of the map.
        fixed_by: positions, odometry and distance; one of them or none.
        others: options that are for posed images.

    Raises:
        typer.BadParameter: an option is given that is for posed images.
        DataError: as `find_images` and `reconstruct`.
        MissingDependencyError: as `reconstruct`.
    """
    from relloc_ros.map import structure_from_motion
    from relloc_ros.map.placement import align_posed
    from relloc_ros.map.sources import without_unusable
    from relloc_ros.map.unposed_images import UnposedImage, find_images

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise typer.BadParameter(
            f'--{given[0].replace("_", "-")} is for posed images: leave it out with --sfm'
        )
    reference = given_reference(*fixed_by)
    known_camera = None if camera is None else given_camera(camera)
    unposed = find_images(images or _images_in(source), list_file, known_camera)
    with progress_bar('looking at the images') as progress:
        unposed = without_unusable(unposed, progress, UnposedImage.read)
    chosen = structure_from_motion.Mapper((mapper or Mapper.INCREMENTAL).value)
    with progress_bar('structure from motion') as progress:
        found = structure_from_motion.reconstruct(
            unposed,
            config,
            mapper=chosen,
            refine_cameras=known_camera is None,
            progress=progress,
        )
    _tell(found, len(unposed), known_camera is None)
    if reference is None:
        return FoundPoses(found.posed)
    try:
        posed, alignment = align_posed(found.posed, reference)
    except RellocError as error:
        # The poses took long; they are kept, for another attempt.
        return FoundPoses(found.posed, problem=error)
    describe_alignment(alignment, len(posed))
    return FoundPoses(posed, alignment.units, alignment.frame)


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


def tell_of_scale(found: FoundPoses, map_folder: Path) -> None:
    """Say what a map without a scale is good for, and how it gets one.

    Raises:
        RellocError: frame and scale could not be fixed as asked.
    """
    if found.units != UNKNOWN:
        return
    print_warning(
        f'images alone tell no scale: lengths in map {map_folder} are in unknown units, its frame '
        'is arbitrary, and a node on a robot refuses it'
    )
    print_note(
        f'give it both: relloc map align {map_folder} --to POSITIONS, or the scale alone: relloc '
        f'map align {map_folder} --distance IMAGE_A IMAGE_B METRES'
    )
    if found.problem is not None:
        raise found.problem


def _images_in(source: Path) -> Path:
    """Take the folder of images of a data set, or the folder itself."""
    return source / 'images' if (source / 'images').is_dir() else source


def _tell(found: Reconstructed, count: int, is_refined: bool) -> None:
    print_note(
        f'structure from motion: {len(found.posed)} of {count} images registered, '
        f'{found.num_points} points, mean reprojection error {found.mean_error_px:.2f} pixels'
    )
    cameras = list(dict.fromkeys(image.camera for image in found.posed))
    if is_refined and len(cameras) == 1:
        numbers = ','.join(f'{value:.6g}' for value in cameras[0].params)
        size = f'{cameras[0].width},{cameras[0].height}'
        print_note(
            f'camera found: {cameras[0].model},{size},{numbers} (images of this camera are '
            'localized best by the same numbers)'
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
