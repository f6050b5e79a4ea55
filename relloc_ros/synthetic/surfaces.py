# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a world is made of: textured parallelograms, seen from one side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relloc_ros.geometry import Array, RigidTransform

__all__ = ['FACES', 'Image', 'Material', 'Surface', 'box', 'moved', 'panel', 'turned_about']

Image = NDArray[np.uint8]

Material = Callable[[np.random.Generator, float, float], Image]
"""Paints a texture (H, W, 3) BGR, given its width and height in metres."""

FACES = ('front', 'back', 'left', 'right', 'top', 'bottom')
"""Of a box: front is towards -y, right towards +x, top towards +z."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A parallelogram with a texture.

    Attributes:
        corner: (3,) map, where the texture's top left corner is.
        right: (3,) from there to its top right corner.
        down: (3,) from there to its bottom left corner. It is seen from where this is clockwise.
        texture: (H, W, 3) BGR uint8, of any size.
        opaque: (h, w) bool, of any size; where it is False one sees through.
        casts_shadow: whether light is stopped.
        glows: shines by itself, and is as bright as its texture.
    """

    corner: Array
    right: Array
    down: Array
    texture: Image
    opaque: NDArray[np.bool_] | None = None
    casts_shadow: bool = True
    glows: bool = False

    @property
    def normal(self) -> Array:
        """(3,) unit vector towards those who see it."""
        normal = np.cross(self.down, self.right)
        return normal / np.linalg.norm(normal)

    def point(self, u: float, v: float) -> Array:
        """(3,) map, of a place in the texture; both from 0 to 1."""
        return self.corner + u * self.right + v * self.down


def panel(
    rng: np.random.Generator,
    material: Material,
    corner: ArrayLike,
    right: ArrayLike,
    down: ArrayLike,
    *,
    glows: bool = False,
    casts_shadow: bool = True,
) -> Surface:
    """Make one surface, painted for its size."""
    edges = np.asarray(right, dtype=np.float64), np.asarray(down, dtype=np.float64)
    width, height = (float(np.linalg.norm(edge)) for edge in edges)
    place = np.array(corner, dtype=np.float64)
    return Surface(
        place, *edges, material(rng, width, height), glows=glows, casts_shadow=casts_shadow
    )


def box(
    rng: np.random.Generator,
    material: Material,
    low: Sequence[float],
    high: Sequence[float],
    *,
    leave_out: Sequence[str] = ('bottom',),
    special: dict[str, Material] | None = None,
) -> list[Surface]:
    """Make the outside of a box.

    Args:
        rng: for the paint.
        material: of all faces that are not special.
        low: (3,) corner.
        high: (3,) opposite corner.
        leave_out: FACES that nobody sees.
        special: materials of single faces.
    """
    (x0, y0, z0), (x1, y1, z1) = low, high
    dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
    edges: dict[str, tuple[ArrayLike, ArrayLike, ArrayLike]] = {
        'front': ((x0, y0, z1), (dx, 0, 0), (0, 0, -dz)),
        'back': ((x1, y1, z1), (-dx, 0, 0), (0, 0, -dz)),
        'left': ((x0, y1, z1), (0, -dy, 0), (0, 0, -dz)),
        'right': ((x1, y0, z1), (0, dy, 0), (0, 0, -dz)),
        'top': ((x0, y1, z1), (dx, 0, 0), (0, -dy, 0)),
        'bottom': ((x0, y0, z0), (dx, 0, 0), (0, dy, 0)),
    }
    chosen = special or {}
    return [
        panel(rng, chosen.get(face, material), *edges[face])
        for face in FACES
        if face not in leave_out
    ]


def moved(surfaces: Sequence[Surface], map_from_object: RigidTransform) -> list[Surface]:
    """Put surfaces elsewhere."""
    turn = map_from_object.rotation
    return [
        Surface(
            turn @ surface.corner + map_from_object.translation,
            turn @ surface.right,
            turn @ surface.down,
            surface.texture,
            surface.opaque,
            surface.casts_shadow,
            surface.glows,
        )
        for surface in surfaces
    ]


def turned_about(angle_deg: float, place: ArrayLike) -> RigidTransform:
    """Turn about the vertical through an object's origin, and put that to a place (3,)."""
    angle = np.deg2rad(angle_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return RigidTransform(rotation, np.array(place, dtype=np.float64))
