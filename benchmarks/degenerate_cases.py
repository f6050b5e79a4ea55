# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps and queries that leave something of a pose open: rendered, and made from real sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from painted_rooms import (
    Room,
    alike_when_turned,
    ask,
    look_along,
    make_room,
    photograph,
    tiled_walls,
)

from relloc_ros.errors import MapError
from relloc_ros.geometry import Array, RigidTransform, exp_so3
from relloc_ros.map.builder import build_map
from relloc_ros.map.selection import split_map
from relloc_ros.map.sources import PosedImage, read_image, read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.structures import QueryImage

__all__ = ['Case', 'Query', 'real_cases', 'synthetic_cases']

Image = NDArray[np.uint8]
Query = tuple[QueryImage, RigidTransform]
Make = Callable[[Path], None]
Ask = Callable[[], list[Query]]

HALF_SIZE = np.array([4.0, 3.0, 5.0])
PLACE = (0.1, 0.1, -1.4)
X = np.array([1.0, 0.0, 0.0])
MANY = 10
HALF_TURN = RigidTransform(exp_so3(np.array([0.0, np.pi, 0.0])), np.zeros(3))


@dataclass(frozen=True, eq=False)
class Case:
    """A map and queries.

    Attributes:
        group: what is special, in a word.
        name: for people.
        wanted: 'pose' where the images settle it, 'silence' where they do not, 'either' where a
            pose is welcome but not owed.
        make: makes the map in a folder that does not exist yet.
        ask: gives images with their true poses.
        direction: (3,) of the map in which the position is least certain by construction; None
            takes the longest axis of the covariances.
        by_directions: wanted of methods that know directions alone, no points; None if the same.
    """

    group: str
    name: str
    wanted: str
    make: Make
    ask: Ask
    direction: Array | None = None
    by_directions: str | None = None


def synthetic_cases(count: int) -> Iterator[Case]:
    """Give the rendered cases, with `count` queries each."""
    room = make_room(HALF_SIZE)
    rng = np.random.default_rng(5)
    arc = list(_arc())
    near = [_near(PLACE, rng) for _ in range(count)]
    yield Case('ordinary', 'ordinary', 'pose', *_rendered(room, arc, near))
    turned = [_near(arc[4].translation, rng, spread=0.0) for _ in range(count)]
    yield Case('rotation', 'turned at a map image', 'pose', *_rendered(room, arc, turned))
    spot = [look_along(PLACE, yaw, pitch) for yaw in (0, 12, 24, 36) for pitch in (-6, 6)]
    turned = [_near(PLACE, rng, spread=0.0) for _ in range(count)]
    yield Case(
        'rotation', 'map and query turn on one spot', 'either', *_rendered(room, spot, turned)
    )
    yield Case('rotation', 'map turns, query elsewhere', 'either', *_rendered(room, spot, near))
    line = [look_along((x, 0, -1.5), 22 + 4 * np.sin(5 * x)) for x in np.linspace(-1.5, 1.5, 8)]
    on_line = [look_along((x, 0, -1.5), 24, -3, 3) for x in rng.uniform(-1.2, 1.2, count)]
    yield Case('line', 'line, query on it', 'pose', *_rendered(room, line, on_line), X, 'either')
    yield Case('line', 'line, query beside it', 'pose', *_rendered(room, line, near), X)
    yield from _planar(rng, arc, count)
    yield Case('few images', 'one map image', 'silence', *_rendered(room, arc[4:5], near))
    yield Case('few images', 'two map images', 'either', *_rendered(room, arc[3:5], near))
    away = [look_along((0.4 * i - 1.0, 0, 1.5), 170 + 5 * i) for i in range(6)]
    yield Case(
        'few images',
        'one of seven sees the place',
        'either',
        *_rendered(room, arc[4:5] + away, near),
    )
    for baseline in (0.05, 0.01):
        close = [_near((0, 0, -1.5), rng, spread=baseline) for _ in range(8)]
        name = f'map within {baseline}, walls 6 away'
        yield Case('low parallax', name, 'either', *_rendered(room, close, near))
    yield from _repeated(rng, arc, count)


