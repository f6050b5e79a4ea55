# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map align: bring a map into another frame and scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.alignment_options import (
    FRAME_PANEL,
    TO_HELP,
    DistanceOption,
    OdometryOption,
    describe_alignment,
    given_reference,
)
from relloc_ros.cli.console import print_note, print_warning
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import MapArgument, Wait

if TYPE_CHECKING:
    from relloc_ros.map.placement import Placed

__all__ = ['align']

MAX_SCALE_DIFFERENCE = 0.02
"""A metric map that differs by more from what it is aligned to is worth a warning."""


def align(
    map_folder: MapArgument,
    to: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--to',
            metavar='X',
            help=TO_HELP,
            show_default=False,
            rich_help_panel=FRAME_PANEL,
        ),
    ] = None,
    odometry: OdometryOption = None,
    distance: DistanceOption = None,
    apply: Annotated[
        bool, typer.Option('--apply', help='Rewrite the poses of a metric map, too.')
    ] = False,
    wait: Wait = 0.0,
) -> None:
    """Fix frame and scale of a map by where its images are known to have been taken.

    A map in unknown units is rewritten: poses and 3D points are in the frame and the units of X
    afterwards. A metric map keeps its poses; where it lies in X is noted as `global_from_map` in
    map.yaml. Up to half of the places may be wrong; those that do not fit are named.
    """
    from relloc_ros.map.format import Manifest, current_generation
    from relloc_ros.map.placement import align_map

    terminate_quietly()
    num_images = Manifest.read(current_generation(map_folder).manifest).num_images
    reference = given_reference(to, odometry, distance)
    if reference is None:
        raise typer.BadParameter('say what fixes the map: --to, --odometry or --distance')
    placed = align_map(map_folder, reference, apply=apply, wait=wait)
    describe_alignment(placed.alignment, num_images)
    _tell(map_folder, placed)


def _tell(map_folder: Path, placed: Placed) -> None:
    alignment = placed.alignment
    if placed.rewritten:
        print_note(f'map {map_folder}: poses and 3D points are rewritten, in {placed.units!r} now')
        return
    print_note(
        f'map {map_folder} keeps its poses; global_from_map in its map.yaml says where it lies '
        '(--apply rewrites the poses instead)'
    )
    if abs(alignment.similarity.scale - 1.0) > MAX_SCALE_DIFFERENCE:
        print_warning(
            f'a length of 1 in the map is {alignment.similarity.scale:.4g} {alignment.units}: if '
            f'the map is wrong, rewrite it with --apply'
        )
