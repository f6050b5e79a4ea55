# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paintings, and photographs of the user's."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from relloc_ros.synthetic.patterns import Field, as_image, colour, noise, pixels, shaded, speckles
from relloc_ros.synthetic.surfaces import Image, Material

__all__ = ['DENSITY', 'abstract', 'landscape', 'photographs', 'picture']

DENSITY = 420.0
"""Texels a metre."""


def landscape(
    rng: np.random.Generator,
    width: float,
    height: float,
    sky_hues: tuple[float, float] = (0.0, 1.0),
    land_hues: tuple[float, float] = (0.0, 1.0),
) -> Image:
    """Paint ridges or houses behind one another under a sky, maybe with a sun."""
    shape = (pixels(height, DENSITY), pixels(width, DENSITY))
    rows = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    sky = colour(rng, (0.15, 0.6), (0.6, 1.0), sky_hues) * (1 - rows)
    sky = sky + colour(rng, (0.05, 0.3), (0.7, 1.0), sky_hues) * rows
    clouds = 0.12 * noise(rng, shape, shape[1] / 4)
    cloudy = as_image(shaded(np.broadcast_to(sky, (*shape, 3)), clouds))
    if rng.random() < 0.6:
        centre = (int(rng.uniform(0.1, 0.9) * shape[1]), int(rng.uniform(0.1, 0.35) * shape[0]))
        radius = int(rng.uniform(0.04, 0.1) * shape[0])
        cv2.circle(
            cloudy, centre, radius, colour(rng, (0.1, 0.5), (0.9, 1.0)).tolist(), -1, cv2.LINE_AA
        )
    count = int(rng.integers(3, 6))
    far = colour(rng, (0.1, 0.4), (0.5, 0.8), land_hues)
    near = colour(rng, (0.3, 0.7), (0.1, 0.4), land_hues)
    for i in range(count):
        depth = (i + 1) / count
        skyline = _skyline(rng, shape, depth)
        tone = far + (near - far) * np.float32(depth) + rng.normal(0, 12, 3).astype(np.float32)
        land = as_image(shaded(tone, 0.2 * noise(rng, shape, shape[1] / 8)))
        is_land = np.arange(shape[0])[:, None] > skyline
        cloudy[is_land] = land[is_land]
    return as_image(shaded(cloudy, speckles(rng, shape, 0.03)))


def _skyline(rng: np.random.Generator, shape: tuple[int, int], depth: float) -> Field:
    middle, wide = (0.3 + 0.55 * depth) * shape[0], shape[1]
    if rng.random() < 0.3:
        steps = rng.normal(0, 0.12, int(rng.integers(8, 25))) * shape[0]
        line = np.repeat(steps, -(-wide // len(steps)))[:wide].astype(np.float32)
    else:
        cell = rng.uniform(0.1, 0.4) * wide
        line = 0.07 * shape[0] * noise(rng, (1, wide), (1.0, cell), fine=1.0)[0]
        line += 0.015 * shape[0] * noise(rng, (1, wide), (1.0, 0.03 * wide), fine=1.0)[0]
    return np.asarray(middle + line, dtype=np.float32)


def abstract(rng: np.random.Generator, width: float, height: float) -> Image:
    """Paint shapes over one another, on brushed ground."""
    shape = (pixels(height, DENSITY), pixels(width, DENSITY))
    image = as_image(shaded(colour(rng), 0.1 * noise(rng, shape, (shape[0] / 20, shape[1] / 2))))
    palette = [colour(rng, (0.2, 0.9), (0.1, 1.0)) for _ in range(int(rng.integers(3, 7)))]
    for _ in range(int(rng.integers(12, 45))):
        tone = palette[int(rng.integers(len(palette)))].tolist()
        centre = rng.uniform(0, 1, 2) * shape[::-1]
        size = float(np.exp(rng.uniform(-3.2, -1.1))) * max(shape)
        kind = int(rng.integers(4))
        if kind == 0:
            cv2.circle(image, tuple(map(int, centre)), int(size), tone, -1, cv2.LINE_AA)
        elif kind == 1:
            end = tuple(map(int, centre + rng.normal(0, 2, 2) * size))
            thick = max(1, int(size / 6))
            cv2.line(image, tuple(map(int, centre)), end, tone, thick, cv2.LINE_AA)
        else:
            corners = centre + rng.normal(0, 1, (int(rng.integers(3, 6)), 2)) * size
            outline = cv2.convexHull(corners.astype(np.int32))
            cv2.fillPoly(image, [outline], tone, cv2.LINE_AA)
    strokes = noise(rng, shape, (shape[0] / 60, shape[1] / 10))
    return as_image(shaded(image, 0.06 * strokes, speckles(rng, shape, 0.02)))


def picture(photos: Sequence[Image] = ()) -> Material:
    """A painting in a frame: one of some photographs where there are any, else made up."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        if photos:
            image = _cut_out(rng, photos, width, height)
        else:
            image = (landscape if rng.random() < 0.5 else abstract)(rng, width, height)
        edge = max(3, round(rng.uniform(0.015, 0.04) * DENSITY))
        mat = max(2, round(rng.uniform(0.0, 0.05) * DENSITY))
        image = image.copy()
        tone = (colour(rng, (0.0, 0.5), (0.05, 0.6)), np.full(3, 235.0, np.float32))
        for inset, band, fill in ((0, edge, tone[0]), (edge, mat, tone[1])):
            outer = image[inset : image.shape[0] - inset, inset : image.shape[1] - inset]
            outer[:band], outer[-band:], outer[:, :band], outer[:, -band:] = (fill,) * 4
        return image

    return material


def _cut_out(
    rng: np.random.Generator, photos: Sequence[Image], width: float, height: float
) -> Image:
    """Take a part of a photograph, in the shape that is wanted."""
    photo = photos[int(rng.integers(len(photos)))]
    rows, columns = (pixels(height, DENSITY), pixels(width, DENSITY))
    scale = min(photo.shape[0] / rows, photo.shape[1] / columns) * rng.uniform(0.7, 1.0)
    high, wide = max(1, int(rows * scale)), max(1, int(columns * scale))
    top = int(rng.integers(photo.shape[0] - high + 1))
    left = int(rng.integers(photo.shape[1] - wide + 1))
    part = photo[top : top + high, left : left + wide]
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA))


def photographs(photos: Sequence[Image]) -> Material:
    """A photograph without a frame, or a painting where there is none."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        return _cut_out(rng, photos, width, height) if photos else abstract(rng, width, height)

    return material
