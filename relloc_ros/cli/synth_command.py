# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc synth: images of made worlds, with exact poses."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
import re
import shlex
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, progress_bar
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.errors import DataError

if TYPE_CHECKING:
    from relloc_ros.camera import Camera
    from relloc_ros.synthetic.data_set import Recipe
    from relloc_ros.synthetic.ways import Way

__all__ = ['synth']

CAMERA_PANEL = 'The camera'
WIDE_ANGLE = 0.85
"""Default focal length for each pixel of width: 61 degrees across."""

MOST_PIXELS = 4096
"""A side: the textures are not finer."""


class Scene(str, Enum):
    """As `synthetic.worlds.WORLDS`, which takes long to import."""

    ROOM = 'room'
    FACADE = 'facade'


def synth(
    output: Annotated[
        Path,
        typer.Option('--output', metavar='DIR', help='Folder to create.', show_default=False),
    ],
    scene: Annotated[
        Scene, typer.Option(help='A furnished room, or the front of a house in a street.')
    ] = Scene.ROOM,
    seed: Annotated[
        int,
        typer.Option(
            metavar='N',
            min=0,
            help='Decides all that is random. Scenes of different seeds share no texture.',
        ),
    ] = 0,
    count: Annotated[
        int, typer.Option(metavar='N', min=1, max=1_000_000, help='Images for the map.')
    ] = 60,
    queries: Annotated[
        int,
        typer.Option(
            metavar='N', min=1, max=1_000_000, help='Images to be localized, from another way.'
        ),
    ] = 20,
    way: Annotated[
        str,
        typer.Option(
            metavar='WAY',
            help='Where images for the map are taken: `walk`, of a camera in a hand; '
            '`line:DISTANCE[,DISTANCE...]`, lines so many metres before the front of the house or '
            'a wall, which share --count; `grid:SPACING,REACH`, a walk, and besides --count an '
            'image every SPACING metres within REACH metres of it.',
        ),
    ] = 'walk',
    query_way: Annotated[
        str, typer.Option(metavar='WAY', help='Where queries are taken; other ones than the map.')
    ] = 'walk',
    textures: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar='DIR',
            help='Photographs (.jpg, .png) to hang up in the scene instead of painted pictures.',
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar='WxH', help='Pixels.', rich_help_panel=CAMERA_PANEL)
    ] = '640x480',
    focal: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            metavar='PIXELS',
            min=1.0,
            help='Focal length; by default 0.85 of the width, which sees 61 degrees.',
            show_default=False,
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = None,
    distortion: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar='K1,K2,P1,P2',
            help="OpenCV's coefficients, for example `-0.2,0.05,0,0`; by default none.",
            show_default=False,
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = None,
    blur: Annotated[
        float,
        typer.Option(
            metavar='SECONDS',
            min=0.0,
            max=0.5,
            help='Time of exposure, in which the camera moves on: 0.02 blurs a few pixels.',
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = 0.0,
    exposure: Annotated[
        float,
        typer.Option(
            metavar='STOPS',
            min=0.0,
            max=4.0,
            help='How much brightness changes between images: one standard deviation.',
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = 0.0,
    noise: Annotated[
        float,
        typer.Option(
            metavar='LEVELS',
            min=0.0,
            max=100.0,
            help='Standard deviation of the pixels, whose values go to 255.',
            rich_help_panel=CAMERA_PANEL,
        ),
    ] = 2.0,
) -> None:
    """Render a data set: a scene made from a seed, photographed from exactly known poses.

    DIR is what `relloc map build DIR --list DIR/map.txt` and `relloc evaluate DIR --list
    DIR/query.txt` read: images, a COLMAP model with the true poses, two lists. Map and queries
    are taken on different ways, by default by a camera in a hand. The same options give the same
    images.
    """
    from relloc_ros.synthetic.data_set import Recipe, read_photos, write_data_set
    from relloc_ros.synthetic.sensor import Sensor

    terminate_quietly()
    camera = _camera(size, focal, distortion)
    photos = [] if textures is None else read_photos(textures)
    ways = _way('--way', way), _way('--query-way', query_way)
    sensor = Sensor(blur, exposure, noise)
    recipe = Recipe(scene.value, seed, camera, (count, queries), sensor, ways)
    command = _command(recipe, size, focal, distortion, textures)
    with progress_bar('rendering') as progress:
        made = write_data_set(recipe, output, photos, command=command, progress=progress)
    print_note(f'{output} is ready: {made[0]} map images and {made[1]} queries')
    folder = shlex.quote(str(output))
    print_note(f'next: relloc map build {folder} --list {folder}/map.txt --output MAP')


def _command(
    recipe: Recipe,
    size: str,
    focal: float | None,
    distortion: str | None,
    textures: Path | None,
) -> str:
    """Say what makes the same data set again."""
    sensor = recipe.sensor
    options = {
        'scene': recipe.scene,
        'seed': recipe.seed,
        'count': recipe.counts[0],
        'queries': recipe.counts[1],
        **{
            name: str(way)
            for name, way in zip(('way', 'query-way'), recipe.ways, strict=True)
            if way.kind != 'walk'
        },
        'textures': textures,
        'size': size,
        'focal': focal,
        # Joined by =: the first number may be negative, and look like an option.
        'distortion': distortion,
        'blur': sensor.exposure_s,
        'exposure': sensor.exposure_spread,
        'noise': sensor.noise,
    }
    given = [f'--{name}={value}' for name, value in options.items() if value is not None]
    return f'relloc synth --output DIR {shlex.join(given)}'


def _way(option: str, text: str) -> Way:
    """Read a way.

    Raises:
        typer.BadParameter: the text is none.
    """
    from relloc_ros.synthetic.ways import read_way

    try:
        return read_way(text)
    except DataError as error:
        raise typer.BadParameter(f'{option} {error}') from error


def _camera(size: str, focal: float | None, distortion: str | None) -> Camera:
    """Make the camera that is asked for, its principal point in the middle.

    Raises:
        typer.BadParameter: size or distortion are not what they should be.
    """
    from relloc_ros.camera import Camera

    match = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', size)
    width, height = (int(group) for group in match.groups()) if match else (0, 0)
    if not 16 <= min(width, height) <= max(width, height) <= MOST_PIXELS:
        raise typer.BadParameter(
            f'--size {size}: width and height of 16 to {MOST_PIXELS} pixels, for example 640x480'
        )
    length = WIDE_ANGLE * width if focal is None else focal
    params = (length, length, width / 2, height / 2)
    if distortion is None:
        return Camera('PINHOLE', width, height, params)
    try:
        coefficients = [float(item) for item in distortion.split(',')]
        if len(coefficients) != 4:
            raise ValueError
    except ValueError as error:
        raise typer.BadParameter(
            f'--distortion {distortion}: four numbers K1,K2,P1,P2, for example -0.2,0.05,0,0'
        ) from error
    return Camera('OPENCV', width, height, (*params, *coefficients))
