# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where images of a world are taken: on a walk, on lines before its front, on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
import re

import numpy as np
from scipy.spatial import cKDTree

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array
from relloc_ros.synthetic.paths import FRAME_PERIOD_S, Path, along_line
from relloc_ros.synthetic.worlds import Front, World

__all__ = ['WALK', 'Station', 'Way', 'read_way', 'stations_on']

WALK_NAME, LINE, GRID = 'walk', 'line', 'grid'
LEAST_SPACING = 0.05
FORMS = 'walk, line:DISTANCE[,DISTANCE...] or grid:SPACING,REACH, for example line:8,10'


@dataclass(frozen=True, slots=True)
class Way:
    """A choice of places to take images from.

    Attributes:
        kind: `walk`, of a camera in a hand; `line`, parallel to the scene's front; `grid`, a walk
            and a grid around it.
        lengths: metres. Of lines their distances from the front; of a grid its spacing, and how
            far from the walk it reaches.
    """

    kind: str
    lengths: tuple[float, ...] = ()

    def __str__(self) -> str:
        numbers = ','.join(f'{length:g}' for length in self.lengths)
        return f'{self.kind}:{numbers}' if numbers else self.kind


WALK = Way(WALK_NAME)


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """Where and when an image is taken.

    Attributes:
        folder: '' for the way itself, or the name of what belongs to it.
        path: that the camera is moved on.
        time: seconds on it.
    """

    folder: str
    path: Path
    time: float


def read_way(text: str) -> Way:
    """Read a way as `str` writes it.

    Raises:
        DataError: the text is none.
    """
    match = re.fullmatch(r'(walk|line|grid)(?::([^:]+))?', text)
    try:
        kind, numbers = match.groups() if match else ('', None)
        lengths = tuple(float(item) for item in numbers.split(',')) if numbers else ()
    except ValueError:
        kind, lengths = '', ()
    fits = {WALK_NAME: not lengths, LINE: bool(lengths), GRID: len(lengths) == 2}.get(kind, False)
    if not fits or not all(math.isfinite(length) and length > 0 for length in lengths):
        raise DataError(f'{text} is no way: {FORMS}, in metres')
    if kind == GRID and lengths[0] < LEAST_SPACING:
        raise DataError(f'{text}: images of a grid are at least {LEAST_SPACING:g} m apart')
    return Way(kind, lengths)


def stations_on(way: Way, world: World, number: int, count: int) -> list[Station]:
    """Say where the images on a way are taken.

    Args:
        way: chosen.
        world: that it leads through.
        number: different ones give different walks, and lines with another unsteady hand.
        count: images of a walk, or of all lines together; those of a grid come besides.

    Raises:
        DataError: lines are not in the free part of the world.
    """
    if way.kind == LINE:
        return _on_lines(way, world, number, count)
    path = world.walk(number)
    walk = [Station('', path, index * FRAME_PERIOD_S) for index in range(count)]
    return walk + _on_grid(way, world.front, walk) if way.kind == GRID else walk


def _on_lines(way: Way, world: World, number: int, count: int) -> list[Station]:
    front = world.front
    nearest, furthest = front.y - front.high[1], front.y - front.low[1]
    for distance in way.lengths:
        if not nearest <= distance <= furthest:
            raise DataError(
                f'{way}: a line {distance:g} m before the front of this scene is not in the free '
                f'part of it, from {nearest:.2f} to {furthest:.2f} m: choose another distance'
            )
    stations = []
    for place, share in enumerate(np.array_split(np.arange(count), len(way.lengths))):
        ends = [front.low[0], front.high[0]]
        # To and fro: the last image of a line is beside the first of the next.
        start, end = ends if place % 2 == 0 else ends[::-1]
        duration = max(len(share) - 1, 1) * FRAME_PERIOD_S
        path = along_line(
            world.hand(number, place),
            (start, end, front.y - way.lengths[place], front.eye),
            front.pitch_deg,
            duration,
        )
        begin = duration / 2 if len(share) == 1 else 0.0
        stations += [
            Station('', path, begin + index * FRAME_PERIOD_S) for index in range(len(share))
        ]
    return stations


def _on_grid(way: Way, front: Front, walk: Sequence[Station]) -> list[Station]:
    """Take images on a horizontal grid, each turned like that of the walk which is nearest.

    As Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose
    Regression", CVPR 2019, section 4, table 1.
    """
    spacing, reach = way.lengths
    centres = np.array([station.path.map_from_cam(station.time).translation for station in walk])
    places = _lattice(front, spacing)
    found = cKDTree(centres[:, :2]).query(places)
    distances, nearest = np.asarray(found[0]), np.asarray(found[1])
    height = float(centres[:, 2].mean())
    return [
        Station(GRID, _standing(walk[index], np.array([*place, height])), 0.0)
        for place, distance, index in zip(places, distances, nearest, strict=True)
        if distance <= reach
    ]


def _lattice(front: Front, spacing: float) -> Array:
    """Points (N, 2) in the free part of a world, through the origin, row by row to and fro."""
    first, last = np.ceil(front.low / spacing), np.floor(front.high / spacing)
    x, y = (spacing * np.arange(first[k], last[k] + 1) for k in range(2))
    rows = [np.column_stack([x[:: 1 - 2 * (k % 2)], np.full(len(x), v)]) for k, v in enumerate(y)]
    return np.concatenate(rows)


def _standing(station: Station, centre: Array) -> Path:
    """Hold the camera still at `centre` (3,), turned as at a station."""
    path, time = station.path, station.time
    values = [*centre, path.yaw(time), path.pitch(time), path.roll(time)]
    return Path(*[lambda _, value=float(value): value for value in values])
