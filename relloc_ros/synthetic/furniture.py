# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Furniture out of boxes, lengths in metres.

In its own frame each piece stands on z = 0 with the middle of its back at the origin and its front
towards -y; x is to the right of those who look at it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.synthetic.materials import cloth, paint, wood
from relloc_ros.synthetic.patterns import Field, as_image, colour, noise
from relloc_ros.synthetic.pictures import photographs
from relloc_ros.synthetic.prints import books, screen
from relloc_ros.synthetic.surfaces import Image, Material, Surface, box, moved, panel, turned_about

__all__ = ['bookcase', 'chair', 'chest', 'desk', 'plant', 'sofa', 'table', 'wooden']

Surfaces = list[Surface]
Rng = np.random.Generator

NO_BACK = ('bottom', 'back')
WOOD_HUES = (0.05, 0.11)


def wooden(rng: Rng) -> Field:
    """Draw the colour of a wood, or of paint on it."""
    if rng.random() < 0.25:
        return colour(rng, (0.0, 0.25), (0.6, 0.9))
    return colour(rng, (0.3, 0.6), (0.3, 0.75), WOOD_HUES)


def things(rng: Rng, width: float, depth: float, base: float, room: float) -> Surfaces:
    """Put boxes and books onto a board whose front is at y = -depth, `room` high above `base`."""
    result: Surfaces = []
    left = -width / 2 + rng.uniform(0.03, 0.15)
    while True:
        wide, high = rng.uniform(0.06, 0.3), min(rng.uniform(0.06, 0.35), 0.9 * room)
        if left + wide > width / 2 - 0.02:
            return result
        deep = min(rng.uniform(0.06, 0.22), 0.8 * depth)
        front = -depth + rng.uniform(0.02, max(0.03, depth - deep - 0.02))
        material = paint(colour(rng, (0.1, 0.7)), 0.08, 500.0)
        label = (
            {'front': photographs(()), 'right': photographs(())} if rng.random() < 0.6 else None
        )
        object_ = box(
            rng, material, (-wide / 2, -deep / 2, 0), (wide / 2, deep / 2, high), special=label
        )
        place = (left + wide / 2, front + deep / 2, base)
        result += moved(object_, turned_about(rng.uniform(-20, 20), place))
        left += wide * 1.2 + rng.uniform(0.03, 0.35)


def bookcase(rng: Rng, width: float = 1.0, height: float = 2.0, depth: float = 0.32) -> Surfaces:
    """Boards, sides and rows of books."""
    board, side = wood(wooden(rng)), 0.03
    left, right = -width / 2, width / 2
    result = box(rng, board, (left, -depth, 0), (left + side, 0, height), leave_out=NO_BACK)
    result += box(rng, board, (right - side, -depth, 0), (right, 0, height), leave_out=NO_BACK)
    result.append(panel(rng, board, (left, -0.01, height), (width, 0, 0), (0, 0, -height)))
    shelves = np.linspace(0.08, height - side, int(rng.integers(5, 8)))
    inner = width - 2 * side
    for i, base in enumerate(shelves):
        result += box(
            rng,
            board,
            (left + side, -depth + 0.01, base),
            (right - side, 0, base + side),
            leave_out=('back',),
        )
        if i + 1 == len(shelves):
            break
        room = shelves[i + 1] - base - side
        if rng.random() < 0.25:
            result += things(rng, inner, depth - 0.01, base + side, room)
            continue
        front = -depth + rng.uniform(0.03, 0.1)
        row = panel(
            rng,
            books,
            (left + side, front, base + side + 0.96 * room),
            (inner, 0, 0),
            (0, 0, -0.96 * room),
        )
        result.append(row)
    return result


