# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What fixes frame and scale of a map: the options, and what is said about the result."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, print_warning

if TYPE_CHECKING:
    from relloc_ros.map.alignment import Alignment, Reference

__all__ = [
    'FRAME_PANEL',
    'TO_HELP',
    'DistanceOption',
    'OdometryOption',
    'describe_alignment',
    'given_reference',
]

TO_HELP = (
    'What knows where the images were taken: a map or posed images with the same names; a table '
    '(.csv) with columns image,x,y,z (and qx,qy,qz,qw if known) or image,lat,lon,alt; a folder '
    'of the images with GPS positions in their EXIF; or a track of lines `time x y z qx qy qz '
    'qw`, by the times of the images.'
)
FRAME_PANEL = 'What fixes frame and scale'
SHOWN = 10

OdometryOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--odometry',
        metavar='FILE',
        help='Places that drift, in any of these forms: the scale is taken from '
        'the ways between images near in time, the frame from where the places fit best.',
        show_default=False,
        rich_help_panel=FRAME_PANEL,
    ),
]
DistanceOption = Annotated[
    Optional[tuple[str, str, float]],  # noqa: UP045
    typer.Option(
        '--distance',
        metavar='IMAGE_A IMAGE_B METRES',
        help='Only the scale: how far apart two images were taken, from camera to camera.',
        show_default=False,
        rich_help_panel=FRAME_PANEL,
    ),
]


def given_reference(
    to: Path | None, odometry: Path | None, distance: tuple[str, str, float] | None
) -> Reference | None:
    """Read what fixes frame and scale; None if nothing is given.

    Raises:
        typer.BadParameter: more than one is given.
        DataError: as `read_places`.
        MapError: a damaged map.
    """
    from relloc_ros.map.alignment import KnownDistance, Odometry
    from relloc_ros.map.known_places import read_places

    if sum(option is not None for option in (to, odometry, distance)) > 1:
        raise typer.BadParameter('positions, --odometry and --distance: give one of them')
    if to is not None:
        return read_places(to)
    if odometry is not None:
        return Odometry(read_places(odometry))
    return None if distance is None else KnownDistance(*distance)


def describe_alignment(alignment: Alignment, num_images: int) -> None:
    """Say how well a map fits, and what does not."""
    print_note(_scale(alignment))
    if alignment.rms is not None:
        print_note(
            f'{alignment.num_used} of the {alignment.num_known} known places agree '
            f'({num_images} images in all): RMS {alignment.rms:.3g} {alignment.units}, worst '
            f'{alignment.worst:.3g} {alignment.units}'
        )
    if alignment.far:
        shown = ', '.join(
            f'{name} ({distance:.3g} {alignment.units})'
            for name, distance in alignment.far[:SHOWN]
        )
        more = f' and {len(alignment.far) - SHOWN} more' if len(alignment.far) > SHOWN else ''
        print_warning(f'left out, too far from where the others put them: {shown}{more}')
    for note in alignment.notes:
        print_note(note)


def _scale(alignment: Alignment) -> str:
    text = f'scale {alignment.similarity.scale:.6g}'
    if alignment.scale_error is not None:
        text += f' +- {alignment.scale_error:.2g} of it'
    if alignment.angle_error is not None:
        text += f', least certain angle +- {math.degrees(alignment.angle_error):.2g} deg'
    return text
