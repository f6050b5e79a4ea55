# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces of walls, floors and furniture. All give a `Material`."""

from __future__ import annotations

import cv2
import numpy as np

from relloc_ros.synthetic.patterns import Field, as_image, colour, noise, pixels, shaded, speckles
from relloc_ros.synthetic.surfaces import Image, Material

__all__ = [
    'COARSE',
    'cloth',
    'cobbles',
    'curtain',
    'masonry',
    'paint',
    'planks',
    'rug',
    'stone',
    'wallpaper',
    'wood',
]

FINE, COARSE = 320.0, 120.0
"""Texels a metre: of rooms, and of what is seen from further away."""


def paint(base: Field, stains: float = 0.05, density: float = FINE) -> Material:
    """Plaster or paint, with stains."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        large = noise(rng, shape, 0.7 * density, fine=0.05 * density)
        rough = noise(rng, shape, 0.02 * density)
        return as_image(shaded(base, stains * large, 0.4 * stains * rough))

    return material


def stone(base: Field, density: float = COARSE) -> Material:
    """Concrete or asphalt: grain, blots and cracks."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        blots = noise(rng, shape, 1.5 * density, fine=0.1 * density)
        grain = noise(rng, shape, 0.04 * density)
        lines = np.abs(noise(rng, shape, 0.9 * density, fine=0.06 * density))
        cracks = np.where(lines < 0.012, np.float32(-0.25), np.float32(0.0))
        return as_image(shaded(base, 0.06 * blots, 0.05 * grain, cracks))

    return material


def wood(base: Field, density: float = FINE) -> Material:
    """One piece of wood, its grain along the longer side."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        is_wide = shape[1] > shape[0]
        grain = _grain(rng, shape if is_wide else shape[::-1], density)
        return as_image(shaded(base, grain if is_wide else grain.T))

    return material


def _grain(rng: np.random.Generator, shape: tuple[int, int], density: float) -> Field:
    waves = noise(rng, shape, (0.12 * density, 1.2 * density), fine=0.04 * density)
    rings = np.sin(9.0 * waves, dtype=np.float32)
    fibres = noise(rng, shape, (0.008 * density, 0.25 * density), fine=1.5)
    return np.asarray(0.04 * rings + 0.045 * fibres, dtype=np.float32)


def _cells(
    rng: np.random.Generator,
    shape: tuple[int, int],
    size_px: tuple[float, float],
    shift: str,
    joint_px: float,
) -> tuple[Field, Field]:
    """Lay rows of bricks or boards: a tone (H, W) of each, and where the joints are."""
    high, wide = size_px
    y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)
    rows = (y / high).astype(np.int32)
    count = int(rows.max()) + 1
    starts = rng.random(count) if shift == 'random' else np.arange(count) % 2 * 0.5
    along = x / np.float32(wide) + starts.astype(np.float32)[rows]
    columns = along.astype(np.int32)
    tones = rng.standard_normal((count, int(columns.max()) + 1), dtype=np.float32)[rows, columns]
    joint = (y % high < joint_px) | ((along - columns) * np.float32(wide) < joint_px)
    return tones, joint.astype(np.float32)


def planks(base: Field, board: float = 0.14, density: float = FINE) -> Material:
    """A floor of boards, along the texture's width."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        size = (board * density, 1.3 * density)
        tones, joints = _cells(rng, shape, size, 'random', 0.006 * density)
        return as_image(shaded(base, 0.11 * tones, _grain(rng, shape, density), -0.5 * joints))

    return material


def masonry(
    base: Field,
    mortar: Field,
    size: tuple[float, float] = (0.08, 0.25),
    density: float = COARSE,
    variety: float = 0.13,
) -> Material:
    """Bricks or tiles of a height and width in metres, in mortar."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        size_px = (size[0] * density, size[1] * density)
        tones, joints = _cells(rng, shape, size_px, 'half', max(1.5, 0.011 * density))
        dirt = 0.1 * noise(rng, shape, 1.5 * density, fine=0.15 * density)
        rough = 0.07 * noise(rng, shape, 0.03 * density)
        bricks = shaded(base, variety * tones, rough)
        seams = shaded(mortar, rough)
        both = bricks + (seams - bricks) * joints[..., np.newaxis]
        return as_image(shaded(both, np.asarray(dirt, dtype=np.float32)))

    return material


def cobbles(base: Field, density: float = COARSE) -> Material:
    """Paving stones of about a square."""
    return masonry(base, base * 0.55, (0.3, 0.4), density, variety=0.09)


def cloth(base: Field, density: float = FINE) -> Material:
    """Woven stuff with folds."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        folds = noise(rng, shape, 0.35 * density, fine=0.08 * density)
        weave = noise(rng, shape, (2.0, 5.0)) + noise(rng, shape, (5.0, 2.0))
        return as_image(shaded(base, 0.07 * folds, 0.05 * weave))

    return material


