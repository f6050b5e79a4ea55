# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to corrupt what an image shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
from fuzz_world import Answer, Image, Kind, World, make_message
import numpy as np

from relloc_ros.geometry import RigidTransform, exp_so3

__all__ = ['IMAGE_KINDS']

Random = np.random.Generator
Corruption = Callable[[Image, Random], Image]

RIGHT_ANGLES = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)


def flip_bits(pixels: Image, rng: Random) -> Image:
    """Flip bits of up to a tenth of the bytes."""
    flat = pixels.copy().ravel()
    count = int(flat.size * 10.0 ** rng.uniform(-4.0, -1.0))
    places = rng.integers(flat.size, size=count)
    flat[places] ^= (1 << rng.integers(0, 8, count)).astype(np.uint8)
    return flat.reshape(pixels.shape)


def _box(pixels: Image, rng: Random) -> tuple[int, int, int, int]:
    """Choose left, top, width and height of a block."""
    height, width = pixels.shape[:2]
    size = rng.integers(4, max(5, width // 3)), rng.integers(4, max(5, height // 3))
    left, top = rng.integers(0, width - size[0]), rng.integers(0, height - size[1])
    return int(left), int(top), int(size[0]), int(size[1])


def overwrite_blocks(pixels: Image, rng: Random) -> Image:
    """Paint over blocks, with one colour or noise."""
    result = pixels.copy()
    for _ in range(int(rng.integers(1, 25))):
        left, top, width, height = _box(pixels, rng)
        block = result[top : top + height, left : left + width]
        block[:] = rng.integers(0, 256, block.shape if rng.random() < 0.5 else (1,))
    return result


def move_blocks(pixels: Image, rng: Random) -> Image:
    """Repeat blocks at other places."""
    result = pixels.copy()
    for _ in range(int(rng.integers(1, 25))):
        left, top, width, height = _box(pixels, rng)
        x = int(rng.integers(0, pixels.shape[1] - width))
        y = int(rng.integers(0, pixels.shape[0] - height))
        block = pixels[top : top + height, left : left + width]
        result[y : y + height, x : x + width] = block
    return result


def _move_rows(pixels: Image, shifts: Sequence[float] | np.ndarray) -> Image:
    """Move each row to the right by so many pixels."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    columns -= np.asarray(shifts, dtype=np.float32)[:, None]
    moved = cv2.remap(pixels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)


def shear_rows(pixels: Image, rng: Random) -> Image:
    """Shear as the rolling shutter of a camera that turns, by up to 64 pixels."""
    amount = 2.0 ** rng.uniform(0.0, 6.0) * rng.choice((-1.0, 1.0))
    return _move_rows(pixels, np.linspace(-0.5, 0.5, len(pixels)) * amount)


def wobble_rows(pixels: Image, rng: Random) -> Image:
    """Wobble as the rolling shutter of a camera that shakes."""
    phase = rng.uniform(0.0, 2 * np.pi) + np.linspace(0.0, rng.uniform(2.0, 40.0), len(pixels))
    return _move_rows(pixels, 2.0 ** rng.uniform(0.0, 5.0) * np.sin(phase))


def tear(pixels: Image, rng: Random) -> Image:
    """Lose bytes on the way: what follows moves."""
    row, shift = int(rng.integers(len(pixels))), int(rng.integers(1, pixels.shape[1]))
    result = pixels.copy()
    result[row:] = np.roll(pixels[row:], shift, axis=1)
    if rng.random() < 0.5:
        result[row:] = np.roll(result[row:], int(rng.integers(len(pixels))), axis=0)
    return result


def mirror(pixels: Image, rng: Random) -> Image:
    """Mirror left and right, or top and bottom."""
    return np.asarray(cv2.flip(pixels, int(rng.integers(0, 2))), dtype=np.uint8)


def _warp(pixels: Image, matrix: np.ndarray) -> Image:
    height, width = pixels.shape[:2]
    warped = cv2.warpAffine(pixels, matrix[:2], (width, height), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)


def zoom(pixels: Image, rng: Random) -> Image:
    """Cut a part out and enlarge it to the full size, or shrink the image into the full size."""
    height, width = pixels.shape[:2]
    factor = 1.0 + 10.0 ** rng.uniform(-2.0, -0.3)
    if rng.random() < 0.3:
        factor = 1.0 / factor
    x, y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
    return _warp(pixels, np.array([[factor, 0.0, x - factor * x], [0.0, factor, y - factor * y]]))


def stretch(pixels: Image, rng: Random) -> Image:
    """Stretch one axis only."""
    height, width = pixels.shape[:2]
    factor = 1.0 + 10.0 ** rng.uniform(-2.0, -0.3) * rng.choice((-1.0, 1.0))
    if rng.random() < 0.5:
        return _warp(pixels, np.array([[factor, 0, 0.5 * width * (1 - factor)], [0, 1.0, 0]]))
    return _warp(pixels, np.array([[1.0, 0, 0], [0, factor, 0.5 * height * (1 - factor)]]))


def shift(pixels: Image, rng: Random) -> Image:
    """Move the image, as a crop that the calibration does not know of."""
    x, y = 2.0 ** rng.uniform(0.0, 7.0, 2) * rng.choice((-1.0, 1.0), 2)
    return _warp(pixels, np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))


def mix_channels(pixels: Image, rng: Random) -> Image:
    """Exchange, drop or invert channels."""
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    result = np.ascontiguousarray(colours[..., rng.permutation(3)])
    for channel in range(3):
        choice = rng.integers(5)
        if choice == 0:
            result[..., channel] = 0
        elif choice == 1:
            result[..., channel] = 255 - result[..., channel]
    return result


def expose_wrongly(pixels: Image, rng: Random) -> Image:
    """Too dark, too bright, saturated, or of another gamma."""
    gain, bias = 2.0 ** rng.uniform(-5.0, 5.0), rng.uniform(-128.0, 128.0)
    if rng.random() < 0.4:
        scaled = 255.0 * (pixels / 255.0) ** (2.0 ** rng.uniform(-3.0, 3.0))
    else:
        scaled = gain * pixels.astype(np.float64) + bias
    return np.clip(scaled, 0, 255).astype(np.uint8)


def add_noise(pixels: Image, rng: Random) -> Image:
    """Add Gaussian noise, or salt and pepper."""
    if rng.random() < 0.5:
        noisy = pixels + rng.normal(0.0, 2.0 ** rng.uniform(1.0, 7.0), pixels.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)
    result = pixels.copy()
    chosen = rng.random(pixels.shape[:2]) < rng.uniform(0.0, 0.4)
    result[chosen] = 255 * rng.integers(0, 2, (int(chosen.sum()), *pixels.shape[2:]))
    return result


def blur(pixels: Image, rng: Random) -> Image:
    """Blur by defocus or by motion."""
    size = int(2 * rng.integers(1, 20) + 1)
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (size, size), 0), dtype=np.uint8)
    kernel = np.zeros((size, size), dtype=np.float32)
    angle = rng.uniform(0.0, np.pi)
    reach = 0.5 * size * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(map(int, size // 2 + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], (1.0,))
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()), dtype=np.uint8)


def compress(pixels: Image, rng: Random) -> Image:
    """Compress until little is left, or make it small and large again."""
    if rng.random() < 0.5:
        quality = int(rng.integers(1, 20))
        _, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    height, width = pixels.shape[:2]
    factor = rng.uniform(0.05, 0.8)
    small = cv2.resize(pixels, (max(1, int(width * factor)), max(1, int(height * factor))))
    return np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)


def _corrupted(world: World, rng: Random, corrupt: Corruption) -> list[Answer]:
    query = world.some_query(rng)
    pixels = corrupt(query.pixels, rng)
    return world.ask(query, make_message(pixels, query.stamp_ns))


def _foreign(world: World, rng: Random) -> list[Answer]:
    """Put a part of another image of the same place beside the rest, or mix the two."""
    query = world.some_query(rng)
    other, pixels = world.another_image(rng, query), query.pixels.copy()
    height, width = pixels.shape[:2]
    share = rng.uniform(0.2, 0.5)
    side = int(rng.integers(5))
    if side == 4:
        pixels = np.asarray(cv2.addWeighted(pixels, 1.0 - share, other, share, 0.0), np.uint8)
    else:
        x, y = int(share * width), int(share * height)
        sides = np.s_[:, :x], np.s_[:, width - x :], np.s_[:y, :], np.s_[height - y :, :]
        here = sides[side]
        pixels[here] = other[here]
    return world.ask(query, make_message(pixels, query.stamp_ns))


def _turned(world: World, rng: Random) -> list[Answer]:
    """Turn the image about the principal point: a true view of a camera that is turned."""
    query = world.some_query(rng)
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.6 else 0.5 * np.pi * rng.integers(1, 4)
    centre = query.camera.to_pycolmap(1).calibration_matrix()[:2, 2] - 0.5
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.column_stack([turn, centre - turn @ centre])
    turned = RigidTransform(exp_so3(np.array([0.0, 0.0, -angle])), np.zeros(3))
    return world.ask(
        query,
        make_message(_warp(query.pixels, matrix), query.stamp_ns),
        shown=query.truth @ turned,
    )


def _turned_by_right_angle(pixels: Image, rng: Random) -> Image:
    """Turn by a right angle, and bring back to the size."""
    turned = cv2.rotate(pixels, RIGHT_ANGLES[int(rng.integers(2))])
    return np.asarray(cv2.resize(turned, pixels.shape[1::-1]), dtype=np.uint8)


_CORRUPTIONS: dict[str, Corruption] = {
    'bits': flip_bits,
    'overwritten': overwrite_blocks,
    'repeated': move_blocks,
    'sheared': shear_rows,
    'wobbling': wobble_rows,
    'torn': tear,
    'mirrored': mirror,
    'right angles': _turned_by_right_angle,
    'zoomed': zoom,
    'stretched': stretch,
    'shifted': shift,
    'channels': mix_channels,
    'exposure': expose_wrongly,
    'noise': add_noise,
    'blur': blur,
    'compressed': compress,
}

IMAGE_KINDS: dict[str, Kind] = {
    **{
        f'image/{name}': Kind(partial(_corrupted, corrupt=corrupt))
        for name, corrupt in _CORRUPTIONS.items()
    },
    'image/foreign': Kind(_foreign),
    'image/turned': Kind(_turned),
}
