# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which way is up in a map, as its cameras tell."""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array

__all__ = ['tilt_of_z']

LEVEL_RATIO = 0.1
"""Less of the cameras' right axes leaves their common plane than this share of their spread in it:
the cameras are level and look into several directions."""
CONSISTENT = 0.7
"""Least length of the mean of unit vectors that point more or less the same way."""
TILT_OF_LEVEL_CAMERAS = np.radians(30.0)
TILT_OF_OTHERS = np.radians(60.0)


def tilt_of_z(map_rotations: Array) -> float | None:
    """Tell how far the map's z axis is from up, where its cameras say that it is not up.

    Cameras are mostly carried without roll: their right axes are level, and the direction at right
    angles to all of them is up, however much they look up or down. Where they look one way only,
    or roll, nothing but the mean of their down axes is left, which is off by their mean pitch.

    Args:
        map_rotations: (N, 3, 3) cam_from_map.

    Returns:
        Radians; None if z is up as far as one can tell.
    """
    down = map_rotations[:, 1].mean(axis=0)
    length = float(np.linalg.norm(down))
    if length < CONSISTENT:
        return None
    up, tolerance = -down / length, TILT_OF_OTHERS
    right = map_rotations[:, 0]
    variances, directions = np.linalg.eigh(right.T @ right / len(right))
    if variances[0] < LEVEL_RATIO * variances[1]:
        up = directions[:, 0] * np.sign(directions[:, 0] @ up)
        tolerance = TILT_OF_LEVEL_CAMERAS
    tilt = float(np.arccos(np.clip(up[2], -1.0, 1.0)))
    return tilt if tilt > tolerance else None
