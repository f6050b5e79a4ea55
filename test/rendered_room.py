# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of a room with painted walls, from any pose, by any camera model."""

from functools import lru_cache

import cv2
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.sources import PosedImage
from relloc_ros.structures import QueryImage

HALF_SIZE = np.array([4.0, 3.0, 5.0])
PIXELS_PER_UNIT = 120
PINHOLE = Camera('PINHOLE', 479, 361, (390.0, 395.0, 241.0, 179.0))
DISTORTED = Camera('OPENCV', 613, 459, (420.0, 421.0, 300.3, 231.7, -0.25, 0.08, 1e-3, -5e-4))


@lru_cache(maxsize=20)
def painting(room, axis, side):
    """Paint one wall with discs of all sizes."""
    rng = np.random.default_rng((room, axis, side))
    width, height = (int(2 * PIXELS_PER_UNIT * half) for half in np.delete(HALF_SIZE, axis))
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    for radius in np.sort(rng.integers(3, 40, size=2500))[::-1]:
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        colour = [int(value) for value in rng.integers(256, size=3)]
        cv2.circle(image, centre, int(radius), colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def render(map_from_cam, camera=PINHOLE, room=0):
    """Look at the walls of a room around the map's origin; rooms differ in their paintings."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    normalized = camera.normalize(np.column_stack([x.ravel(), y.ravel()]))
    rays = np.column_stack([normalized, np.ones(len(normalized))]) @ map_from_cam.rotation.T
    rays = rays.reshape(camera.height, camera.width, 3)
    lengths = (np.sign(rays) * HALF_SIZE - map_from_cam.translation) / rays
    walls = lengths.argmin(axis=2)
    points = map_from_cam.translation + lengths.min(axis=2, keepdims=True) * rays
    # OpenCV has the centre of the first pixel at 0.
    places = ((points + HALF_SIZE) * PIXELS_PER_UNIT - 0.5).astype(np.float32)
    image = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
    for axis in range(3):
        for side in (0, 1):
            hit = (walls == axis) & ((rays[..., axis] > 0) == side)
            if hit.any():
                columns, rows = np.moveaxis(np.delete(places, axis, axis=2), 2, 0)
                wall = cv2.remap(painting(room, axis, side), columns, rows, cv2.INTER_LINEAR)
                image[hit] = wall[hit]
    return image


def look(centre, yaw_deg=25.0, pitch_deg=-5.0, roll_deg=0.0):
    """Camera pose; yaw 0 looks along z, to the right is positive."""
    yaw = exp_so3(np.deg2rad([0.0, yaw_deg, 0.0]))
    pitch = exp_so3(np.deg2rad([pitch_deg, 0.0, 0.0]))
    roll = exp_so3(np.deg2rad([0.0, 0.0, roll_deg]))
    return RigidTransform(yaw @ pitch @ roll, np.array(centre, dtype=float))


def write_views(folder, poses):
    """Render and write the images of a map."""
    posed = []
    for index, pose in enumerate(poses):
        path = folder / f'{index:02}.png'
        cv2.imwrite(str(path), render(pose))
        posed.append(PosedImage(path.name, path, PINHOLE, pose.inverse(), 10**9 + index))
    return posed


@lru_cache
def query_at(map_from_cam, camera=PINHOLE, room=0):
    image = render(map_from_cam, camera, room)
    return QueryImage(image, camera, 77, 'cam', f'room {room}')
