# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a dense sequence become the map."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, progress_bar

if TYPE_CHECKING:
    from relloc_ros.config import MapConfig
    from relloc_ros.evaluation.keyframes import Choice, Trial
    from relloc_ros.map.sources import PosedImage

__all__ = ['KeyframeAngle', 'KeyframeDistance', 'KeyframeMode', 'Keyframes', 'thinned']

DEFAULT_ANGLE = 5.0
PANEL = 'Options for dense sequences'


class Keyframes(str, Enum):
    """How many images of a sequence become the map."""

    ALL = 'all'
    AUTO = 'auto'


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


KeyframeMode = Annotated[
    Keyframes,
    typer.Option(
        '--keyframes',
        help='`auto` takes as few images as are shown to lose little accuracy, and says how much. '
        'To find out, images left out are localized in a map of up to 1000 images, built first.',
        rich_help_panel=PANEL,
    ),
]


def thinned(
    posed: Sequence[PosedImage],
    mode: Keyframes,
    distance: float | None,
    angle: float | None,
    units: str,
    config: MapConfig,
    vocabulary: Path | None,
) -> tuple[list[PosedImage], dict[str, float]]:
    """Take the keyframes that the options ask for, and say how many of how many, and why.

    Returns:
        The images, and what was measured, for `Manifest.keyframes`.

    Raises:
        typer.BadParameter: options that mean nothing together.
        DataError: an image that is unreadable or not of its camera's size; as `build_map`.
        MissingDependencyError: as `build_map`.
    """
    from relloc_ros.evaluation.keyframes import choose_keyframes
    from relloc_ros.map.builder import check_names
    from relloc_ros.map.keyframes import keyframes_of, measure_sharpness

    _check_options(mode, distance, angle)
    if mode is Keyframes.ALL and distance is None:
        return list(posed), {}
    check_names(posed)
    with progress_bar('choosing keyframes') as progress:
        sharpnesses = measure_sharpness(posed, progress)
        if distance is None:
            choice = choose_keyframes(
                posed, sharpnesses, config, vocabulary=vocabulary, progress=progress
            )
    if distance is None:
        _tell(choice, len(posed), units)
        return [posed[row] for row in choice.rows], choice.evidence
    turn = math.radians(DEFAULT_ANGLE if angle is None else angle)
    rows = keyframes_of(posed, sharpnesses, distance, turn)
    print_note(_count(len(rows), len(posed), distance, turn, units))
    return [posed[row] for row in rows], {}


def _check_options(mode: Keyframes, distance: float | None, angle: float | None) -> None:
    if mode is Keyframes.AUTO and (distance is not None or angle is not None):
        raise typer.BadParameter(
            '--keyframes auto finds distance and angle itself: leave out --keyframe-distance and '
            '--keyframe-angle'
        )
    if angle is not None and distance is None:
        raise typer.BadParameter('--keyframe-angle needs --keyframe-distance beside it')


def _tell(choice: Choice, num_images: int, units: str) -> None:
    for trial in choice.trials:
        _tell_trial(trial, units)
    taken = choice.taken
    if taken is not None:
        print_note(_count(len(taken.rows), num_images, taken.distance, taken.angle, units))
    elif choice.trials:
        print_note(f'all {num_images} images are taken: fewer are not shown to suffice')
    else:
        print_note(
            f'all {num_images} images are taken: too few of them show nearly the same as others '
            'to measure what would be lost'
        )


def _tell_trial(trial: Trial, units: str) -> None:
    from relloc_ros.evaluation.wording import share_text

    few, dense, loss = trial.accuracy, trial.dense, trial.loss
    medians = [_errors(each.position, each.rotation_deg, units) for each in (few, dense)]
    tails = [_errors(each.tail_position, each.tail_rotation_deg, units) for each in (few, dense)]
    print_note(
        f'{len(trial.rows)} keyframes, {trial.num_samples} images held out: '
        f'median error {medians[0]} (among all images {medians[1]}), '
        f'nine tenths within {tails[0]} ({tails[1]}), '
        f'{share_text(few.available)} localized ({share_text(dense.available)}): '
        + (f'too few, {loss.excess}' if loss.excess else 'enough')
    )
    if not loss.excess:
        print_note(
            f'at 90 % confidence, medians grow by no more than {loss.medians:.0%} and 90th '
            f'percentiles by {loss.tails:.0%}, and no more than {loss.lost:.0%} of the poses are '
            f'lost; errors below a pixel ({_errors(*trial.exact, units)}) count as none'
        )


def _errors(position: float, rotation: float, units: str) -> str:
    from relloc_ros.evaluation.wording import angle_text, length_text

    return f'{length_text(position, units)}, {angle_text(rotation)}'


def _count(num_kept: int, num_images: int, distance: float, angle: float, units: str) -> str:
    from relloc_ros.evaluation.wording import angle_text, length_text

    return (
        f'{num_kept} of {num_images} images are keyframes: the others are within '
        f'{length_text(distance, units)} and {angle_text(math.degrees(angle))} of a sharper one'
    )
