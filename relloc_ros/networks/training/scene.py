# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training knows of the scene that an image shows: its points, and a plane through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array
from relloc_ros.map.points import NO_POINT
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.scene_depth import scene_depths

__all__ = ['Scene', 'inverse_depth_plane', 'scene_of_map']

MIN_POINTS = 12
"""With fewer, a plane through them says little of the whole image."""
ROUNDS = 5
OUTLIER_PART = 0.3
"""Of the inverse depth; points further from the plane count less."""
STEEPEST = 3.0
"""A plane in whose inverse depth the corners differ more from the middle is not one in sight."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What N images of a map show.

    Attributes:
        points: of each image (K, 3) float64 positions of the map's points that it shows, map
            units; empty where the map has none.
        planes: (N, 3) float64; the inverse depth of what an image shows is its product with the
            ray (x, y, 1), in the camera's frame and map units.
    """

    points: list[Array]
    planes: Array


def scene_of_map(reference_map: ReferenceMap, *, needs_points: bool) -> Scene:
    """Find what the images of a map show.

    Where an image shows too few points for a plane, all is as far away as its points or, without
    any, as what the map's other images show.

    Args:
        reference_map: the map.
        needs_points: a map without them is refused.

    Raises:
        DataError: it has none.
    """
    stored = reference_map.points
    count = reference_map.num_images
    if stored is None:
        if needs_points:
            raise DataError(
                f'map {reference_map.path} has no 3D points, which the geometric loss compares '
                f'in the images: make them with `relloc map triangulate {reference_map.path}`, '
                'or train another variant'
            )
        points = [np.empty((0, 3))] * count
    else:
        rows = [stored.of_image(index) for index in range(count)]
        points = [
            np.asarray(stored.positions[np.unique(row[row != NO_POINT])], dtype=np.float64)
            for row in rows
        ]
    in_camera = [
        reference_map.cam_from_map(index).apply(each) for index, each in enumerate(points)
    ]
    usual = _usual_inverse_depth(reference_map, np.concatenate(in_camera))
    planes = [
        inverse_depth_plane(each, _corner_rays(reference_map.camera(index)), usual)
        for index, each in enumerate(in_camera)
    ]
    return Scene(points, np.array(planes))


def _usual_inverse_depth(reference_map: ReferenceMap, points: Array) -> float:
    depths = points[points[:, 2] > 0, 2]
    # Without points it is found from matches, which takes longer.
    usual = np.median(depths) if len(depths) else scene_depths(reference_map)[1]
    return 1.0 / float(usual)


def inverse_depth_plane(points: Array, corner_rays: Array, usual: float) -> Array:
    """Fit a plane to points; the inverse depth of a plane is linear in the image.

    Args:
        points: (K, 3) in the camera's frame.
        corner_rays: (4, 3) rays (x, y, 1) of the image's corners.
        usual: inverse depth where no point is before the camera.

    Returns:
        (3,) float64, its product with the ray (x, y, 1) is the inverse depth.
    """
    points = points[points[:, 2] > 0]
    if len(points) == 0:
        return np.array([0.0, 0.0, usual])
    rays = points / points[:, 2:]
    inverse_depths = 1.0 / points[:, 2]
    middle = float(np.median(inverse_depths))
    constant = np.array([0.0, 0.0, middle])
    if len(points) < MIN_POINTS:
        return constant
    plane = constant
    for _ in range(ROUNDS):
        errors = np.abs(rays @ plane - inverse_depths) / (OUTLIER_PART * middle)
        weights = 1.0 / np.maximum(1.0, errors)
        plane = np.linalg.lstsq(rays * weights[:, None], inverse_depths * weights, rcond=None)[0]
    corners = corner_rays @ plane
    is_sound = corners.min() > middle / STEEPEST and corners.max() < middle * STEEPEST
    return plane if is_sound else constant


def _corner_rays(camera: Camera) -> Array:
    width, height = camera.width, camera.height
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    return np.column_stack([camera.normalize(corners), np.ones(4)])
