# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streets: a row of houses, no two alike, and what stands before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.synthetic import houses
from relloc_ros.synthetic.furniture import things
from relloc_ros.synthetic.lighting import Lamp, Light
from relloc_ros.synthetic.materials import COARSE, cobbles, paint, stone, wood
from relloc_ros.synthetic.patterns import as_image, colour, noise, pixels
from relloc_ros.synthetic.pictures import photographs
from relloc_ros.synthetic.prints import poster
from relloc_ros.synthetic.surfaces import Image, Material, Surface, box, moved, panel, turned_about

__all__ = ['make_facade']

Surfaces = list[Surface]
Rng = np.random.Generator

STREET_LENGTH = 50.0
PAVEMENT = 3.0
KERB = 0.14
ROAD = 14.0
SUN_DISTANCE = 200.0


def make_facade(rng: Rng, photos: Sequence[Image]) -> tuple[Surfaces, Light, Array]:
    """Build a street.

    Args:
        rng: decides everything.
        photos: for placards; without, they are made up.

    Returns:
        All surfaces, their light, and width and height (2,) in metres of the house in the middle,
        whose front is y = 0, seen from -y; z is up, the origin in the middle at its foot.
    """
    width, floors = rng.uniform(15.0, 19.0), int(rng.integers(3, 5))
    surfaces, height = houses.house(rng, width, floors)
    for side in (-1, 1):
        wide, back = rng.uniform(10.0, 14.0), rng.uniform(-0.5, 0.9)
        front, _ = houses.house(rng, wide, int(rng.integers(2, 6)))
        surfaces += moved(front, turned_about(0, (side * (width + wide) / 2, back, 0)))
    surfaces += _ground(rng) + _sky(rng) + _on_pavement(rng, width, photos)
    direction = np.array([rng.uniform(-0.9, 0.9), -0.9, rng.uniform(0.7, 1.2)])
    direction /= np.linalg.norm(direction)
    points = SUN_DISTANCE * direction + rng.normal(0, 3.0, (6, 3))
    light = Light([Lamp(points, 1.0, is_far=True)], ambient=0.5, reach=2.5, spacing=0.25)
    return surfaces, light, np.array([width, height])


def _ground(rng: Rng) -> Surfaces:
    half = STREET_LENGTH / 2
    flags = cobbles(colour(rng, (0.0, 0.15), (0.5, 0.7)), 100.0)
    edge = stone(colour(rng, (0.0, 0.1), (0.55, 0.75)))
    asphalt = stone(colour(rng, (0.0, 0.08), (0.3, 0.45)), 100.0)
    across = (0, -PAVEMENT - 1.0, 0)
    result = [panel(rng, flags, (-half, 1.0, 0), (2 * half, 0, 0), across, casts_shadow=False)]
    low, high = (-half, -PAVEMENT - 0.15, -KERB), (half, -PAVEMENT, 0.01)
    result += box(rng, edge, low, high, leave_out=('bottom', 'back', 'left', 'right'))
    corner = (-half, -PAVEMENT - 0.15, -KERB)
    right, down = (2 * half, 0, 0), (0, -ROAD, 0)
    return [*result, panel(rng, asphalt, corner, right, down, casts_shadow=False)]


def _sky(rng: Rng) -> Surfaces:
    top = colour(rng, (0.35, 0.65), (0.75, 0.95), (0.54, 0.62))

    def clouds(rng: Rng, width: float, height: float) -> Image:
        shape = pixels(height, 3.0), pixels(width, 3.0)
        down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
        clear = top * (1 - down) + np.array([245, 240, 230], np.float32) * down
        cover = np.clip(0.5 * noise(rng, shape, (60.0, 160.0)) - 0.05, 0, 1)[..., None]
        return as_image(clear + cover * (np.float32(250.0) - clear))

    return [
        panel(
            rng,
            clouds,
            (-300.0, 90.0, 150.0),
            (600.0, 0, 0),
            (0, 0, -155.0),
            glows=True,
            casts_shadow=False,
        )
    ]


def _on_pavement(rng: Rng, width: float, photos: Sequence[Image]) -> Surfaces:
    result: Surfaces = []
    for x in np.arange(-width, width + 1, rng.uniform(6.0, 9.0)):
        make = (_tree, _lamp_post, _board, _bench)[int(rng.integers(4))]
        place = (x + rng.uniform(-1.5, 1.5), -rng.uniform(1.6, 2.4), 0.0)
        result += moved(make(rng, photos), turned_about(rng.uniform(-12, 12), place))
    for _ in range(int(rng.integers(3, 7))):
        place = (rng.uniform(-0.8, 0.8) * width, -rng.uniform(0.35, 0.8), 0.0)
        result += moved(_bin(rng), turned_about(rng.uniform(-25, 25), place))
    return result