def chest(rng: Rng, width: float = 1.2, height: float = 0.8, depth: float = 0.45) -> Surfaces:
    """A body with drawers or doors in front, and things on top."""
    body = wood(wooden(rng))
    low, high = (-width / 2, -depth + 0.02, 0.06), (width / 2, 0.0, height)
    result = box(rng, body, low, high, leave_out=('back',))
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    wide, tall = width / columns, (height - 0.1) / rows
    knob = paint(colour(rng, (0.0, 0.4), (0.2, 0.9)))
    for i in range(columns):
        for j in range(rows):
            x0, z0 = -width / 2 + i * wide + 0.012, 0.08 + j * tall
            x1, z1 = x0 + wide - 0.024, z0 + tall - 0.02
            result += box(
                rng, body, (x0, -depth, z0), (x1, -depth + 0.02, z1), leave_out=('back',)
            )
            x, z = (x0 + x1) / 2, (z0 + z1) / 2
            low, high = (x - 0.05, -depth - 0.025, z - 0.01), (x + 0.05, -depth, z + 0.012)
            result += box(rng, knob, low, high, leave_out=('back',))
    return result + things(rng, width, depth, height, 0.5)


def _legs(rng: Rng, board: Material, width: float, depth: float, height: float) -> Surfaces:
    result: Surfaces = []
    side = 0.05
    for x in (-width / 2 + 0.03, width / 2 - 0.03 - side):
        for y in (-depth + 0.03, -0.03 - side):
            result += box(rng, board, (x, y, 0), (x + side, y + side, height))
    return result


def table(rng: Rng, width: float = 1.6, depth: float = 0.9, height: float = 0.75) -> Surfaces:
    """A board on four legs, with a cloth or things on it."""
    board = wood(wooden(rng))
    low, high = (-width / 2, -depth, height - 0.035), (width / 2, 0.0, height)
    result = box(rng, board, low, high, leave_out=())
    result += _legs(rng, board, width, depth, height - 0.035)
    runner = paint(colour(rng), 0.1) if rng.random() < 0.5 else photographs(())
    result.append(
        panel(
            rng,
            runner,
            (-0.35 * width, -0.3 * depth, height + 0.004),
            (0.7 * width, 0, 0),
            (0, -0.4 * depth, 0),
            casts_shadow=False,
        )
    )
    return result + things(rng, 0.8 * width, depth, height, 0.3)


def chair(rng: Rng, board: Field) -> Surfaces:
    """A seat, four legs and a back of slats."""
    material, width, depth, seat = wood(board), 0.42, 0.42, 0.45
    low, high = (-width / 2, -depth, seat - 0.04), (width / 2, 0.0, seat)
    result = box(rng, material, low, high, leave_out=())
    result += _legs(rng, material, width, depth, seat - 0.04)
    for x in (-width / 2, width / 2 - 0.04):
        result += box(rng, material, (x, -0.04, seat), (x + 0.04, 0, 0.92))
    for z in (0.62, 0.8):
        low, high = (-width / 2 + 0.04, -0.03, z), (width / 2 - 0.04, -0.01, z + 0.1)
        result += box(rng, material, low, high, leave_out=())
    return result


def desk(rng: Rng, width: float = 1.4, depth: float = 0.7, height: float = 0.74) -> Surfaces:
    """A table with a screen, a drawer unit and papers."""
    board = wood(wooden(rng))
    low, high = (-width / 2, -depth, height - 0.03), (width / 2, 0.0, height)
    result = box(rng, board, low, high, leave_out=())
    result += _legs(rng, board, width, depth, height - 0.03)
    low, high = (width / 2 - 0.5, -depth + 0.05, 0.05), (width / 2 - 0.1, -0.1, height - 0.06)
    result += box(rng, board, low, high)
    black = paint(np.full(3, 45.0, np.float32))
    x, wide = rng.uniform(-0.25, 0.0), 0.55
    low, high = (x - 0.1, -0.3, height), (x + 0.1, -0.12, height + 0.02)
    result += box(rng, black, low, high)
    low, high = (x - 0.02, -0.2, height), (x + 0.02, -0.17, height + 0.15)
    result += box(rng, black, low, high)
    low, high = (x - wide / 2, -0.25, height + 0.11), (x + wide / 2, -0.2, height + 0.46)
    result += box(rng, black, low, high, leave_out=())
    low3 = (x - wide / 2 + 0.015, -0.254, height + 0.445)
    result.append(panel(rng, screen, low3, (wide - 0.03, 0, 0), (0, 0, -0.32), glows=True))
    for _ in range(int(rng.integers(2, 5))):
        place = (rng.uniform(-0.6, 0.6) * width, rng.uniform(-0.9, -0.5) * depth, height + 0.003)
        paper = panel(rng, page, (-0.1, 0.14, 0), (0.21, 0, 0), (0, -0.29, 0), casts_shadow=False)
        result += moved([paper], turned_about(rng.uniform(-40, 40), np.clip(place, -0.5, 2)))
    return result


