# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Light of lamps, windows, sun and sky on matt surfaces, painted into their textures once.

Lambert's law, shadows, and for the light that comes from everywhere the share of the directions
that are free. Nothing glitters, so that the light on a surface is the same from all sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.synthetic.patterns import as_image
from relloc_ros.synthetic.surfaces import Surface

__all__ = ['Lamp', 'Light', 'lit']

Floats = NDArray[np.float32]

MOST_PLACES = 64
CLEARANCE = 0.012
GAMMA = 2.2
NUM_DIRECTIONS = 40

SMALLEST_CASTER = 0.015
"""Square metres; the shadows of smaller things fall between the places."""
BLUR = 0.8

LONGEST_SHADOW = 8.0
"""Metres from what throws it."""

BOUNCED = 0.45
"""Share of the light from everywhere that gets round all corners."""
GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))


@dataclass(frozen=True, slots=True, eq=False)
class Lamp:
    """A body that shines.

    Attributes:
        points: (K, 3) on it.
        strength: light on a surface a metre away that faces it.
        is_far: its light does not get weaker on the way.
    """

    points: Array
    strength: float
    is_far: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """All light of a world.

    Attributes:
        lamps: what shines.
        ambient: light from everywhere.
        reach: metres; what is further away does not hide that light.
        spacing: metres between the places where light is computed; large surfaces have fewer.
    """

    lamps: Sequence[Lamp]
    ambient: float
    reach: float
    spacing: float = 0.16


def lit(surfaces: Sequence[Surface], light: Light) -> list[Surface]:
    """Paint the light onto all surfaces that do not glow."""
    grids = [_grid(surface, light.spacing) for surface in surfaces]
    sizes = [len(u) * len(v) for u, v in grids]
    points = np.concatenate(
        [
            (
                surface.corner
                + u[None, :, None] * surface.right
                + v[:, None, None] * surface.down
                + CLEARANCE * surface.normal
            ).reshape(-1, 3)
            for surface, (u, v) in zip(surfaces, grids, strict=True)
        ]
    )
    normals = np.repeat(np.array([surface.normal for surface in surfaces]), sizes, axis=0)
    casters = [surface for surface in surfaces if surface.casts_shadow and _is_large(surface)]
    brightness = _brightness(points, normals, casters, light)
    result = []
    for surface, (u, v), values in zip(
        surfaces, grids, np.split(brightness, np.cumsum(sizes)[:-1]), strict=True
    ):
        if surface.glows:
            result.append(surface)
            continue
        height, width = surface.texture.shape[:2]
        field = cv2.GaussianBlur(values.reshape(len(v), len(u)).astype(np.float32), (0, 0), BLUR)
        factor = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
        shown = surface.texture * factor[..., np.newaxis] ** np.float32(1.0 / GAMMA)
        result.append(replace(surface, texture=as_image(shown)))
    return result


def _is_large(surface: Surface) -> bool:
    area = np.linalg.norm(np.cross(surface.right, surface.down))
    return bool(area > SMALLEST_CASTER)


def _grid(surface: Surface, spacing: float) -> tuple[Array, Array]:
    """Places along the texture's width and height, from 0 to 1."""
    counts = (
        int(np.clip(np.ceil(np.linalg.norm(edge) / spacing), 2, MOST_PLACES))
        for edge in (surface.right, surface.down)
    )
    u, v = ((np.arange(count) + 0.5) / count for count in counts)
    return u, v


def _brightness(points: Array, normals: Array, casters: Sequence[Surface], light: Light) -> Floats:
    """Light (N,) on points, given the normals of their surfaces."""
    total = np.zeros(len(points), np.float32)
    for lamp in light.lamps:
        offsets = lamp.points[None] - points[:, None]
        distances = np.linalg.norm(offsets, axis=2)
        cosines = np.einsum('nki,ni->nk', offsets, normals) / distances
        seen = _free(points, lamp.points, casters)
        falloff = 1.0 if lamp.is_far else 1.0 / np.maximum(distances, 0.3) ** 2
        total += (lamp.strength * np.maximum(cosines, 0.0) * seen * falloff).mean(axis=1)
    directions = _directions(NUM_DIRECTIONS)
    weights = np.maximum(normals @ directions.T, 0.0)
    free = _free(points, light.reach * directions, casters, reach=light.reach)
    share = (weights * free).sum(axis=1) / weights.sum(axis=1)
    total += light.ambient * (BOUNCED + (1.0 - BOUNCED) * share)
    return total


def _directions(count: int) -> Array:
    """Directions (K, 3) all round, evenly: a Fibonacci spiral."""
    heights = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    angles = GOLDEN_ANGLE * np.arange(count)
    radii = np.sqrt(1.0 - heights**2)
    return np.column_stack([radii * np.cos(angles), radii * np.sin(angles), heights])


def _free(
    points: Array, targets: Array, casters: Sequence[Surface], *, reach: float | None = None
) -> NDArray[np.bool_]:
    """Tell (N, K) whether nothing lies between points (N, 3) and targets (K, 3).

    With `reach` targets are as seen from each point, and no further than that. What stops light
    is closed: its sides towards the points suffice.
    """
    free = np.ones((len(points), len(targets)), bool)
    points32 = points.astype(np.float32)
    for surface in casters:
        basis = np.column_stack([surface.right, surface.down, surface.normal])
        inverse = np.linalg.inv(basis)
        origin = np.zeros(3) if reach is not None else surface.corner
        ends = ((targets - origin) @ inverse.T).astype(np.float32)
        behind = np.flatnonzero(ends[:, 2] < 0)
        if len(behind) == 0:
            continue
        ends = ends[behind]
        chosen = _before(points32, surface, reach)
        starts = ((points[chosen] - surface.corner) @ inverse.T).astype(np.float32)
        ahead = starts[:, 2, None] + ends[:, 2] if reach is not None else ends[None, :, 2]
        rows, columns = np.nonzero(np.broadcast_to(ahead < 0, (len(chosen), len(ends))))
        first = starts[rows]
        moves = ends[columns] if reach is not None else ends[columns] - first
        stopped = _meets(surface, first, moves)
        free[chosen[rows[stopped]], behind[columns[stopped]]] = False
    return free


def _before(points: Floats, surface: Surface, reach: float | None) -> NDArray[np.intp]:
    """Choose the points (N, 3) in front of a surface, and not out of reach."""
    most = LONGEST_SHADOW if reach is None else reach
    offsets = points - surface.point(0.5, 0.5).astype(np.float32)
    heights = offsets @ surface.normal.astype(np.float32)
    chosen = np.flatnonzero((heights > 0) & (heights < most))
    radius = 0.5 * float(np.linalg.norm(surface.right) + np.linalg.norm(surface.down)) + most
    near = offsets[chosen]
    return chosen[np.einsum('ni,ni->n', near, near) < radius**2]


def _meets(surface: Surface, starts: Floats, moves: Floats) -> NDArray[np.bool_]:
    """Tell (M,) whether steps through a surface's plane, in its own axes, meet the surface."""
    share = starts[:, 2] / -moves[:, 2]
    u, v = starts[:, 0] + share * moves[:, 0], starts[:, 1] + share * moves[:, 1]
    met = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    if surface.opaque is not None:
        high, wide = surface.opaque.shape
        i = np.clip((v * high).astype(np.intp), 0, high - 1)
        j = np.clip((u * wide).astype(np.intp), 0, wide - 1)
        met &= surface.opaque[i, j]
    return np.asarray(met)
