# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is built into a wall, in the frame of furniture: the wall is y = 0, seen from -y."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from relloc_ros.synthetic.furniture import wooden
from relloc_ros.synthetic.materials import paint, wood
from relloc_ros.synthetic.patterns import as_image, colour, noise, pixels, shaded
from relloc_ros.synthetic.pictures import landscape, picture
from relloc_ros.synthetic.prints import poster
from relloc_ros.synthetic.surfaces import Image, Material, Surface, box, panel

__all__ = ['door', 'hung', 'pendant', 'radiator', 'skirting', 'window']

Surfaces = list[Surface]
Rng = np.random.Generator
NO_BACK = ('back',)


def _frame(
    rng: Rng, material: Material, low: tuple[float, float], high: tuple[float, float], bar: float
) -> Surfaces:
    """Make four bars around an opening, given by x and z; they stand out by half their width."""
    (x0, z0), (x1, z1) = low, high
    bars = (
        ((x0 - bar, z0), (x0, z1 + bar)),
        ((x1, z0), (x1 + bar, z1 + bar)),
        ((x0, z1), (x1, z1 + bar)),
        ((x0, z0 - bar), (x1, z0)),
    )
    result: Surfaces = []
    for (left, below), (right, above) in bars:
        if below >= 0:
            low3, high3 = (left, -bar / 2, below), (right, 0.0, above)
            result += box(rng, material, low3, high3, leave_out=NO_BACK)
    return result


def door(rng: Rng, x: float) -> Surfaces:
    """A closed door with panels, a handle and a frame; its middle at x."""
    base = wooden(rng)
    leaf, width, height = wood(base), 0.86, 2.02
    corner = (x - width / 2, -0.004, height)
    result = [panel(rng, leaf, corner, (width, 0, 0), (0, 0, -height), casts_shadow=False)]
    columns, rows = int(rng.integers(1, 3)), int(rng.integers(2, 5))
    wide, tall = (width - 0.1) / columns, (height - 0.1) / rows
    for i in range(columns):
        for j in range(rows):
            x0, z0 = x - width / 2 + 0.05 + (i + 0.12) * wide, 0.05 + (j + 0.1) * tall
            low, high = (x0, -0.022, z0), (x0 + 0.76 * wide, 0.0, z0 + 0.8 * tall)
            result += box(rng, leaf, low, high, leave_out=NO_BACK)
    metal = paint(np.array([150, 160, 165], np.float32))
    side = x + width / 2 - 0.1
    result += box(
        rng, metal, (side - 0.02, -0.03, 0.95), (side + 0.02, 0, 1.15), leave_out=NO_BACK
    )
    result += box(rng, metal, (side - 0.11, -0.07, 1.05), (side + 0.02, -0.05, 1.075))
    return result + _frame(rng, leaf, (x - width / 2, 0), (x + width / 2, height), 0.08)


def _outside(rng: Rng, width: float, height: float) -> Image:
    """Paint what one sees through a window by day: bright, and not sharp."""
    view = landscape(rng, width, height, (0.54, 0.62), (0.2, 0.45))
    view = cv2.GaussianBlur(view, (0, 0), 1.5).astype(np.float32)
    return as_image(255.0 * (view / 255.0) ** np.float32(0.55))


def window(
    rng: Rng, x: float, stuff: Material, width: float = 1.25, height: float = 1.35
) -> Surfaces:
    """A window with bars, a sill and curtains of some stuff, its middle at x."""
    sill = 0.88
    low, high = (x - width / 2, sill), (x + width / 2, sill + height)
    white = paint(colour(rng, (0.0, 0.1), (0.75, 0.92)))
    corner, down = (low[0], -0.003, high[1]), (0, 0, -height)
    result = [panel(rng, _outside, corner, (width, 0, 0), down, glows=True, casts_shadow=False)]
    result += _frame(rng, white, low, high, 0.07)
    bars = [((x - 0.03, sill), (x + 0.03, high[1]))]
    if rng.random() < 0.6:
        across = sill + rng.uniform(0.55, 0.75) * height
        bars.append(((low[0], across - 0.02), (high[0], across + 0.02)))
    for (x0, z0), (x1, z1) in bars:
        result += box(rng, white, (x0, -0.03, z0), (x1, 0, z1), leave_out=NO_BACK)
    board = ((low[0] - 0.1, -0.18, sill - 0.1), (high[0] + 0.1, 0, sill - 0.06))
    result += box(rng, white, *board, leave_out=NO_BACK)
    rail = high[1] + 0.18
    for left in (low[0] - 0.32, high[0] - 0.02):
        bottom = rng.uniform(0.04, 0.12)
        low3, high3 = (left, -0.12, bottom), (left + 0.34, -0.05, rail)
        result += box(rng, stuff, low3, high3, leave_out=())
    pole = wood(wooden(rng))
    low3, high3 = (low[0] - 0.45, -0.1, rail), (high[0] + 0.45, -0.07, rail + 0.03)
    return result + box(rng, pole, low3, high3, leave_out=())


