# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of textured surfaces: rays of any camera model, a z-buffer, filtered textures.

A surface is C + u R + v D. With A = [R D C] in the camera's frame, a ray (x, y, 1) meets it where
(u, v, 1) / z = inverse(A) (x, y, 1): numerators and inverse depth are linear in the ray, so that
one division a pixel makes all exact, whatever the distortion has made of the pixels' grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.synthetic.surfaces import Image, Surface

__all__ = ['SAMPLES', 'Renderer', 'check_rays']

Floats = NDArray[np.float32]

SAMPLES = 2
"""Rays along each side of a pixel; the pixel is their mean."""

NEAR = 0.02
SHORT_AXIS_SHARE = 0.3
"""Of the level of a texture: a footprint that is long is filtered for something in between."""

NUM_COLUMNS = 512
"""OpenCV looks places up in pictures, not in lists: they are folded into one so wide."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """Rays through (H * SAMPLES, W * SAMPLES) places of an image, in the camera's frame.

    Attributes:
        x: (H', W') on the plane z = 1.
        y: likewise.
        columns: (2, W') least and largest x of each column.
        rows: (2, H') least and largest y of each row.
        step: from one ray to the next.
        dither: (H', W') within half a level: neighbouring rays look into different levels.
    """

    x: Floats
    y: Floats
    columns: Floats
    rows: Floats
    step: float
    dither: Floats


def check_rays(camera: Camera) -> None:
    """Look whether the pixels along the edges have rays; then all have.

    Raises:
        DataError: they have not.
    """
    inset = 0.5 / SAMPLES
    x, y = np.arange(inset, camera.width, 0.5), np.arange(inset, camera.height, 0.5)
    edges = [
        *(np.column_stack([x, np.full_like(x, row)]) for row in (inset, camera.height - inset)),
        *(np.column_stack([np.full_like(y, at), y]) for at in (inset, camera.width - inset)),
    ]
    if not np.isfinite(camera.normalize(np.concatenate(edges))).all():
        raise DataError(
            f'{camera.model} {camera.params} leaves pixels of {camera.width}x{camera.height} '
            'without a ray: take less distortion or a longer focal length'
        )


class Renderer:
    """Takes pictures of a world; can be used in several threads at once."""

    def __init__(self, surfaces: Sequence[Surface]) -> None:
        """Prepare surfaces whose textures are as bright as they shall look."""
        self._surfaces = list(surfaces)
        self._corners = np.array([surface.corner for surface in surfaces])
        self._edges = np.array(
            [np.column_stack([surface.right, surface.down]) for surface in surfaces]
        )
        self._normals = np.array([surface.normal for surface in surfaces])
        self._pyramids = [_pyramid(surface.texture) for surface in surfaces]

    def render(self, camera: Camera, map_from_cam: RigidTransform) -> Image:
        """Take a picture (H, W, 3) BGR; black where there is nothing.

        Raises:
            DataError: the camera's distortion leaves pixels without a ray.
        """
        samples = self._samples(_rays_of(camera), map_from_cam)
        size = (camera.width, camera.height)
        return np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def depth(self, camera: Camera, map_from_cam: RigidTransform) -> Floats:
        """Depth (H, W) along the optical axis, of the first ray of each pixel; infinite if none.

        Raises:
            DataError: as `render`.
        """
        _, _, inverse_depth = self._cast(_rays_of(camera), map_from_cam)
        with np.errstate(divide='ignore'):
            return np.asarray(1.0 / inverse_depth[::SAMPLES, ::SAMPLES], dtype=np.float32)

    def _samples(self, rays: _Rays, map_from_cam: RigidTransform) -> Image:
        seen, inverses, _ = self._cast(rays, map_from_cam)
        order = np.argsort(seen, axis=None, kind='stable')
        counts = np.bincount(seen.ravel(), minlength=len(self._surfaces) + 1)
        ends = np.cumsum(counts)
        image = np.zeros((seen.size, 3), np.uint8)
        x, y, dither = rays.x.ravel(), rays.y.ravel(), rays.dither.ravel()
        for number in np.flatnonzero(counts[1:]).tolist():
            places = order[ends[number] : ends[number + 1]]
            image[places] = _look_up(
                self._pyramids[number],
                inverses[number],
                (x[places], y[places], dither[places]),
                rays.step,
            )
        return image.reshape(*seen.shape, 3)

    def _cast(
        self, rays: _Rays, map_from_cam: RigidTransform
    ) -> tuple[NDArray[np.uint16], dict[int, Floats], Floats]:
        """Find the nearest surface of each ray: its number from 1 on, and the inverse depth."""
        shape = rays.x.shape
        seen = np.zeros(shape, np.uint16)
        nearest = np.zeros(shape, np.float32)
        inverses = {}
        offsets = self._corners - map_from_cam.translation
        # From edge-on, a surface covers nothing and has no inverse.
        is_facing = np.einsum('ni,ni->n', offsets, self._normals) < -1e-6
        for number in np.flatnonzero(is_facing).tolist():
            basis = np.column_stack([self._edges[number], offsets[number]])
            in_camera = map_from_cam.rotation.T @ basis
            window = _window(in_camera, rays)
            if window is None:
                continue
            inverse = np.linalg.inv(in_camera).astype(np.float32)
            inverses[number] = inverse
            self._draw(number, inverse, rays, window, seen, nearest)
        return seen, inverses, nearest

    def _draw(
        self,
        number: int,
        inverse: Floats,
        rays: _Rays,
        window: tuple[slice, slice],
        seen: NDArray[np.uint16],
        nearest: Floats,
    ) -> None:
        x, y = rays.x[window], rays.y[window]
        u, v, inverse_depth = (row[0] * x + row[1] * y + row[2] for row in inverse)
        hit = (inverse_depth > nearest[window]) & (u >= 0) & (v >= 0)
        hit &= (u <= inverse_depth) & (v <= inverse_depth)
        opaque = self._surfaces[number].opaque
        if opaque is not None:
            rows, columns = np.nonzero(hit)
            scale = 1.0 / inverse_depth[rows, columns]
            height, width = opaque.shape
            j = np.minimum((u[rows, columns] * scale * width).astype(np.intp), width - 1)
            i = np.minimum((v[rows, columns] * scale * height).astype(np.intp), height - 1)
            hit[rows, columns] = opaque[i, j]
        np.copyto(nearest[window], inverse_depth, where=hit)
        np.copyto(seen[window], number + 1, where=hit)


def _pyramid(texture: Image) -> list[Image]:
    levels = [np.ascontiguousarray(texture)]
    while max(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA)))
    return levels


@lru_cache(maxsize=4)
def _rays_of(camera: Camera) -> _Rays:
    width, height = camera.width * SAMPLES, camera.height * SAMPLES
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.column_stack([columns.ravel(), rows.ravel()]) / SAMPLES
    check_rays(camera)
    rays = camera.normalize(pixels)
    x, y = (np.ascontiguousarray(axis.reshape(height, width), np.float32) for axis in rays.T)
    levels = np.array([[-0.375, 0.125], [0.375, -0.125]], np.float32)
    dither = np.tile(levels, (camera.height, camera.width))
    return _Rays(
        x,
        y,
        np.stack([x.min(axis=0), x.max(axis=0)]),
        np.stack([y.min(axis=1), y.max(axis=1)]),
        1.0 / (SAMPLES * camera.mean_focal_length),
        dither,
    )


def _window(in_camera: Array, rays: _Rays) -> tuple[slice, slice] | None:
    """Rows and columns whose rays may meet a surface C + u R + v D, the columns of a matrix."""
    right, down, corner = in_camera.T
    outline = np.array([corner, corner + right, corner + right + down, corner + down])
    shown = _in_front(outline)
    if len(shown) == 0:
        return None
    low, high = (
        (shown[:, :2] / shown[:, 2:]).min(axis=0),
        (shown[:, :2] / shown[:, 2:]).max(axis=0),
    )
    ranges = []
    for axis, (least, most) in ((1, rays.rows), (0, rays.columns)):
        touched = np.flatnonzero((most >= low[axis]) & (least <= high[axis]))
        if len(touched) == 0:
            return None
        ranges.append(slice(int(touched[0]), int(touched[-1]) + 1))
    return ranges[0], ranges[1]


def _in_front(outline: Array) -> Array:
    """Cut off what of a polygon (N, 3) is behind the camera."""
    depths = outline[:, 2] - NEAR
    kept = []
    for i, (point, depth) in enumerate(zip(outline, depths, strict=True)):
        if depth >= 0:
            kept.append(point)
        after = (i + 1) % len(outline)
        if (depth >= 0) != (depths[after] >= 0):
            share = depth / (depth - depths[after])
            kept.append(point + share * (outline[after] - point))
    return np.array(kept)


def _look_up(
    pyramid: list[Image], inverse: Floats, rays: tuple[Floats, Floats, Floats], step: float
) -> Image:
    """Colours (N, 3) of a texture where rays meet it."""
    x, y, dither = rays
    (ux, uy, uc), (vx, vy, vc), (wx, wy, wc) = inverse
    depth = 1.0 / (wx * x + wy * y + wc)
    u = (ux * x + uy * y + uc) * depth
    v = (vx * x + vy * y + vc) * depth
    height, width = pyramid[0].shape[:2]
    # Squared lengths, in texels, of what lies under a step in x and in y.
    along_x = ((ux - u * wx) * width) ** 2 + ((vx - v * wx) * height) ** 2
    along_y = ((uy - u * wy) * width) ** 2 + ((vy - v * wy) * height) ** 2
    longer, shorter = np.maximum(along_x, along_y), np.minimum(along_x, along_y)
    level = (1.0 - SHORT_AXIS_SHARE) * np.log2(longer) + SHORT_AXIS_SHARE * np.log2(shorter + 1e-9)
    level = 0.5 * level + np.log2(depth * step) + dither
    chosen = np.clip(np.rint(level), 0, len(pyramid) - 1).astype(np.int8)
    least, most = int(chosen.min()), int(chosen.max())
    if least == most:
        return _interpolated(pyramid[least], u, v)
    colours = np.empty((len(x), 3), np.uint8)
    for number in range(least, most + 1):
        among = np.flatnonzero(chosen == number)
        colours[among] = _interpolated(pyramid[number], u[among], v[among])
    return colours


def _interpolated(texture: Image, u: Floats, v: Floats) -> Image:
    height, width = texture.shape[:2]
    rows = -(-len(u) // NUM_COLUMNS)
    places = np.zeros((2, rows * NUM_COLUMNS), np.float32)
    # OpenCV has the centre of the first texel at 0.
    places[0, : len(u)] = u * width - 0.5
    places[1, : len(u)] = v * height - 0.5
    x, y = places.reshape(2, rows, NUM_COLUMNS)
    found = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.uint8).reshape(-1, 3)[: len(u)]
