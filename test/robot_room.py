# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A painted room with a robot that drives round in it: true poses, images, and a map."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from rendered_room import PINHOLE, render

from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.builder import build_map
from relloc_ros.map.sources import PosedImage

CAMERA = PINHOLE
NUM_PLACES = 36
"""Of the robot on its circle, counted onwards without end."""

RADIUS = 1.5
STEP = 2.0 * np.pi * RADIUS / NUM_PLACES
"""From one place to the next, in metres."""

NUM_MAP_IMAGES = 30

AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
MAP_FROM_ROOM = RigidTransform(AHEAD, np.array([10.0, -20.0, 1.0]))
"""The map's z is up; its origin is elsewhere, so that a pose at zero must show."""

CENTRE = MAP_FROM_ROOM.translation - np.array([0.0, 0.0, 0.6])
"""Of the circle, on the floor."""

BASE_FROM_CAM = RigidTransform(AHEAD, np.array([0.1, 0.0, 0.4]))


def on_circle(place: float, radius: float = RADIUS, height: float = 0.0, turn: float = 0.0):
    """Give map_from_base of a robot that drives round the middle of the room."""
    angle = 2.0 * np.pi * place / NUM_PLACES
    around = np.array([radius * np.cos(angle), radius * np.sin(angle), height])
    heading = np.array([0.0, 0.0, angle + np.pi / 2.0 + turn])
    return RigidTransform(exp_so3(heading), CENTRE + around)


@lru_cache
def jpeg_at(place: int) -> bytes:
    """Give what the camera of the robot sees."""
    image = _view(on_circle(place % NUM_PLACES))
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def build_room_map(folder: Path) -> Path:
    """Photograph the room from near the circle, never from on it, and build the map."""
    posed = []
    for index in range(NUM_MAP_IMAGES):
        side = 1 if index % 2 else -1
        map_from_base = on_circle(
            index * NUM_PLACES / NUM_MAP_IMAGES + 0.4, RADIUS + 0.25 * side, 0.1 * side, 0.1 * side
        )
        path = folder / f'{index:02}.png'
        cv2.imwrite(str(path), _view(map_from_base))
        cam_from_map = (map_from_base @ BASE_FROM_CAM).inverse()
        posed.append(PosedImage(path.name, path, CAMERA, cam_from_map, 10**9 + index))
    return build_map(posed, folder / 'map')


def _view(map_from_base: RigidTransform) -> np.ndarray:
    return render(MAP_FROM_ROOM.inverse() @ map_from_base @ BASE_FROM_CAM)