def _bin(rng: Rng) -> Surfaces:
    shell = paint(colour(rng, (0.1, 0.6), (0.2, 0.6)), 0.1, COARSE)
    wide, high = rng.uniform(0.2, 0.35), rng.uniform(0.5, 1.0)
    result = box(rng, shell, (-wide, -wide, 0), (wide, wide, high))
    low, high3 = (-wide - 0.03, -wide - 0.03, high), (wide + 0.03, wide + 0.03, high + 0.06)
    return result + box(rng, shell, low, high3)


def _bench(rng: Rng, photos: Sequence[Image]) -> Surfaces:
    planks = wood(colour(rng, (0.3, 0.6), (0.3, 0.6), (0.05, 0.1)))
    result: Surfaces = []
    for x in (-0.7, 0.62):
        result += box(rng, planks, (x, -0.4, 0), (x + 0.08, 0.0, 0.42))
    for y in (-0.42, -0.27, -0.12):
        low, high = (-0.9, y, 0.42), (0.9, y + 0.12, 0.46)
        result += box(rng, planks, low, high, leave_out=())
    for z in (0.6, 0.76):
        result += box(rng, planks, (-0.9, 0.02, z), (0.9, 0.06, z + 0.12), leave_out=())
    return result + things(rng, 1.2, 0.4, 0.46, 0.3)


def _lamp_post(rng: Rng, photos: Sequence[Image]) -> Surfaces:
    iron = paint(colour(rng, (0.0, 0.4), (0.15, 0.4)), 0.1, COARSE)
    high = rng.uniform(4.0, 5.5)
    result = box(rng, iron, (-0.14, -0.14, 0), (0.14, 0.14, 0.7))
    result += box(rng, iron, (-0.06, -0.06, 0.7), (0.06, 0.06, high))
    result += box(rng, iron, (-0.06, -0.9, high), (0.06, 0.06, high + 0.08), leave_out=())
    glass = paint(np.array([225, 240, 245], np.float32))
    low, top = (-0.14, -1.0, high - 0.22), (0.14, -0.6, high)
    return result + box(rng, glass, low, top, leave_out=())


def _board(rng: Rng, photos: Sequence[Image]) -> Surfaces:
    iron = paint(colour(rng, (0.0, 0.4), (0.2, 0.5)), 0.1, COARSE)
    wide, tall = rng.uniform(0.5, 0.75), rng.uniform(1.4, 1.8)
    placard: Material = photographs(photos) if photos else poster
    result = box(rng, iron, (-wide - 0.07, -0.07, 0), (wide + 0.07, 0.07, tall + 0.5))
    for turn in (0.0, 180.0):
        corner, down = (-wide, -0.075, tall + 0.42), (0, 0, -tall)
        front = panel(rng, placard, corner, (2 * wide, 0, 0), down, casts_shadow=False)
        result += moved([front], turned_about(turn, (0, 0, 0)))
    return result


def _tree(rng: Rng, photos: Sequence[Image]) -> Surfaces:
    bark = wood(colour(rng, (0.2, 0.5), (0.2, 0.4), (0.05, 0.1)), COARSE)
    high, wide = rng.uniform(2.2, 3.0), rng.uniform(1.1, 1.7)
    result = box(rng, bark, (-0.11, -0.11, 0), (0.11, 0.11, high + 0.6))
    for angle in (0.0, 60.0, 120.0):
        texture, opaque = _foliage(rng)
        for turn in (0, 180):
            crown = Surface(
                np.array([-wide, 0, high + 2 * wide - 0.3]),
                np.array([2 * wide, 0, 0]),
                np.array([0, 0, -2 * wide]),
                texture if turn == 0 else texture[:, ::-1],
                opaque if turn == 0 else opaque[:, ::-1],
            )
            result += moved([crown], turned_about(angle + turn, (0, 0, 0)))
    return result


def _foliage(rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
    side = 400
    shape = (side, side)
    radius = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 2))
    edge = radius + 0.25 * noise(rng, shape, 60.0, 20.0)
    tufts = noise(rng, shape, 14.0, 3.0)
    opaque = (edge < 0.85) & (tufts > -0.5)
    base = colour(rng, (0.4, 0.7), (0.3, 0.55), (0.2, 0.36))
    field = 0.25 * tufts + 0.1 * noise(rng, shape, 120.0, 30.0)
    return as_image(base * (1 + field[..., None])), np.asarray(opaque)