def page(rng: Rng, width: float, height: float) -> Image:
    """Paint a sheet of paper with lines."""
    shape = round(height * 600), round(width * 600)
    image = as_image(np.full((*shape, 3), rng.uniform(215, 250), np.float32))
    for line in range(12, shape[0] - 12, 8):
        if rng.random() < 0.8:
            image[line : line + 3, 12 : int(shape[1] * rng.uniform(0.4, 0.92))] = 70
    noisy = noise(rng, (3, shape[1] - 24), (1.0, 4.0))
    image[12:15, 12:-12] = as_image(np.repeat(noisy[..., None] * 60 + 120, 3, axis=2))
    return image


def sofa(rng: Rng, width: float = 2.0, depth: float = 0.85) -> Surfaces:
    """Seat, back, arms and cushions."""
    cover = cloth(colour(rng, (0.15, 0.6), (0.3, 0.75)))
    left, right = -width / 2, width / 2
    result = box(rng, cover, (left + 0.18, -depth, 0.08), (right - 0.18, -0.2, 0.42))
    result += box(rng, cover, (left, -0.22, 0.08), (right, 0, 0.82))
    result += box(rng, cover, (left, -depth, 0.08), (left + 0.18, -0.2, 0.58))
    result += box(rng, cover, (right - 0.18, -depth, 0.08), (right, -0.2, 0.58))
    for _ in range(int(rng.integers(1, 4))):
        x = rng.uniform(left + 0.4, right - 0.4)
        pattern = photographs(()) if rng.random() < 0.6 else cloth(colour(rng))
        cushion = box(rng, pattern, (-0.2, -0.12, 0), (0.2, 0, 0.38))
        result += moved(cushion, turned_about(rng.uniform(-15, 15), (x, -0.24, 0.42)))
    return result


def plant(rng: Rng, height: float = 1.3) -> Surfaces:
    """A pot, and leaves that one sees through in between."""
    pot = paint(colour(rng, (0.3, 0.7), (0.3, 0.8)), 0.1)
    result = box(rng, pot, (-0.16, -0.16, 0), (0.16, 0.16, 0.3))
    for _ in range(4):
        texture, opaque = _leaves(rng)
        angle = rng.uniform(0, 180)
        for turn in (0, 180):
            leaf = Surface(
                np.array([-0.45, 0, height]),
                np.array([0.9, 0, 0]),
                np.array([0, 0, 0.28 - height]),
                texture if turn == 0 else texture[:, ::-1],
                opaque if turn == 0 else opaque[:, ::-1],
            )
            result += moved([leaf], turned_about(angle + turn, (0, 0, 0)))
    return result


def _leaves(rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
    side = 360
    image, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    root = np.array([side / 2, side])
    for _ in range(int(rng.integers(9, 16))):
        angle, length = rng.uniform(-1.1, 1.1), rng.uniform(0.45, 0.97) * side
        tip = root + length * np.array([np.sin(angle) * 0.6, -np.cos(angle)])
        tone = colour(rng, (0.4, 0.8), (0.25, 0.65), (0.22, 0.4)).tolist()
        middle, axes = (root + 2 * tip) / 3, (int(length * 0.32), int(rng.uniform(8, 26)))
        turn = float(np.rad2deg(np.arctan2(*(tip - root)[::-1])))
        for canvas, fill in ((image, tone), (mask, 255)):
            stem = (tuple(map(int, root)), tuple(map(int, tip)))
            cv2.line(canvas, *stem, fill, 4)
            cv2.ellipse(canvas, tuple(map(int, middle)), axes, turn, 0, 360, fill, -1)
        cv2.line(image, tuple(map(int, root)), tuple(map(int, tip)), (90, 160, 140), 1)
    return image, mask > 0
