# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fronts of houses: the wall is y = 0, seen from -y, its foot's middle is the origin."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.synthetic.fittings import door
from relloc_ros.synthetic.materials import COARSE, cloth, masonry, paint, stone
from relloc_ros.synthetic.patterns import Field, as_image, colour, noise, pixels, shaded
from relloc_ros.synthetic.pictures import abstract, landscape
from relloc_ros.synthetic.prints import sign, write_line
from relloc_ros.synthetic.surfaces import Image, Material, Surface, box, moved, panel, turned_about

__all__ = ['house']

Surfaces = list[Surface]
Rng = np.random.Generator
Opening = tuple[float, float, float, float]
"""Left, bottom, right and top in the wall."""

RECESS = 0.2
FLOOR = 3.1
GROUND_FLOOR = 3.6
NO_BACK = ('back',)


def house(rng: Rng, width: float, floors: int) -> tuple[Surfaces, float]:
    """Build the front of a house.

    Args:
        rng: decides everything.
        width: metres.
        floors: their number, with the ground floor.

    Returns:
        Its surfaces, and its height in metres up to the roof.
    """
    height = GROUND_FLOOR + FLOOR * (floors - 1) + 0.4
    wall, trim = _wall(rng), stone(colour(rng, (0.02, 0.2), (0.6, 0.9)))
    columns = max(2, round(width / rng.uniform(2.4, 3.2)))
    upper = _upper_openings(rng, width, floors, columns)
    shops, entrance = _ground_openings(rng, width, columns)
    openings = [*upper, *shops]
    front = panel(rng, wall, (-width / 2, 0, height), (width, 0, 0), (0, 0, -height))
    opaque = _opaque(width, height, openings)
    result = [
        Surface(front.corner, front.right, front.down, front.texture, opaque),
        *box(
            rng,
            wall,
            (-width / 2, 0.001, 0),
            (width / 2, 2.5, height),
            leave_out=('front', 'back', 'top', 'bottom'),
        ),
    ]
    result += _trimmings(rng, trim, width, height, floors) + _roof(rng, width, height)
    tone = colour(rng, (0.0, 0.6), (0.25, 0.95))
    frame_paint = paint(tone, 0.05, COARSE)
    has_balconies = rng.random() < 0.6
    for opening in upper:
        result += _reveal(rng, wall, opening) + _window(rng, _barred(tone), trim, opening)
        if has_balconies and rng.random() < 0.3:
            result += _balcony(rng, trim, opening)
    for opening in shops:
        result += _reveal(rng, wall, opening) + _shop(rng, frame_paint, opening)
    return result + _entrance(rng, trim, entrance), height


def _wall(rng: Rng) -> Material:
    kind = rng.random()
    if kind < 0.5:
        base = colour(rng, (0.25, 0.6), (0.45, 0.75), (0.0, 0.1))
        return masonry(base, colour(rng, (0.0, 0.15), (0.55, 0.8)))
    if kind < 0.7:
        base = colour(rng, (0.05, 0.25), (0.6, 0.8), (0.05, 0.14))
        return masonry(base, base * 0.75, (0.35, 0.7), variety=0.07)
    return paint(colour(rng, (0.1, 0.4), (0.6, 0.9)), 0.045, COARSE)


def _upper_openings(rng: Rng, width: float, floors: int, columns: int) -> list[Opening]:
    wide, tall = rng.uniform(0.9, 1.25), rng.uniform(1.5, 1.95)
    bay = width / columns
    result = []
    for floor in range(1, floors):
        sill = GROUND_FLOOR + (floor - 1) * FLOOR + 0.75
        for column in range(columns):
            x = -width / 2 + (column + 0.5) * bay
            result.append((x - wide / 2, sill, x + wide / 2, sill + tall))
    return result


def _ground_openings(rng: Rng, width: float, columns: int) -> tuple[list[Opening], float]:
    """Openings of shops, and the middle of the door."""
    bay = width / columns
    entrance = int(rng.integers(columns))
    result = []
    for column in range(columns):
        if column != entrance:
            x, half = -width / 2 + (column + 0.5) * bay, bay * rng.uniform(0.36, 0.43)
            result.append((x - half, rng.uniform(0.35, 0.8), x + half, 2.6))
    return result, -width / 2 + (entrance + 0.5) * bay


def _opaque(width: float, height: float, openings: list[Opening]) -> NDArray[np.bool_]:
    mask = np.ones((pixels(height, COARSE), pixels(width, COARSE)), bool)
    for left, bottom, right, top in openings:
        rows = [round((height - z) / height * mask.shape[0]) for z in (top, bottom)]
        columns = [round((x + width / 2) / width * mask.shape[1]) for x in (left, right)]
        mask[rows[0] : rows[1], columns[0] : columns[1]] = False
    return mask


