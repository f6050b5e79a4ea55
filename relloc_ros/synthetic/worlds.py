# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of worlds: what they consist of, and how one goes through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import Array
from relloc_ros.synthetic.facades import make_facade
from relloc_ros.synthetic.lighting import Light, lit
from relloc_ros.synthetic.paths import (
    EYE,
    WALL_DISTANCE,
    Path,
    along_facade,
    pitch_to_front,
    through_room,
)
from relloc_ros.synthetic.rendering import Renderer
from relloc_ros.synthetic.rooms import make_room
from relloc_ros.synthetic.surfaces import Image, Surface

__all__ = ['WORLDS', 'Front', 'Kind', 'World', 'front_of_facade', 'front_of_room', 'make_world']

LAYOUT, WAYS, HANDS = 0, 1, 3
"""Each has random numbers of its own: one more on a way leaves the layout as it is."""


DOWN_IN_ROOM_DEG = 9.0
STREET_FROM, STREET_TO = 4.0, 15.0
"""Metres before the house, between which nothing stands in the way."""


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """What lines are parallel to, and where a camera can be before it.

    Attributes:
        y: of the front, in the map, which is seen from -y.
        low: (2,) x and y at which the free part of the world begins.
        high: (2,) at which it ends.
        eye: height of the camera on a line, metres.
        pitch_deg: of a camera on a line, upwards.
    """

    y: float
    low: Array
    high: Array
    eye: float
    pitch_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A world to be photographed.

    Attributes:
        surfaces: all that is in it, as bright as it looks.
        renderer: takes pictures of them.
        size: its extent, as the ways want it.
        walk: makes a way from a seed; different seeds give different ways.
        hand: random numbers of a hand that is led along a line, from two seeds.
        front: what a camera on a line looks at.
    """

    surfaces: Sequence[Surface]
    renderer: Renderer
    size: Array
    walk: Callable[[int], Path]
    hand: Callable[[int, int], np.random.Generator]
    front: Front


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of world."""

    make: Callable[[np.random.Generator, Sequence[Image]], tuple[list[Surface], Light, Array]]
    path: Callable[[np.random.Generator, Array], Path]
    front: Callable[[Array], Front]


def front_of_room(size: Array) -> Front:
    """Say where one can be before the wall at +y of a room (3,)."""
    free = size[:2] / 2 - WALL_DISTANCE
    return Front(float(size[1] / 2), -free, free, EYE, -DOWN_IN_ROOM_DEG)


def front_of_facade(size: Array) -> Front:
    """Say where one can be before the house in the middle, of a width and height (2,)."""
    width, height = size
    low, high = np.array([-width / 2, -STREET_TO]), np.array([width / 2, -STREET_FROM])
    return Front(0.0, low, high, EYE, pitch_to_front(height))


WORLDS: dict[str, Kind] = {
    'room': Kind(make_room, through_room, front_of_room),
    'facade': Kind(make_facade, along_facade, front_of_facade),
}


def make_world(kind: str, seed: int, photos: Sequence[Image] = ()) -> World:
    """Make a world.

    Args:
        kind: one of WORLDS.
        seed: decides layout and all textures; worlds of different seeds share nothing.
        photos: BGR images to hang up in it; without, there are painted ones.
    """
    chosen = WORLDS[kind]
    surfaces, light, size = chosen.make(np.random.default_rng([seed, LAYOUT]), photos)
    shining = lit(surfaces, light)

    def walk(number: int) -> Path:
        return chosen.path(np.random.default_rng([seed, WAYS, number]), size)

    def hand(number: int, line: int) -> np.random.Generator:
        return np.random.default_rng([seed, HANDS, number, line])

    return World(shining, Renderer(shining), size, walk, hand, chosen.front(size))