def radiator(rng: Rng, x: float, width: float = 1.0) -> Surfaces:
    """Ribs below a window."""
    white = paint(colour(rng, (0.0, 0.08), (0.75, 0.92)))

    def ribs(rng: Rng, width: float, height: float) -> Image:
        shape = pixels(height, 320.0), pixels(width, 320.0)
        waves = np.cos(np.arange(shape[1], dtype=np.float32) * np.float32(2 * np.pi / 18))
        rows = np.minimum(np.arange(shape[0]), np.arange(shape[0])[::-1])
        field = 0.16 * waves[None] * (rows > 14)[:, None] + 0.03 * noise(rng, shape, 40.0, 6.0)
        return as_image(shaded(np.array([214, 222, 226], np.float32), field.astype(np.float32)))

    low, high = (x - width / 2, -0.12, 0.12), (x + width / 2, -0.03, 0.72)
    return box(rng, white, low, high, leave_out=(), special={'front': ribs})


def hung(
    rng: Rng, low: tuple[float, float], high: tuple[float, float], photos: Sequence[Image]
) -> Surfaces:
    """Hang pictures and posters into a part of a wall, given by x and z."""
    result: Surfaces = []
    left = low[0] + rng.uniform(0.03, 0.15)
    frame_side = paint(colour(rng, (0.0, 0.4), (0.1, 0.6)))
    while left < high[0] - 0.3:
        width, height = rng.uniform(0.3, 1.0), rng.uniform(0.35, 0.95)
        width, height = min(width, high[0] - left - 0.02), min(height, high[1] - low[1])
        bottom = rng.uniform(low[1], high[1] - height)
        if rng.random() < 0.4 and not photos:
            corner = (left, -0.003, bottom + height)
            edges = (width, 0, 0), (0, 0, -height)
            result.append(panel(rng, poster, corner, *edges, casts_shadow=False))
        else:
            result += box(
                rng,
                frame_side,
                (left, -0.025, bottom),
                (left + width, 0, bottom + height),
                leave_out=NO_BACK,
                special={'front': picture(photos)},
            )
        left += width + rng.uniform(0.08, 0.35)
    return result


def skirting(
    rng: Rng, material: Material, length: float, gap: tuple[float, float] | None = None
) -> Surfaces:
    """A board along the floor, with a gap where the door is."""
    ends = [(-length / 2, length / 2)]
    if gap is not None:
        ends = [(-length / 2, gap[0]), (gap[1], length / 2)]
    result: Surfaces = []
    for x0, x1 in ends:
        if x1 - x0 > 0.02:
            result += box(
                rng, material, (x0, -0.02, 0), (x1, 0, 0.09), leave_out=('bottom', 'back')
            )
    return result


def pendant(rng: Rng, ceiling: float) -> Surfaces:
    """A lamp that hangs from the ceiling; its middle is above the origin."""
    side, below, tall = rng.uniform(0.15, 0.24), ceiling - rng.uniform(0.5, 0.7), 0.24
    tint = colour(rng, (0.05, 0.3), (0.95, 1.0), (0.08, 0.16))

    def shade(rng: Rng, width: float, height: float) -> Image:
        shape = pixels(height, 320.0), pixels(width, 320.0)
        stripes = np.sin(np.arange(shape[0], dtype=np.float32) / 5.0)[:, None] * 0.05
        return as_image(shaded(tint, stripes + 0.04 * noise(rng, shape, 20.0)))

    body = box(rng, shade, (-side, -side, below), (side, side, below + tall), leave_out=())
    glowing = [
        Surface(s.corner, s.right, s.down, s.texture, casts_shadow=False, glows=True) for s in body
    ]
    cord = paint(np.full(3, 60.0, np.float32))
    low, high = (-0.01, -0.01, below + tall), (0.01, 0.01, ceiling)
    return glowing + box(rng, cord, low, high, leave_out=('bottom', 'top'))