def _reveal(rng: Rng, wall: Material, opening: Opening) -> Surfaces:
    """Make the four sides of a recess."""
    left, bottom, right, top = opening
    wide, tall = right - left, top - bottom
    return [
        panel(rng, wall, (left, 0, top), (0, RECESS, 0), (0, 0, -tall)),
        panel(rng, wall, (right, RECESS, top), (0, -RECESS, 0), (0, 0, -tall)),
        panel(rng, wall, (left, 0, top), (wide, 0, 0), (0, RECESS, 0)),
        panel(rng, wall, (left, RECESS, bottom), (wide, 0, 0), (0, -RECESS, 0)),
    ]


def _pane(rng: Rng, width: float, height: float) -> Image:
    """Paint glass: the sky in it, and curtains behind it."""
    shape = pixels(height, COARSE), pixels(width, COARSE)
    down = np.linspace(1, 0, shape[0], dtype=np.float32)[:, None, None]
    dark = colour(rng, (0.1, 0.4), (0.12, 0.3))
    cover = 0.25 + 0.25 * noise(rng, shape, (shape[0] / 2, shape[1]))[..., None]
    image = dark + np.clip(cover * down, 0, 1) * (np.array([235, 225, 205], np.float32) - dark)
    if rng.random() < 0.75:
        stuff = colour(rng, (0.0, 0.5), (0.55, 0.95))
        drawn = int(shape[1] * rng.uniform(0.12, 0.45))
        folds = 0.18 * noise(rng, (1, shape[1]), (1.0, 0.08 * COARSE), fine=1.0)
        curtain = shaded(stuff, np.repeat(folds, shape[0], axis=0))
        for part in (slice(0, drawn), slice(shape[1] - drawn, shape[1])):
            image[:, part] = 0.3 * image[:, part] + 0.6 * curtain[:, part]
    return as_image(image)


def _barred(tone: Field) -> Material:
    """Paint glass in a frame with bars of a colour."""

    def material(rng: Rng, width: float, height: float) -> Image:
        image = _pane(rng, width, height)
        rows, columns = image.shape[:2]
        bar = round(0.06 * COARSE)
        image[:bar] = image[-bar:] = image[:, :bar] = image[:, -bar:] = tone
        middle, cross = columns // 2 - bar // 2, round(0.3 * rows)
        image[:, middle : middle + bar] = image[cross : cross + bar - 2] = tone
        return image

    return material


def _window(rng: Rng, glass: Material, trim: Material, opening: Opening) -> Surfaces:
    left, bottom, right, top = opening
    corner, down = (left, RECESS, top), (0, 0, bottom - top)
    result = [panel(rng, glass, corner, (right - left, 0, 0), down)]
    low, high = (left - 0.12, -0.16, bottom - 0.1), (right + 0.12, 0.02, bottom)
    result += box(rng, trim, low, high, leave_out=NO_BACK)
    low, high = (left - 0.12, -0.07, top), (right + 0.12, 0.02, top + 0.18)
    return result + box(rng, trim, low, high, leave_out=NO_BACK)


def _shop(rng: Rng, bars: Material, opening: Opening) -> Surfaces:
    left, bottom, right, top = opening
    wide, tall = right - left, top - bottom
    result = [panel(rng, _display, (left, RECESS, top), (wide, 0, 0), (0, 0, -tall))]
    low, high = (left - 0.05, -0.12, top + 0.12), (right + 0.05, 0.0, top + 0.72)
    result += box(rng, bars, low, high, leave_out=NO_BACK, special={'front': sign})
    if rng.random() < 0.5:
        stripes = _stripes(colour(rng, (0.3, 0.8), (0.4, 0.8)))
        out, drop = rng.uniform(0.7, 1.1), rng.uniform(0.3, 0.5)
        corner, right3 = (left - 0.1, 0.0, top + 0.1), (wide + 0.2, 0, 0)
        result.append(panel(rng, stripes, corner, right3, (0, -out, -drop)))
        below = (right + 0.1, 0.0, top + 0.1), (-wide - 0.2, 0, 0)
        result.append(panel(rng, stripes, *below, (0, -out, -drop)))
        valance = (left - 0.1, -out, top + 0.1 - drop)
        result.append(panel(rng, stripes, valance, right3, (0, 0, -0.18)))
    return result


