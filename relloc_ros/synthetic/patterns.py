# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What paint is mixed from: noise, colours, and fields put over one another."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from relloc_ros.synthetic.surfaces import Image

__all__ = ['Field', 'as_image', 'colour', 'noise', 'pixels', 'shaded', 'speckles']

Field = NDArray[np.float32]

SMALLEST_PX = 8
OCTAVE_WEIGHT = 0.6


def pixels(metres: float, density: float) -> int:
    """Texels of a length, given the texels of a metre."""
    return max(SMALLEST_PX, round(metres * density))


def noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float | tuple[float, float],
    fine: float = 2.0,
) -> Field:
    """Smooth noise (H, W) of mean 0 and deviation about 1.

    Args:
        rng: for the noise.
        shape: height and width in texels.
        cell: size of the largest spots in texels, or their height and width.
        fine: size of the smallest.
    """
    high, wide = (cell, cell) if isinstance(cell, (int, float)) else cell
    result = np.zeros(shape, np.float32)
    weight = total = 1.0
    total = 0.0
    while True:
        grid = (int(shape[0] / high) + 3, int(shape[1] / wide) + 3)
        values = rng.standard_normal(grid, dtype=np.float32)
        size = (max(shape[1], round(grid[1] * wide)), max(shape[0], round(grid[0] * high)))
        enlarged = cv2.resize(values, size, interpolation=cv2.INTER_CUBIC)
        result += weight * enlarged[: shape[0], : shape[1]]
        total += weight**2
        if min(high, wide) <= fine:
            break
        high, wide = max(high / 2, 1.0), max(wide / 2, 1.0)
        weight *= OCTAVE_WEIGHT
    return np.asarray(result / np.sqrt(total) * 1.5, dtype=np.float32)


def colour(
    rng: np.random.Generator,
    saturation: tuple[float, float] = (0.1, 0.6),
    value: tuple[float, float] = (0.35, 0.9),
    hue: tuple[float, float] = (0.0, 1.0),
) -> Field:
    """Draw a colour, BGR from 0 to 255; ranges are of hue, saturation and value from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    )
    return np.array([blue, green, red], np.float32) * 255.0


def shaded(base: ArrayLike, *fields: Field) -> Field:
    """Multiply a colour (3,) or a picture (H, W, 3) by 1 + each of the fields (H, W)."""
    factor = np.float32(1.0) + sum(fields, start=np.zeros_like(fields[0]))
    return np.asarray(base, dtype=np.float32) * factor[..., np.newaxis]


def speckles(rng: np.random.Generator, shape: tuple[int, int], strength: float) -> Field:
    """Grain (H, W) of single texels."""
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(strength)


def as_image(values: NDArray[np.float32]) -> Image:
    """Round colours (H, W, 3) to bytes."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
