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
from relloc_ros.synthetic.paths import Path, along_facade, through_room
from relloc_ros.synthetic.rendering import Renderer
from relloc_ros.synthetic.rooms import make_room
from relloc_ros.synthetic.surfaces import Image, Surface

__all__ = ['WORLDS', 'World', 'make_world']

LAYOUT, WAYS = 0, 1
"""Each has random numbers of its own: one more on a way leaves the layout as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """A world to be photographed.

    Attributes:
        surfaces: all that is in it, as bright as it looks.
        renderer: takes pictures of them.
        size: its extent, as the ways want it.
        walk: makes a way from a seed; different seeds give different ways.
    """

    surfaces: Sequence[Surface]
    renderer: Renderer
    size: Array
    walk: Callable[[int], Path]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of world."""

    make: Callable[[np.random.Generator, Sequence[Image]], tuple[list[Surface], Light, Array]]
    path: Callable[[np.random.Generator, Array], Path]


WORLDS: dict[str, Kind] = {
    'room': Kind(make_room, through_room),
    'facade': Kind(make_facade, along_facade),
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

    return World(shining, Renderer(shining), size, walk)
