# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Views of a training image from nearby, made by warping it.

As Naseer and Burgard (IROS 2017) add views to the training set; what an image shows is taken to be
a plane here, so that a view is the image under a homography.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, exp_so3

__all__ = ['draw_motion', 'warp']

MAX_SHIFT = 0.1
"""Of a view's camera in each direction, in units of the depth at the middle of the image."""
MAX_TURN = np.deg2rad(5.0)
"""About a random axis."""


def draw_motion(generator: np.random.Generator, plane: Array) -> RigidTransform:
    """Draw where a camera nearby is: view_from_cam.

    Args:
        generator: of random numbers.
        plane: (3,) inverse depth by ray, see `Scene`.
    """
    shift = generator.uniform(-MAX_SHIFT, MAX_SHIFT, 3) / plane[2]
    axis = generator.normal(size=3)
    turn = axis / np.linalg.norm(axis) * generator.uniform(0, MAX_TURN)
    return RigidTransform(exp_so3(turn), shift)


def warp(
    image: NDArray[np.uint8], intrinsics: Array, plane: Array, view_from_cam: RigidTransform
) -> NDArray[np.uint8]:
    """Show an image (H, W, 3) uint8 from another place, in the same size.

    What it does not show is repeated from its border.

    Args:
        image: the image.
        intrinsics: (3, 3), COLMAP's pixel convention.
        plane: (3,) inverse depth by ray, see `Scene`.
        view_from_cam: where the view is.
    """
    # A point at depth z on the ray r is z r, and moves to z (R r + t / z); 1 / z is plane . r.
    by_ray = view_from_cam.rotation + np.outer(view_from_cam.translation, plane)
    # OpenCV's pixels begin at their centres.
    centred = intrinsics.copy()
    centred[:2, 2] -= 0.5
    homography = centred @ by_ray @ np.linalg.inv(centred)
    height, width = image.shape[:2]
    warped = cv2.warpPerspective(
        image,
        homography,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.uint8)
