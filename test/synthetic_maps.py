# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small textured images with poses, for the tests of maps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.sources import PosedImage

PINHOLE = Camera('PINHOLE', 120, 90, (100.0, 101.0, 60.0, 45.0))
FISHEYE = Camera('OPENCV_FISHEYE', 120, 90, (60.0, 60.0, 60.0, 45.0, 0.02, 0.01, 0.0, 0.0))


def make_texture(seed: int, width: int = 120, height: int = 90) -> NDArray[np.uint8]:
    """Make a BGR image of overlapping discs."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for _ in range(60):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        colour = [int(value) for value in rng.integers(256, size=3)]
        cv2.circle(image, centre, int(rng.integers(2, 15)), colour, -1, cv2.LINE_AA)
    return image


def make_posed(folder: Path, count: int = 4, camera: Camera = PINHOLE) -> list[PosedImage]:
    """Write textured images, with a space in their names, and pose them on a line."""
    (folder / 'left cam').mkdir(parents=True, exist_ok=True)
    posed = []
    for i in range(count):
        name = f'left cam/image {i}.png'
        cv2.imwrite(str(folder / name), make_texture(i, camera.width, camera.height))
        pose = RigidTransform(
            exp_so3(np.array([0.0, 0.1 * i, 0.0])), np.array([0.2 * i, 0.0, 1.0])
        )
        posed.append(PosedImage(name, folder / name, camera, pose, 10**9 + i))
    return posed
