# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far apart views are, in the image: by what a robot comes back to differ from the map."""

from __future__ import annotations

import math

import numpy as np

from relloc_ros.geometry import Array
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.scene_depth import scene_depths

__all__ = ['ViewShifts']


class ViewShifts:
    """Shares of the width of an image by which what is usual moves from view to view.

    A camera that moves sideways by d moves what is z away by d / z in the image; one that turns
    moves everything. Both are added: an upper bound.
    """

    def __init__(self, reference_map: ReferenceMap) -> None:
        """Measure how far away the scene is."""
        cameras = reference_map.cameras.values()
        width = float(np.median([camera.width / camera.mean_focal_length for camera in cameras]))
        _, depth, _ = scene_depths(reference_map)
        self._width = float(depth) * width
        self._angle = 2.0 * math.atan(width / 2.0)
        self._centres = reference_map.centres
        self._directions: Array = reference_map.rotations[:, 2]

    def of(self, index: int) -> Array:
        """Shifts (N,) of all images of the map against one of them."""
        distances = np.linalg.norm(self._centres - self._centres[index], axis=1)
        cosines = np.clip(self._directions @ self._directions[index], -1.0, 1.0)
        shifts: Array = distances / self._width + np.arccos(cosines) / self._angle
        return shifts
