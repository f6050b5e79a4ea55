# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Furnished rooms, no two alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relloc_ros.geometry import Array
from relloc_ros.synthetic import fittings, furniture
from relloc_ros.synthetic.lighting import Lamp, Light
from relloc_ros.synthetic.materials import (
    cloth,
    curtain,
    masonry,
    paint,
    planks,
    rug,
    wallpaper,
    wood,
)
from relloc_ros.synthetic.patterns import Field, colour
from relloc_ros.synthetic.pictures import photographs
from relloc_ros.synthetic.surfaces import (
    Image,
    Material,
    Surface,
    moved,
    panel,
    turned_about,
)

__all__ = ['Room', 'make_room']

Surfaces = list[Surface]
Rng = np.random.Generator

WALL_TURNS = (0.0, -90.0, 180.0, 90.0)
"""Degrees from the frame of furniture to the walls at +y, +x, -y and -x."""


class Room:
    """What is being furnished.

    Attributes:
        size: (3,) metres; the floor's middle is the origin, z is up.
        surfaces: all that is in it.
        lamps: what shines.
        trim: colour of the skirting boards.
    """

    def __init__(self, size: Array, trim: Field) -> None:
        self.size = size
        self.trim = trim
        self.surfaces: Surfaces = []
        self.lamps: list[Lamp] = []

    def wall_length(self, wall: int) -> float:
        """Metres."""
        return float(self.size[wall % 2])

    def put_at(self, wall: int, surfaces: Sequence[Surface], x: float = 0.0) -> None:
        """Put what was made in the frame of furniture before a wall, x from its middle."""
        half = self.size / 2
        places = ((x, half[1]), (half[0], -x), (-x, -half[1]), (-half[0], x))
        self.surfaces += moved(surfaces, turned_about(WALL_TURNS[wall], (*places[wall], 0.0)))

    def shine_from(self, wall: int, x: float, low: float, high: float) -> None:
        """Let light of a window in, 1.2 m wide, from a height to another."""
        points = [(a, -0.2, b) for a in (-0.45, 0.0, 0.45) for b in np.linspace(low, high, 3)]
        dot = np.zeros((1, 1, 3), np.uint8)
        marks = [
            Surface(np.array(point), np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), dot)
            for point in points
        ]
        before = len(self.surfaces)
        self.put_at(wall, marks, x)
        corners = np.array([mark.corner for mark in self.surfaces[before:]])
        del self.surfaces[before:]
        self.lamps.append(Lamp(corners, 1.5))


def make_room(rng: Rng, photos: Sequence[Image]) -> tuple[Surfaces, Light, Array]:
    """Build and furnish a room.

    Args:
        rng: decides everything.
        photos: to hang on the walls; without, paintings are made up.

    Returns:
        All surfaces, their light, and the size (3,) of the room in metres: the floor's middle is
        the origin, z is up.
    """
    size = np.array([rng.uniform(4.6, 6.2), rng.uniform(4.2, 5.4), rng.uniform(2.45, 2.8)])
    room = Room(size, furniture.wooden(rng))
    _shell(rng, room)
    order = rng.permutation(4)
    for wall, furnish in zip(order, (_windows, _door, _books, _sofa), strict=True):
        furnish(rng, room, int(wall), photos)
    _middle(rng, room, photos)
    light = Light(room.lamps, ambient=0.5, reach=1.2)
    return room.surfaces, light, size


def _shell(rng: Rng, room: Room) -> None:
    width, depth, height = room.size
    corner = (-width / 2, depth / 2, 0.0)
    room.surfaces.append(panel(rng, _floor(rng), corner, (width, 0, 0), (0, -depth, 0)))
    ceiling = paint(colour(rng, (0.0, 0.08), (0.85, 0.95)), 0.03)
    corner = (-width / 2, -depth / 2, height)
    room.surfaces.append(panel(rng, ceiling, corner, (width, 0, 0), (0, depth, 0)))
    papers = [_wall_paint(rng) for _ in range(2)]
    for wall in range(4):
        length = room.wall_length(wall)
        paper = papers[int(rng.random() < 0.25)]
        front = panel(rng, paper, (-length / 2, 0, height), (length, 0, 0), (0, 0, -height))
        room.put_at(wall, [front])


def _floor(rng: Rng) -> Material:
    kind = rng.random()
    if kind < 0.6:
        return planks(colour(rng, (0.3, 0.6), (0.35, 0.7), (0.05, 0.1)), rng.uniform(0.09, 0.2))
    if kind < 0.8:
        base = colour(rng, (0.05, 0.3), (0.5, 0.8))
        return masonry(base, base * 0.6, (0.33, 0.33), 320.0, 0.07)
    return cloth(colour(rng, (0.1, 0.5), (0.35, 0.65)))


def _wall_paint(rng: Rng) -> Material:
    base = colour(rng, (0.03, 0.28), (0.65, 0.92))
    return wallpaper(base) if rng.random() < 0.6 else paint(base)


