# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an image says of the camera that took it, by the points that its pose rests on."""

from __future__ import annotations

from collections.abc import Sequence

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
        None without a pose or points of known position, and of rigs.
    """
    pose = solution.pose
    if pose is None or len(views) != 1 or not views[0].is_certain:
        return None
    view, points = views[0], views[0].sighting.points
    if points is None:
        return None
    return estimate_deviation(
        pose.map_from_body @ view.body_from_cam,
        view.features.normalized[points.keypoints],
        points.positions,
        view.features.focal_length,
        threshold_px=threshold_px,
        num_images=sum(bool(mask.any()) for mask in solution.inliers),
    )
