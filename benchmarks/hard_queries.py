# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that a map must be silent about, and images spoilt until one cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources import PosedImage, read_image, read_source

__all__ = ['INDOORS', 'SETS', 'Case', 'Split', 'hard_cases', 'read_sets']

Image = NDArray[np.uint8]

SETS = ('castle_p30', 'fr1_rpy', 'fr3_office', 'herzjesu_p25', 'redkitchen', 'south_building')
INDOORS = frozenset(('fr1_rpy', 'fr3_office', 'redkitchen'))

OTHER_IMAGES = 45
"""Of each other set."""
MIRRORED_IMAGES = 75
MADE_IMAGES = 10
"""Of each kind of noise and of cover."""
SPOILT_IMAGES = 25
MOTIONS_PX = {'motion': 15, 'strong motion': 45, 'motion beyond use': 90}
"""Blur of a camera that moves, pixels of an image 640 wide."""


@dataclass(frozen=True)
class Case:
    """A query that is made when it is its turn.

    Attributes:
        kind: what is wrong with it.
        name: tells it from all others of the map.
        camera: that took it, or might have.
        stamp_ns: seeds the random steps.
        make: the pixels.
        truth: map_from_cam; None where any pose is wrong.
    """

    kind: str
    name: str
    camera: Camera
    stamp_ns: int
    make: Callable[[], Image]
    truth: RigidTransform | None = None


@dataclass(frozen=True)
class Split:
    """Images of a set that its map is made of, and its queries."""

    mapped: Sequence[PosedImage]
    queries: Sequence[PosedImage]


def read_sets(data: Path) -> dict[str, Split]:
    """Find the sets that are there."""
    splits = {}
    for name in SETS:
        if not (data / name).is_dir():
            continue
        images = {image.name: image for image in read_source(data / name)}
        mapped, queries = (
            [images[line] for line in (data / name / f'{kind}.txt').read_text().split()]
            for kind in ('map', 'query')
        )
        splits[name] = Split(mapped, queries)
    return splits


def hard_cases(name: str, splits: Mapping[str, Split]) -> Iterator[Case]:
    """Make queries for the map of a set that must not be localized, and some that may be."""
    camera, stamp_ns = splits[name].queries[0].camera, splits[name].queries[0].stamp_ns

    def case(kind: str, called: str, make: Callable[[], Image]) -> Case:
        return Case(kind, called, camera, stamp_ns + zlib.crc32(called.encode()), make)

    for other, split in splits.items():
        if other == name:
            continue
        alike = (other in INDOORS) == (name in INDOORS)
        kind = 'same kind of place' if alike else 'another place'
        for image in _spread([*split.mapped, *split.queries], OTHER_IMAGES):
            yield case(kind, f'{other}/{image.name}', lambda image=image: _fit(image, camera))
    own = [*splits[name].mapped, *splits[name].queries]
    for image in _spread(own, MIRRORED_IMAGES):
        yield case('mirrored', f'mirrored {image.name}', lambda image=image: _mirrored(image))
    for kind, made in MADE.items():
        for number in range(MADE_IMAGES):
            called = f'{kind} {number}'
            yield case(
                kind.split(':')[0], called, lambda m=made, c=called: m(camera, _random(name, c))
            )
    for image in _spread(splits[name].queries, SPOILT_IMAGES):
        yield from _spoilt(image)


def _spoilt(image: PosedImage) -> Iterator[Case]:
    truth = image.cam_from_map.inverse()

    def case(kind: str, make: Callable[[], Image]) -> Case:
        return Case(kind, f'{kind} {image.name}', image.camera, image.stamp_ns, make, truth)

    random = _random('spoilt', image.name)
    angle = float(random.uniform(0.0, np.pi))
    for kind, length in MOTIONS_PX.items():
        yield case(kind, lambda length=length: _moved(read_image(image), length, angle))
    yield case('dark', lambda: _darkened(read_image(image), _random('dark', image.name)))


def _fit(image: PosedImage, camera: Camera) -> Image:
    """Cut the middle out of an image of another camera, so that this one might have taken it."""
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    scale = max(camera.width / width, camera.height / height)
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    size = (round(width * scale), round(height * scale))
    larger = cv2.resize(pixels, size, interpolation=method)
    left, top = (size[0] - camera.width) // 2, (size[1] - camera.height) // 2
    cut = larger[top : top + camera.height, left : left + camera.width]
    return np.ascontiguousarray(cut, dtype=np.uint8)


def _mirrored(image: PosedImage) -> Image:
    return np.ascontiguousarray(read_image(image)[:, ::-1])


def _moved(pixels: Image, length: int, angle: float) -> Image:
    count = max(3, round(length * pixels.shape[1] / 640) | 1)
    kernel = np.zeros((count, count), dtype=np.float32)
    middle = count // 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    start, end = (np.round(middle + sign * reach).astype(int) for sign in (-1, 1))
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    blurred = cv2.filter2D(pixels, -1, kernel / kernel.sum())
    return np.asarray(blurred, dtype=np.uint8)


def _darkened(pixels: Image, random: np.random.Generator) -> Image:
    return _image(0.04 * pixels + random.normal(0.0, 2.0, pixels.shape))


def _grains(camera: Camera, random: np.random.Generator) -> Image:
    return _image(random.normal(128.0, 50.0, (camera.height, camera.width)))


def _clouds(camera: Camera, random: np.random.Generator) -> Image:
    """Noise at all scales, with corners as natural images have."""
    shape = (camera.height, camera.width)
    levels = np.zeros(shape, dtype=np.float32)
    for cell in (4, 8, 16, 32, 64, 128):
        coarse = random.normal(0.0, 1.0, (2 + shape[0] // cell, 2 + shape[1] // cell))
        levels += cv2.resize(coarse.astype(np.float32), shape[::-1]) * np.sqrt(cell)
    return _image(128.0 + 45.0 * levels / levels.std())


def _covered(camera: Camera, random: np.random.Generator) -> Image:
    """A finger or a cap on the lens: hardly any light, and sensor noise."""
    shape = (camera.height, camera.width)
    y, x = np.mgrid[: shape[0], : shape[1]] / camera.width
    centre = random.uniform(-0.2, 1.2, 2)
    glow = random.uniform(0, 60) * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.3)
    return _image(glow + random.normal(4.0, 3.0, shape))


def _smeared(camera: Camera, random: np.random.Generator) -> Image:
    """Dirt or drops: blobs out of focus."""
    shape = (camera.height, camera.width)
    pixels = np.full(shape, random.uniform(60, 160), dtype=np.float32)
    for _ in range(60):
        middle = (int(random.integers(shape[1])), int(random.integers(shape[0])))
        radius = int(random.integers(8, shape[1] // 8))
        cv2.circle(pixels, middle, radius, float(random.uniform(0, 255)), -1)
    return _image(cv2.GaussianBlur(pixels, (0, 0), 12.0) + random.normal(0.0, 2.0, shape))


MADE: Mapping[str, Callable[[Camera, np.random.Generator], Image]] = {
    'noise:grains': _grains,
    'noise:clouds': _clouds,
    'covered:dark': _covered,
    'covered:smeared': _smeared,
}


def _image(values: NDArray[np.floating]) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _random(*names: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(' '.join(names).encode()))


def _spread(images: Sequence[PosedImage], count: int) -> list[PosedImage]:
    rows = np.linspace(0, len(images) - 1, min(count, len(images)))
    return [images[int(row)] for row in rows]