def _skirting(rng: Rng, room: Room, wall: int, gap: tuple[float, float] | None = None) -> None:
    board = wood(room.trim)
    room.put_at(wall, fittings.skirting(rng, board, room.wall_length(wall), gap))


def _windows(rng: Rng, room: Room, wall: int, photos: Sequence[Image]) -> None:
    length = room.wall_length(wall)
    places = [-length / 4, length / 4] if rng.random() < 0.7 else [rng.uniform(-0.6, 0.6)]
    stuff = curtain(colour(rng, (0.1, 0.5), (0.4, 0.85)))
    for x in places:
        room.put_at(wall, fittings.window(rng, x, stuff) + fittings.radiator(rng, x))
        room.shine_from(wall, x, 0.95, 2.1)
    if len(places) == 1:
        side = 1 if places[0] < 0 else -1
        room.put_at(wall, furniture.chest(rng, 1.0), side * (length / 2 - 0.7))
    room.put_at(wall, moved(furniture.plant(rng), turned_about(0, (0, -0.4, 0))), length / 2 - 0.5)
    _skirting(rng, room, wall)


def _door(rng: Rng, room: Room, wall: int, photos: Sequence[Image]) -> None:
    half = room.wall_length(wall) / 2
    side = int(rng.choice([-1, 1]))
    x = side * (half - 0.9)
    room.put_at(wall, fittings.door(rng, x))
    _skirting(rng, room, wall, (x - 0.5, x + 0.5))
    middle, width = -side * rng.uniform(0.35, 0.7), rng.uniform(1.0, 1.7)
    piece = furniture.chest(rng, width, rng.uniform(0.7, 1.0))
    room.put_at(wall, piece, middle)
    ends = sorted((-side * (half - 0.1), x - side * 0.6))
    room.put_at(wall, fittings.hung(rng, (ends[0], 1.45), (ends[1], 2.2), photos))


def _books(rng: Rng, room: Room, wall: int, photos: Sequence[Image]) -> None:
    half = room.wall_length(wall) / 2
    left = -half + rng.uniform(0.05, 0.5)
    height = rng.uniform(1.8, 2.2)
    for _ in range(int(rng.integers(1, 4))):
        width = rng.uniform(0.8, 1.1)
        if left + width > half - 1.2:
            break
        room.put_at(wall, furniture.bookcase(rng, width, height), left + width / 2)
        left += width + rng.uniform(0.0, 0.1)
    _skirting(rng, room, wall)
    room.put_at(wall, fittings.hung(rng, (left + 0.1, 1.25), (half - 0.1, 2.2), photos))
    free = half - left
    if free > 1.7:
        room.put_at(wall, furniture.desk(rng, min(1.5, free - 0.2)), left + free / 2)


def _sofa(rng: Rng, room: Room, wall: int, photos: Sequence[Image]) -> None:
    half = room.wall_length(wall) / 2
    room.put_at(wall, furniture.sofa(rng, rng.uniform(1.7, 2.2)), rng.uniform(-0.5, 0.5))
    room.put_at(wall, fittings.hung(rng, (-half + 0.15, 1.15), (half - 0.15, 2.25), photos))
    _skirting(rng, room, wall)


def _middle(rng: Rng, room: Room, photos: Sequence[Image]) -> None:
    place = np.append(rng.uniform(-0.35, 0.35, 2), 0.0)
    turn = rng.uniform(-25, 25) + 90.0 * int(rng.integers(2))
    width, depth = rng.uniform(2.0, 2.6), rng.uniform(1.4, 1.8)
    mat = photographs(photos) if photos and rng.random() < 0.5 else rug()
    on_floor = panel(
        rng,
        mat,
        (-width / 2, depth / 2, 0.006),
        (width, 0, 0),
        (0, -depth, 0),
        casts_shadow=False,
    )
    wide, deep = rng.uniform(1.2, 1.7), rng.uniform(0.75, 0.95)
    group = [on_floor, *moved(furniture.table(rng, wide, deep), turned_about(0, (0, deep / 2, 0)))]
    tone = furniture.wooden(rng)
    for side in (0.0, 180.0):
        for x in (-0.3, 0.3) if wide > 1.3 else (0.0,):
            seat = moved(furniture.chair(rng, tone), turned_about(rng.uniform(-15, 15), (0, 0, 0)))
            out = deep / 2 + rng.uniform(0.3, 0.5)
            group += moved(
                moved(seat, turned_about(0, (x, out, 0))), turned_about(side, (0, 0, 0))
            )
    room.surfaces += moved(group, turned_about(turn, place))
    height = float(room.size[2])
    room.surfaces += moved(fittings.pendant(rng, height), turned_about(turn, place))
    around = rng.normal(0, 0.12, (16, 3)) + np.append(place[:2], height - 0.55)
    room.lamps.append(Lamp(np.minimum(around, [np.inf, np.inf, height - 0.1]), 1.6))
