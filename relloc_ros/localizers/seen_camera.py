# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an image says of the camera that took it, by the points that its pose rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from relloc_ros.geometry import skew
from relloc_ros.localizers.sighting import PlacedSighting
from relloc_ros.localizers.solution import Solution
from relloc_ros.structures import CameraDeviation
from relloc_ros.vision.self_calibration import estimate_deviation

__all__ = ['deviation_of_camera']


def deviation_of_camera(
    solution: Solution, views: Sequence[PlacedSighting], threshold_px: float
) -> CameraDeviation | None:
    """Say how far the camera is from its calibration.

    Args:
        solution: of the views.
        views: what it was found from.
        threshold_px: largest reprojection error of an inlier.

    Returns:
        With the shift of the body's pose. None without a pose or points of known position, and of
        rigs.
    """
    pose = solution.pose
    if pose is None or len(views) != 1 or not views[0].is_certain:
        return None
    view, points = views[0], views[0].sighting.points
    if points is None:
        return None
    map_from_cam = pose.map_from_body @ view.body_from_cam
    found = estimate_deviation(
        map_from_cam,
        view.features.normalized[points.keypoints],
        points.positions,
        view.features.focal_length,
        threshold_px=threshold_px,
        num_images=sum(bool(mask.any()) for mask in solution.inliers),
    )
    if found is None:
        return None
    body_by_cam = np.eye(6)
    body_by_cam[:3, 3:] = -skew(pose.map_from_body.translation - map_from_cam.translation)
    return replace(
        found,
        pose_shift=body_by_cam @ found.pose_shift,
        pose_by_values=body_by_cam @ found.pose_by_values,
        camera=view.features.camera,
    )