def curtain(base: Field, density: float = FINE) -> Material:
    """Stuff that hangs in folds, with a pattern."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        waves = noise(rng, (1, shape[1]), (1.0, 0.09 * density), fine=1.0)
        drift = noise(rng, shape, (0.8 * density, 0.09 * density), fine=0.05 * density)
        bands = np.sin(np.arange(shape[0], dtype=np.float32) / rng.uniform(0.02, 0.06) / density)
        pattern = 0.08 * (bands > rng.uniform(0.2, 0.9))[:, np.newaxis]
        folds = 0.16 * waves + 0.06 * drift
        return as_image(shaded(base, np.asarray(folds + pattern, dtype=np.float32)))

    return material


def wallpaper(base: Field, density: float = FINE) -> Material:
    """Stripes or motifs that repeat, on paper that is stained here and there."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        tile = _motif(rng, round(rng.uniform(0.25, 0.5) * density))
        repeats = (-(-shape[0] // tile.shape[0]), -(-shape[1] // tile.shape[1]))
        pattern = np.tile(tile, repeats)[: shape[0], : shape[1]]
        stains = noise(rng, shape, 0.8 * density, fine=0.1 * density)
        grain = noise(rng, shape, 0.015 * density)
        return as_image(
            shaded(base, rng.uniform(0.06, 0.16) * pattern, 0.04 * stains, 0.025 * grain)
        )

    return material


def _motif(rng: np.random.Generator, side: int) -> Field:
    """Paint one repeat of a wallpaper, between -1 and 1, that goes on beyond its edges."""
    tile = np.full((side, side), 128, np.uint8)
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(2, 5))):
            start, width = int(rng.integers(side)), int(rng.integers(2, max(3, side // 5)))
            tile[:, np.arange(start, start + width) % side] = rng.integers(256)
        return _signed(tile)
    for _ in range(int(rng.integers(4, 9))):
        centre, tone = rng.uniform(0, side, 2), int(rng.integers(256))
        axes = tuple(int(value) for value in rng.uniform(0.04, 0.28, 2) * side)
        angle = float(rng.uniform(0, 180))
        petals = int(rng.integers(1, 5))
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                place = (int(centre[0] + i * side), int(centre[1] + j * side))
                for petal in range(petals):
                    turn = angle + 180.0 * petal / petals
                    cv2.ellipse(tile, place, axes, turn, 0, 360, tone, -1, cv2.LINE_AA)
    return _signed(tile)


def _signed(tile: Image) -> Field:
    return (tile.astype(np.float32) - 128.0) / 128.0


def rug(density: float = FINE) -> Material:
    """A carpet with a border and medallions."""

    def material(rng: np.random.Generator, width: float, height: float) -> Image:
        shape = pixels(height, density), pixels(width, density)
        picture = np.empty((*shape, 3), np.uint8)
        tones = [colour(rng, (0.3, 0.8), (0.2, 0.8)) for _ in range(5)]
        picture[:] = tones[0]
        for i, inset in enumerate(np.cumsum([0.05, 0.04, 0.09, 0.03])):
            edge = round(inset * density)
            picture[edge:-edge, edge:-edge] = tones[(i + 1) % len(tones)]
        margin = round(0.3 * density)
        for _ in range(int(rng.integers(12, 24))):
            _medallion(rng, picture, margin, tones, density)
        # Woven by machine: the second half is the first one turned.
        half = shape[0] // 2
        picture[-half:] = picture[:half][::-1, ::-1]
        wear = noise(rng, shape, 0.5 * density, fine=0.1 * density)
        return as_image(shaded(picture, 0.06 * wear, speckles(rng, shape, 0.1)))

    return material


def _medallion(
    rng: np.random.Generator, picture: Image, margin: int, tones: list[Field], density: float
) -> None:
    height, width = picture.shape[:2]
    centre = (
        int(rng.integers(margin, max(margin + 1, width - margin))),
        int(rng.integers(margin, max(margin + 1, height // 2))),
    )
    corners = int(rng.integers(4, 13))
    for scale in (1.0, 0.7, 0.35):
        radius = scale * rng.uniform(0.06, 0.2) * density
        angles = np.arange(corners) * 2 * np.pi / corners
        radii = radius * np.where(np.arange(corners) % 2, 0.7, 1.0)
        points = np.column_stack([np.cos(angles), np.sin(angles)]) * radii[:, None] + centre
        tone = [float(value) for value in tones[int(rng.integers(len(tones)))]]
        cv2.fillPoly(picture, [points.astype(np.int32)], tone, cv2.LINE_AA)
