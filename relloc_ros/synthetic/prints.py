# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is printed: posters, signs, the backs of books, screens, in a language nobody speaks."""

from __future__ import annotations

import cv2
import numpy as np

from relloc_ros.synthetic.patterns import Field, as_image, colour, noise, pixels, shaded, speckles
from relloc_ros.synthetic.pictures import DENSITY, abstract, landscape
from relloc_ros.synthetic.surfaces import Image

__all__ = ['books', 'poster', 'screen', 'sign', 'write_line']

CONSONANTS, VOWELS = 'bcdfghjklmnprstvwxz', 'aeiou'
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def words(rng: np.random.Generator, count: int) -> str:
    """Make words of a language that nobody speaks."""
    return ' '.join(
        ''.join(
            CONSONANTS[int(rng.integers(len(CONSONANTS)))] + VOWELS[int(rng.integers(len(VOWELS)))]
            for _ in range(int(rng.integers(1, 4)))
        )
        for _ in range(count)
    )


def _shape(width: float, height: float, density: float = DENSITY) -> tuple[int, int]:
    return pixels(height, density), pixels(width, density)


def _write(
    rng: np.random.Generator,
    image: Image,
    text: str,
    place: tuple[int, int],
    size: tuple[int, int],
    tone: Field,
) -> None:
    """Write a line as wide as it gets within a width and a height, its top left corner given."""
    font = int(rng.choice(FONTS))
    weight = int(rng.integers(1, 4))
    (wide, high), below = cv2.getTextSize(text, font, 1.0, weight)
    scale = min(size[0] / wide, size[1] / (high + below))
    thickness = max(1, round(scale * weight))
    start = (place[0], place[1] + int(scale * high))
    cv2.putText(image, text, start, font, scale, tone.tolist(), thickness, cv2.LINE_AA)


def write_line(
    rng: np.random.Generator,
    image: Image,
    place: tuple[int, int],
    size: tuple[int, int],
    tone: Field,
) -> None:
    """Write two words onto a picture, at most as large as `size` (width, height)."""
    _write(rng, image, words(rng, 2).title(), place, size, tone)


def poster(rng: np.random.Generator, width: float, height: float) -> Image:
    """Paint a placard: shapes or a picture, a headline and small print."""
    shape = _shape(width, height)
    ground, ink = colour(rng, (0.1, 0.9), (0.7, 1.0)), colour(rng, (0.2, 0.9), (0.0, 0.35))
    image = as_image(shaded(ground, 0.03 * noise(rng, shape, shape[1] / 3)))
    margin = shape[1] // 14
    top, bottom = int(shape[0] * rng.uniform(0.08, 0.3)), int(shape[0] * rng.uniform(0.55, 0.75))
    inner = shape[1] - 2 * margin
    painted = (abstract if rng.random() < 0.6 else landscape)(
        rng, inner / DENSITY, (bottom - top) / DENSITY
    )
    image[top:bottom, margin : margin + inner] = cv2.resize(painted, (inner, bottom - top))
    _write(
        rng, image, words(rng, 1).upper(), (margin, margin // 2), (inner, top - margin // 2), ink
    )
    line = bottom + margin // 2
    while line < shape[0] - margin:
        size = int(max(6, shape[0] * rng.uniform(0.015, 0.07)))
        text = words(rng, int(rng.integers(2, 7)))
        _write(rng, image, text, (margin, line), (inner, size), ink)
        line += int(size * 1.4)
    return as_image(shaded(image, speckles(rng, shape, 0.015)))


def sign(rng: np.random.Generator, width: float, height: float) -> Image:
    """Paint a shop's sign: its name between two lines, and a mark."""
    shape = _shape(width, height, 260.0)
    ground, ink = colour(rng, (0.3, 0.9), (0.15, 0.55)), colour(rng, (0.0, 0.4), (0.85, 1.0))
    image = as_image(shaded(ground, 0.06 * noise(rng, shape, shape[1] / 8)))
    edge = shape[0] // 12
    cv2.rectangle(image, (edge, edge), (shape[1] - edge, shape[0] - edge), ink.tolist(), edge // 2)
    mark = colour(rng, (0.5, 0.9), (0.6, 1.0)).tolist()
    for step in (0.26, 0.16, 0.07):
        centre = (shape[0] * 5 // 8, shape[0] // 2)
        cv2.circle(image, centre, int(step * shape[0]), mark, -1, cv2.LINE_AA)
        mark = ink.tolist() if step > 0.2 else ground.tolist()
    place, size = (shape[0] * 9 // 8, shape[0] // 4), (shape[1] - shape[0] * 3 // 2, shape[0] // 2)
    _write(rng, image, words(rng, 2).title(), place, size, ink)
    return as_image(shaded(image, speckles(rng, shape, 0.02)))


def books(rng: np.random.Generator, width: float, height: float) -> Image:
    """Paint the spines of a row of books, and the dark behind them."""
    shape = _shape(width, height)
    image = as_image(shaded(np.full(3, 30.0), speckles(rng, shape, 0.1)))
    left = 0
    while left < shape[1]:
        wide = int(rng.uniform(0.015, 0.055) * DENSITY)
        if rng.random() < 0.07:
            left += int(rng.uniform(0.03, 0.2) * DENSITY)
            continue
        right = min(left + wide, shape[1])
        top = int(shape[0] * rng.uniform(0.03, 0.35))
        _spine(rng, image[top:, left:right])
        left = right + 1
    return image


def _spine(rng: np.random.Generator, spine: Image) -> None:
    height, width = spine.shape[:2]
    tone, ink = colour(rng, (0.1, 0.8), (0.15, 0.85)), colour(rng, (0.0, 0.5), (0.0, 1.0))
    across = np.linspace(-1, 1, width, dtype=np.float32)
    spine[:] = (tone * (1.0 - 0.35 * across[:, None] ** 2))[None]
    for place in rng.uniform(0.03, 0.97, int(rng.integers(0, 4))):
        spine[int(place * height) : int(place * height) + int(rng.integers(1, 9))] = ink
    if width > 7:
        title = np.empty((width, height, 3), np.uint8)
        title[:] = tone
        text = words(rng, int(rng.integers(1, 4)))
        start = int(rng.uniform(0.08, 0.3) * height)
        _write(rng, title, text, (start, width // 5), (height - 2 * start, width * 3 // 5), ink)
        turned = title.transpose(1, 0, 2)[:, ::-1]
        is_ink = np.abs(turned - tone).sum(axis=2) > 20.0
        spine[is_ink] = turned[is_ink]


def screen(rng: np.random.Generator, width: float, height: float) -> Image:
    """Paint a screen with windows of text and pictures."""
    shape = _shape(width, height, 700.0)
    image = np.asarray(cv2.resize(abstract(rng, 0.5, 0.3), shape[::-1]), dtype=np.uint8)
    for _ in range(int(rng.integers(2, 5))):
        low = (rng.uniform(0, 0.55, 2) * shape).astype(int)
        high = np.minimum(low + (rng.uniform(0.25, 0.6, 2) * shape).astype(int), shape)
        view = image[low[0] : high[0], low[1] : high[1]]
        view[:] = 245.0 if rng.random() < 0.6 else 35.0
        view[:12] = colour(rng)
        ink = colour(rng, (0.2, 0.9), (0.3, 0.6))
        for line in range(20, view.shape[0] - 12, 13):
            start = 8 + 12 * int(rng.integers(0, 4))
            text = words(rng, int(rng.integers(1, 8)))
            _write(rng, view, text, (start, line), (max(8, view.shape[1] - start - 6), 9), ink)
    return image
