# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a dense sequence become the map."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, progress_bar

if TYPE_CHECKING:
    from relloc_ros.map.sources import PosedImage

__all__ = ['KeyframeAngle', 'KeyframeDistance', 'thinned']

DEFAULT_ANGLE = 5.0
PANEL = 'Options for dense sequences'

KeyframeDistance = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        '--keyframe-distance',
        metavar='LENGTH',
        min=0.0,
        help='Of images closer together than this (map units) that look the same way, take only '
        'the sharpest.',
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
KeyframeAngle = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        '--keyframe-angle',
        metavar='DEGREES',
        min=0.0,
        max=180.0,
        help='Up to which angle images look the same way; by default '
        f'{DEFAULT_ANGLE:g}, with --keyframe-distance.',
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


def thinned(
    posed: Sequence[PosedImage], distance: float | None, angle: float | None, units: str
) -> list[PosedImage]:
    """Take the keyframes that the options ask for, and say how many of how many.

    Raises:
        typer.BadParameter: options that mean nothing.
        DataError: an image that is unreadable or not of its camera's size.
    """
    from relloc_ros.map.keyframes import keyframes_of, measure_sharpness

    if distance is None:
        if angle is not None:
            raise typer.BadParameter('--keyframe-angle: give --keyframe-distance, too')
        return list(posed)
    turn = DEFAULT_ANGLE if angle is None else angle
    with progress_bar('choosing keyframes') as progress:
        sharpnesses = measure_sharpness(posed, progress)
    rows = keyframes_of(posed, sharpnesses, distance, math.radians(turn))
    print_note(
        f'{len(rows)} of {len(posed)} images are keyframes: the others are within {distance:g} '
        f'{units} and {turn:g} degrees of a sharper one'
    )
    return [posed[row] for row in rows]
