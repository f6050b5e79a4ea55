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

CONTRAST = 1.5
"""What interpolation takes from the deviation, about."""


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
    result = rng.standard_normal(_grid(shape, high, wide), dtype=np.float32)
    weight = total = 1.0
    while min(high, wide) > fine:
        before = high, wide
        high, wide = max(high / 2, 1.0), max(wide / 2, 1.0)
        weight *= OCTAVE_WEIGHT
        total += weight**2
        grid = _grid(shape, high, wide)
        result = _enlarged(result, before[0] / high, before[1] / wide, grid)
        result += np.float32(weight) * rng.standard_normal(grid, dtype=np.float32)
    return _enlarged(result, high, wide, shape) * np.float32(CONTRAST / np.sqrt(total))


def _grid(shape: tuple[int, int], high: float, wide: float) -> tuple[int, int]:
    """Count the spots of a size that cover a picture, with some to spare."""
    return int(shape[0] / high) + 3, int(shape[1] / wide) + 3


def _enlarged(field: Field, down: float, across: float, shape: tuple[int, int]) -> Field:
    """Enlarge a field by factors, and cut off what is beyond a shape."""
    size = (
        max(shape[1], round(field.shape[1] * across)),
        max(shape[0], round(field.shape[0] * down)),
    )
    enlarged = cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged[: shape[0], : shape[1]], dtype=np.float32)


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
