# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of boxes with painted walls from exactly known poses, among them walls that repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform, exp_so3
from relloc_ros.map.sources import PosedImage
from relloc_ros.structures import QueryImage

CAMERA = Camera('PINHOLE', 480, 360, (390.0, 390.0, 240.0, 180.0))
PIXELS_PER_UNIT = 110
DISCS_PER_SQUARE_UNIT = 45

Image = NDArray[np.uint8]
Painting = Callable[[int, int], Image]
"""Paints a wall, given its axis and its side (0 or 1)."""


@dataclass(frozen=True, eq=False)
class Room:
    """A box around the map's origin.

    Attributes:
        half_size: (3,) map units.
        painting: paints the walls that are seen.
    """

    half_size: Array
    painting: Painting
    _walls: dict[tuple[int, int], Image] = field(default_factory=dict)

    def wall(self, axis: int, side: int) -> Image:
        """Give the image of a wall."""
        if (axis, side) not in self._walls:
            self._walls[axis, side] = self.painting(axis, side)
        return self._walls[axis, side]

    def look(self, map_from_cam: RigidTransform, noise: float = 2.0, seed: int = 0) -> Image:
        """Take an image; `noise` is that of its grey values."""
        x, y = np.meshgrid(np.arange(CAMERA.width) + 0.5, np.arange(CAMERA.height) + 0.5)
        normalized = CAMERA.normalize(np.column_stack([x.ravel(), y.ravel()]))
        rays = np.column_stack([normalized, np.ones(len(normalized))]) @ map_from_cam.rotation.T
        rays = rays.reshape(CAMERA.height, CAMERA.width, 3)
        lengths = (np.sign(rays) * self.half_size - map_from_cam.translation) / rays
        hits = lengths.argmin(axis=2)
        points = map_from_cam.translation + lengths.min(axis=2, keepdims=True) * rays
        # OpenCV has the centre of the first pixel at 0.
        places = ((points + self.half_size) * PIXELS_PER_UNIT - 0.5).astype(np.float32)
        image = np.zeros((CAMERA.height, CAMERA.width, 3))
        for axis, side in product(range(3), (0, 1)):
            hit = (hits == axis) & ((rays[..., axis] > 0) == side)
            if hit.any():
                columns, rows = np.moveaxis(np.delete(places, axis, axis=2), 2, 0)
                image[hit] = cv2.remap(self.wall(axis, side), columns, rows, cv2.INTER_LINEAR)[hit]
        image += np.random.default_rng(seed).normal(size=image.shape) * noise
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def make_room(half_size: Sequence[float], painting: Painting | None = None) -> Room:
    """Make a room with walls that `painting` paints, by default all different."""
    half = np.array(half_size, dtype=np.float64)
    return Room(half, painting or different_walls(half))


def different_walls(half_size: Array, seed: int = 0) -> Painting:
    """Paint each wall with discs of its own."""

    def paint(axis: int, side: int) -> Image:
        columns, rows = np.delete(half_size, axis) * 2
        return discs(columns, rows, seed + 10 * axis + side)

    return paint


def alike_when_turned(half_size: Array) -> Painting:
    """Paint a room that looks the same after half a turn about y."""
    different = different_walls(half_size)

    def paint(axis: int, side: int) -> Image:
        if axis == 1:  # floor or ceiling: columns are x, rows are z
            half = different(axis, side)[: int(half_size[2] * PIXELS_PER_UNIT)]
            return np.ascontiguousarray(np.vstack([half, half[::-1, ::-1]]))
        # Columns or rows are the horizontal axis, which points the other way on the other side.
        turned = different(axis, 0)[::-1] if axis == 0 else different(axis, 0)[:, ::-1]
        return np.ascontiguousarray(turned) if side else different(axis, 0)

    return paint


def tiled_walls(half_size: Array, period: float) -> Painting:
    """Paint all walls with one tile, repeated."""
    tile = discs(period, period, 77)

    def paint(axis: int, _: int) -> Image:
        columns, rows = (np.ceil(np.delete(half_size, axis) * 2 / period)).astype(int)
        return np.tile(tile, (rows, columns, 1))

    return paint


def discs(columns: float, rows: float, seed: int) -> Image:
    """Paint discs of all sizes on a wall of `columns` by `rows` map units; it wraps around."""
    rng = np.random.default_rng(seed)
    width, height = int(columns * PIXELS_PER_UNIT), int(rows * PIXELS_PER_UNIT)
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    count = int(columns * rows * DISCS_PER_SQUARE_UNIT)
    for radius in np.sort(rng.integers(3, 32, size=count))[::-1]:
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = [int(value) for value in rng.integers(256, size=3)]
        for centre in {(x + i * width, y + j * height) for i in (-1, 0, 1) for j in (-1, 0, 1)}:
            cv2.circle(image, centre, int(radius), colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.0)


def look_along(
    centre: Sequence[float], yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> RigidTransform:
    """Camera pose; angles in degrees, yaw 0 looks along z, positive is to the right."""
    turns = np.deg2rad([[0.0, yaw, 0.0], [pitch, 0.0, 0.0], [0.0, 0.0, roll]])
    rotation = exp_so3(turns[0]) @ exp_so3(turns[1]) @ exp_so3(turns[2])
    return RigidTransform(rotation, np.array(centre, dtype=np.float64))


def photograph(room: Room, poses: Sequence[RigidTransform], folder: Path) -> list[PosedImage]:
    """Take and write the images of a map."""
    folder.mkdir(parents=True, exist_ok=True)
    posed = []
    for index, pose in enumerate(poses):
        path = folder / f'{index:02}.png'
        cv2.imwrite(str(path), room.look(pose, seed=index))
        posed.append(PosedImage(path.name, path, CAMERA, pose.inverse(), 10**9 + index))
    return posed


def ask(room: Room, poses: Sequence[RigidTransform]) -> list[tuple[QueryImage, RigidTransform]]:
    """Take queries, with their true poses."""
    return [
        (
            QueryImage(room.look(pose, seed=100 + index), CAMERA, 10**10 + index, name=str(index)),
            pose,
        )
        for index, pose in enumerate(poses)
    ]
