# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image was taken by another camera than its calibration says.

A calibration of another resolution, lens or zoom, an image that was cut or resized on the way:
hundreds of keypoints support a pose all the same, decimetres from the true one, and its covariance
knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from relloc_ros.localizers.sighting import PlacedSighting
from relloc_ros.localizers.solution import Solution
from relloc_ros.structures import Status
from relloc_ros.vision.self_calibration import CameraDeviation, estimate_deviation

__all__ = ['taken_as_calibrated']

TOLERANCES = np.array([0.01, 0.005, 0.01, 0.01])
"""Good calibrations are off by so much: focal length, difference of the two, principal point in
focal lengths. Shear and radial distortion are not judged: a rolling shutter has both."""
SIGMAS = 2.5
"""By so many standard deviations, of residuals counted once for each map image, more than that."""
MIN_POINTS = 120
"""Fewer say too little of a camera."""
MIN_GAIN = 0.2
"""Share of the robust cost that goes with another camera. Blur and a rolling shutter gave 0.23."""


def taken_as_calibrated(
    solution: Solution, views: Sequence[PlacedSighting], threshold_px: float
) -> Solution:
    """Give a solution back, or GATED if the image contradicts the calibration of its camera.

    Args:
        solution: of the views.
        views: what it was found from; of a rig nothing is asked.
        threshold_px: largest reprojection error of an inlier.
    """
    pose = solution.pose
    if pose is None or len(views) != 1 or not views[0].is_certain:
        return solution
    view, points = views[0], views[0].sighting.points
    if points is None or len(points) < MIN_POINTS:
        return solution
    deviation = estimate_deviation(
        pose.map_from_body @ view.body_from_cam,
        view.features.normalized[points.keypoints],
        points.positions,
        view.features.focal_length,
        threshold_px=threshold_px,
        num_images=sum(bool(mask.any()) for mask in solution.inliers),
    )
    reason = '' if deviation is None else _contradiction(deviation)
    if not reason:
        return solution
    return replace(
        solution, status=Status.GATED, reason=reason, pose=None, inliers=(), agreement=None
    )


def _contradiction(deviation: CameraDeviation) -> str:
    """Say what about the camera is wrong, '' if nothing is for sure."""
    if deviation.num_points < MIN_POINTS or deviation.gain < MIN_GAIN:
        return ''
    values, stds = deviation.values[: len(TOLERANCES)], deviation.stds[: len(TOLERANCES)]
    excess = (np.abs(values) - TOLERANCES) / stds
    if excess.max() <= SIGMAS:
        return ''
    longer, uneven, x, y = values
    found = (
        f'a focal length {longer:+.1%}',
        f'focal lengths along x and y {2.0 * uneven:+.1%} apart',
        f'a principal point {x:+.1%} of the focal length to the right',
        f'a principal point {y:+.1%} of the focal length further down',
    )[int(excess.argmax())]
    return (
        f'the image contradicts the calibration of its camera: {found} would fit '
        f'{deviation.num_points} points better; look whether camera_info belongs to this image, '
        'or whether it was cut or resized'
    )