def _display(rng: Rng, width: float, height: float) -> Image:
    """Paint what lies in a shop's window, and letters on the glass."""
    image = _pane(rng, width, height)
    rows, columns = image.shape[:2]
    for shelf in (0.55, 0.95):
        left = int(rng.uniform(0.02, 0.1) * columns)
        while left < columns * 0.93:
            wide, tall = int(rng.uniform(20, 70)), int(rng.uniform(0.12, 0.34) * rows)
            wide = min(wide, columns - left - 2)
            base = int(shelf * rows)
            make = abstract if rng.random() < 0.7 else landscape
            goods = make(rng, wide / 420, tall / 420)
            part = image[base - tall : base, left : left + wide]
            part[:] = cv2.resize(goods, part.shape[1::-1])
            left += wide + int(rng.uniform(4, 60))
        image[int(shelf * rows) : int(shelf * rows) + 5] = 60
    place, size = (columns // 8, rows // 20), (columns * 3 // 4, rows // 9)
    write_line(rng, image, place, size, colour(rng, (0.0, 0.3), (0.85, 1.0)))
    return image


def _stripes(tone: Field) -> Material:
    def material(rng: Rng, width: float, height: float) -> Image:
        image = cloth(tone, COARSE)(rng, width, height)
        is_white = (np.arange(image.shape[1]) // int(0.22 * COARSE)) % 2 == 0
        image[:, is_white] = (0.25 * image[:, is_white] + 175).astype(np.uint8)
        return image

    return material


def _balcony(rng: Rng, trim: Material, opening: Opening) -> Surfaces:
    left, bottom, right, _ = opening
    x0, x1, out, floor = left - 0.35, right + 0.35, 0.9, bottom - 0.35
    low, high = (x0, -out, floor - 0.16), (x1, 0.0, floor)
    result = box(rng, trim, low, high, leave_out=NO_BACK)
    iron, tall = paint(np.full(3, rng.uniform(25, 70), np.float32), 0.1), 1.0
    edges = (
        ((x0, -out, floor + tall), (x1 - x0, 0, 0)),
        ((x0, 0.0, floor + tall), (0, -out, 0)),
        ((x1, -out, floor + tall), (0, out, 0)),
    )
    for corner, along in edges:
        side = panel(rng, iron, corner, along, (0, 0, -tall))
        shape = side.texture.shape[:2]
        bars = (np.arange(shape[1]) % 38 < 7)[None] | (np.arange(shape[0]) % (shape[0] - 16) < 14)[
            :, None
        ]
        result.append(Surface(side.corner, side.right, side.down, side.texture, bars))
        back, other = side.corner + side.right, -side.right
        result.append(Surface(back, other, side.down, side.texture, bars[:, ::-1]))
    return result


def _trimmings(rng: Rng, trim: Material, width: float, height: float, floors: int) -> Surfaces:
    """Base, courses between the floors, cornice, and a drain-pipe."""
    half = width / 2
    sides = ('back', 'bottom')
    result = box(rng, trim, (-half, -0.05, 0), (half, 0.0, 0.3), leave_out=sides)
    for floor in range(1, floors):
        z = GROUND_FLOOR + (floor - 1) * FLOOR - 0.1
        low, high = (-half, -0.06, z), (half, 0.0, z + rng.uniform(0.1, 0.22))
        result += box(rng, trim, low, high, leave_out=NO_BACK)
    for out, low_z, high_z in ((0.15, height - 0.3, height - 0.12), (0.32, height - 0.12, height)):
        low, high = (-half, -out, low_z), (half, 0.0, high_z)
        result += box(rng, trim, low, high, leave_out=NO_BACK)
    pipe = paint(colour(rng, (0.0, 0.3), (0.3, 0.6)), 0.1, COARSE)
    x = half - rng.uniform(0.15, 0.3)
    return result + box(rng, pipe, (x, -0.1, 0), (x + 0.1, 0.0, height - 0.3), leave_out=NO_BACK)


def _roof(rng: Rng, width: float, height: float) -> Surfaces:
    base = colour(rng, (0.2, 0.6), (0.3, 0.6), (0.0, 0.08))
    tiles = masonry(base, base * 0.5, (0.3, 0.22), 90.0)
    rise, back = rng.uniform(2.0, 3.5), 4.0
    corner = (-width / 2, back - 0.3, height + rise)
    result = [panel(rng, tiles, corner, (width, 0, 0), (0, -back, -rise))]
    for _ in range(int(rng.integers(1, 4))):
        x, foot = rng.uniform(-0.42, 0.42) * width, height + 0.3
        low, high = (x - 0.4, 1.5, foot), (x + 0.4, 2.3, height + rise + 0.9)
        brick = masonry(colour(rng, (0.3, 0.6), (0.4, 0.6), (0.0, 0.08)), base)
        result += box(rng, brick, low, high)
    return result


def _entrance(rng: Rng, trim: Material, x: float) -> Surfaces:
    steps = box(rng, trim, (x - 0.8, -0.6, 0), (x + 0.8, 0.0, 0.15), leave_out=('back', 'bottom'))
    steps += box(rng, trim, (x - 0.7, -0.3, 0.15), (x + 0.7, 0.0, 0.3), leave_out=NO_BACK)
    leaf = moved(door(rng, 0.0), turned_about(0, (x, -0.005, 0.3)))
    low, high = (x - 0.85, -0.5, 2.5), (x + 0.85, 0.0, 2.62)
    return steps + leaf + box(rng, trim, low, high, leave_out=NO_BACK)