def _planar(rng: np.random.Generator, arc: Sequence[RigidTransform], count: int) -> Iterator[Case]:
    wall = make_room((9.0, 7.0, 5.0))
    poses = [RigidTransform(exp_so3(0.1 * rng.normal(size=3)), pose.translation) for pose in arc]
    near = [_near(PLACE, rng, yaw=0.0) for _ in range(count)]
    yield Case('plane', 'one plane', 'pose', *_rendered(wall, poses, near), None, 'either')
    line = [look_along((x, 0, -1.5), 3 * np.sin(5 * x)) for x in np.linspace(-1.5, 1.5, 8)]
    on_line = [look_along((x, 0, -1.5), 2, -3, 3) for x in rng.uniform(-1.2, 1.2, count)]
    yield Case(
        'plane',
        'one plane, line, query on it',
        'pose',
        *_rendered(wall, line, on_line),
        X,
        'either',
    )


def _repeated(
    rng: np.random.Generator, arc: Sequence[RigidTransform], count: int
) -> Iterator[Case]:
    near = [_near(PLACE, rng) for _ in range(count)]
    for period in (0.6, 1.5):
        tiled = make_room(HALF_SIZE, tiled_walls(HALF_SIZE, period))
        yield Case(
            'repetition', f'walls of tiles of {period}', 'either', *_rendered(tiled, arc, near)
        )
    alike = make_room(HALF_SIZE, alike_when_turned(HALF_SIZE))
    both = [*arc, *(HALF_TURN @ pose for pose in arc)]
    yield Case('repetition', 'symmetric room', 'silence', *_rendered(alike, both, near))
    uneven = [*arc, *(HALF_TURN @ pose for pose in arc[::2])]
    yield Case(
        'repetition', 'symmetric room, one half denser', 'silence', *_rendered(alike, uneven, near)
    )
    make, ask_plain = _rendered(make_room(HALF_SIZE), arc, near)
    yield Case(
        'repetition', 'mirrored queries', 'silence', make, lambda: _changed(ask_plain(), _mirrored)
    )


def real_cases(data: Path, maps: Path, count: int) -> Iterator[Case]:
    """Give the cases made from real sets, with at most `count` queries each."""
    mapped, queries = _read(data / 'fr1_rpy', count)
    yield Case('rotation', 'fr1_rpy', 'pose', *_part(maps / 'fr1_rpy', mapped, queries))
    still = _around_one_place(mapped)
    yield Case(
        'low parallax',
        'fr1_rpy, map within 2 cm',
        'either',
        *_part(maps / 'fr1_rpy', still, queries),
    )
    whole = maps / 'redkitchen'
    mapped, queries = _read(data / 'redkitchen', count)
    line = mapped[:40]
    between = _spread(line[1::2], count)
    yield Case(
        'line',
        'redkitchen, line',
        'pose',
        *_part(whole, line[::2], between),
        _direction(line),
        'either',
    )
    make, ask_plain = _part(whole, mapped, queries)
    yield Case(
        'repetition',
        'redkitchen, mirrored',
        'silence',
        make,
        lambda: _changed(ask_plain(), _mirrored),
    )
    # Few of them pass where one does: eight would be too few to see it.
    _, many = _read(data / 'redkitchen', MANY * count)
    yield Case(
        'repetition',
        'redkitchen, 2 x 2 tiled',
        'silence',
        make,
        lambda: _changed(_asked(many), _tiled),
    )
    mapped, queries = _read(data / 'castle_p30', count)
    two = _part(maps / 'castle_p30', mapped[:2], queries)
    yield Case('few images', 'castle_p30, two images', 'either', *two)
    mapped, queries = _read(data / 'fr3_office', count)
    yield Case(
        'repetition', 'fr3_office, twice', 'silence', _twice(mapped), partial(_asked, queries)
    )


