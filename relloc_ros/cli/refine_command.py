# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map refine: correct noisy poses by what the images see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import math
from statistics import median
from typing import TYPE_CHECKING, Annotated

from rich.table import Table
import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar, stdout
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import MapArgument, Wait

if TYPE_CHECKING:
    from relloc_ros.map.refinement import Move, Refinement

__all__ = ['refine']

SHOWN = 10


def refine(
    map_folder: MapArgument,
    position_std: Annotated[
        float,
        typer.Option(
            metavar='LENGTH',
            min=1e-6,
            help='How wrong the positions are along each axis, map units: one standard deviation.',
        ),
    ] = 0.05,
    rotation_std: Annotated[
        float,
        typer.Option(
            metavar='DEGREES',
            min=1e-4,
            max=20.0,
            help='How wrong the rotations are about each axis: one standard deviation.',
        ),
    ] = 1.0,
    refine_calibration: Annotated[
        bool,
        typer.Option(
            '--refine-calibration',
            help='Adjust focal lengths and distortion, too; principal points stay.',
        ),
    ] = False,
    wait: Wait = 0.0,
) -> None:
    """Refine noisy poses, a robot's for example, by bundle adjustment with COLMAP.

    What the images see together decides how they stand to each other; their positions as they
    were hold the frame and the scale of the map. Poses that fit the images already are kept.
    Points are triangulated anew. The map stays as it is until all is done, and cannot be had back
    then: work on a copy, and compare both with `relloc evaluate`.
    """
    from relloc_ros.map.refinement import Noise, refine_map

    terminate_quietly()
    noise = Noise(position_std, math.radians(rotation_std))
    with progress_bar('refining poses') as progress:
        refinement = refine_map(
            map_folder, noise, refine_calibration=refine_calibration, wait=wait, progress=progress
        )
    stdout.print(_table(refinement))
    _warn(refinement, position_std, rotation_std)
    if refinement.uncalibrated:
        print_note(f'calibrate its covariances again: relloc map calibrate {map_folder}')
    if refinement.moves:
        print_note(f'map {map_folder} is refined')
    else:
        print_note(f'map {map_folder} has the poses it had: its images ask for no others')


def _table(refinement: Refinement) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in _rows(refinement):
        table.add_row(*row)
    return table


def _rows(refinement: Refinement) -> Iterator[tuple[str, str]]:
    moves, groups = refinement.moves, refinement.num_groups
    yield (
        'poses refined',
        str(len(moves)) + (f', in {groups} groups that share no points' if groups > 1 else ''),
    )
    yield 'as good as can be seen, kept', str(refinement.num_kept)
    yield 'see too little, kept', str(len(refinement.left))
    if moves:
        distances = [move.distance for move in moves]
        angles = [math.degrees(move.angle) for move in moves]
        yield 'moved, median', f'{median(distances):.4g}, {median(angles):.3g} deg'
        yield 'moved, at most', f'{max(distances):.4g}, {max(angles):.3g} deg'
    yield (
        'reprojection error, median',
        f'{refinement.error_before:.3g} px before, {refinement.error_after:.3g} px after',
    )
    yield '3D points', str(refinement.num_points)
    for camera_id, camera in refinement.cameras.items():
        params = ', '.join(f'{value:.6g}' for value in camera.params)
        yield f'camera {camera_id}', f'{camera.model} {params}'


def _warn(refinement: Refinement, position_std: float, rotation_std: float) -> None:
    if refinement.left:
        print_warning(
            'these images see too little that others see, their poses are as they were: '
            + _listed(refinement.left)
        )
    if refinement.suspects:
        print_warning(
            f'these images moved further than noise of {position_std:g} and {rotation_std:g} deg '
            'explains; they were wrong before, or are now (`relloc map check --deep`): '
            + _listed([_described(move) for move in refinement.suspects])
        )


def _described(move: Move) -> str:
    return f'{move.name} ({move.distance:.3g}, {math.degrees(move.angle):.3g} deg)'


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN
    return ', '.join(texts[:SHOWN]) + (f' and {more} more' if more > 0 else '')
