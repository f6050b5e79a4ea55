# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera makes of the light: motion blur, exposure, vignetting, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import rotation_angle
from relloc_ros.synthetic.lighting import GAMMA
from relloc_ros.synthetic.paths import Path
from relloc_ros.synthetic.patterns import Field
from relloc_ros.synthetic.rendering import Renderer
from relloc_ros.synthetic.surfaces import Image

__all__ = ['Sensor', 'photograph']

MOST_POSES = 24
NEAR_M = 2.0
"""How far what moves through the image is, to see how many poses its blur takes."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """How images suffer.

    Attributes:
        exposure_s: time in which the shutter is open: what moves is blurred.
        exposure_spread: standard deviation of the brightness between images, in stops.
        noise: standard deviation of each pixel's values, of 255.
        vignetting: share of the brightness that the corners lose.
    """

    exposure_s: float = 0.0
    exposure_spread: float = 0.0
    noise: float = 2.0
    vignetting: float = 0.12


def photograph(
    renderer: Renderer,
    camera: Camera,
    path: Path,
    time: float,
    sensor: Sensor,
    rng: np.random.Generator,
) -> Image:
    """Take a picture (H, W, 3) BGR in the middle of the exposure at `time`, in seconds."""
    image = _blurred(renderer, camera, path, time, sensor.exposure_s)
    stops = sensor.exposure_spread * rng.standard_normal()
    # The values are not light, but what a screen makes light of.
    image *= 2.0 ** (stops / GAMMA) * _vignette(camera, sensor.vignetting)
    if sensor.noise > 0:
        image += np.float32(sensor.noise) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _blurred(
    renderer: Renderer, camera: Camera, path: Path, time: float, exposure_s: float
) -> Field:
    count = _num_poses(camera, path, time, exposure_s)
    total = np.zeros((camera.height, camera.width, 3), np.float32)
    for moment in (np.arange(count) + 0.5) / count - 0.5:
        total += renderer.render(camera, path.map_from_cam(time + float(moment) * exposure_s))
    return np.asarray(total / count, dtype=np.float32)


def _num_poses(camera: Camera, path: Path, time: float, exposure_s: float) -> int:
    """Count poses that are about a pixel apart."""
    if exposure_s <= 0:
        return 1
    ends = [path.map_from_cam(time + side * exposure_s / 2) for side in (-1.0, 1.0)]
    motion = ends[0].inverse() @ ends[1]
    moved = rotation_angle(motion.rotation) + np.linalg.norm(motion.translation) / NEAR_M
    return int(np.clip(np.ceil(moved * camera.mean_focal_length) + 1, 1, MOST_POSES))


def _vignette(camera: Camera, vignetting: float) -> Field:
    x = (np.arange(camera.width, dtype=np.float32) + 0.5) * 2 / camera.width - 1
    y = (np.arange(camera.height, dtype=np.float32) + 0.5) * 2 / camera.height - 1
    squared = 0.5 * (x**2 + y[:, np.newaxis] ** 2)
    return np.asarray(1.0 - vignetting * squared, dtype=np.float32)[..., np.newaxis]