def _rendered(
    room: Room, mapped: Sequence[RigidTransform], asked: Sequence[RigidTransform]
) -> tuple[Make, Ask]:
    def make(path: Path) -> None:
        build_map(photograph(room, mapped, path.with_suffix('.images')), path)
        _triangulate(path)

    return make, partial(ask, room, asked)


def _triangulate(path: Path) -> None:
    # Without points there is no localizer `structure`.
    with suppress(MapError):
        triangulate_map(path)


def _part(
    whole: Path, mapped: Sequence[PosedImage], asked: Sequence[PosedImage]
) -> tuple[Make, Ask]:
    def make(path: Path) -> None:
        split_map(whole, [image.name for image in mapped], path)

    return make, partial(_asked, asked)


def _twice(mapped: Sequence[PosedImage]) -> Make:
    """Move every second image away, as if the place was there twice."""
    aside = RigidTransform(np.eye(3), np.array([10.0, 0.0, 0.0]))
    posed = [
        replace(image, cam_from_map=image.cam_from_map @ aside) if row % 2 else image
        for row, image in enumerate(mapped)
    ]

    def make(path: Path) -> None:
        build_map(posed, path)
        _triangulate(path)

    return make


def _read(folder: Path, count: int) -> tuple[list[PosedImage], list[PosedImage]]:
    images = {image.name: image for image in read_source(folder)}
    mapped, queries = (
        [images[line] for line in (folder / f'{kind}.txt').read_text('utf-8').split()]
        for kind in ('map', 'query')
    )
    return mapped, _spread(queries, count)


def _spread(images: Sequence[PosedImage], count: int) -> list[PosedImage]:
    rows = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)
    return [images[row] for row in rows]


def _asked(images: Sequence[PosedImage]) -> list[Query]:
    return [
        (
            QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name),
            image.cam_from_map.inverse(),
        )
        for image in images
    ]


def _around_one_place(mapped: Sequence[PosedImage]) -> list[PosedImage]:
    """Images within 2 cm of the one with most such neighbours."""
    centres = np.array([image.cam_from_map.inverse().translation for image in mapped])
    near = np.linalg.norm(centres[:, None] - centres, axis=2) <= 0.02
    row = near[near.sum(axis=1).argmax()]
    return [image for image, chosen in zip(mapped, row, strict=True) if chosen]


def _direction(images: Sequence[PosedImage]) -> Array:
    centres = np.array([image.cam_from_map.inverse().translation for image in images])
    direction: Array = np.linalg.svd(centres - centres.mean(axis=0))[2][0]
    return direction


def _changed(queries: Sequence[Query], change: Callable[[Image], Image]) -> list[Query]:
    return [(replace(query, image=change(query.image)), truth) for query, truth in queries]


def _mirrored(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def _tiled(image: Image) -> Image:
    """Show an image four times, each at half the size: no camera sees that."""
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.tile(half, (2, 2, 1)[: half.ndim]).astype(np.uint8)


def _arc() -> Iterator[RigidTransform]:
    for a in np.linspace(-1.5, 1.5, 9):
        centre = (1.2 * np.sin(a), 0.3 * np.cos(3 * a), 0.6 * np.cos(a) - 1.5)
        yield look_along(centre, 25 - 12 * np.sin(a), 4 * np.cos(5 * a))


def _near(
    centre: Sequence[float], rng: np.random.Generator, spread: float = 0.25, yaw: float = 24.0
) -> RigidTransform:
    """Somewhere about a place."""
    place = np.array(centre) + spread * rng.uniform(-1.0, 1.0, size=3)
    return look_along(place, yaw + 5 * rng.normal(), 3 * rng.normal(), 5 * rng.normal())
