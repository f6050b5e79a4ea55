# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image was taken by another camera than its calibration says.

A calibration of another resolution, lens or zoom, an image that was cut or resized on the way:
hundreds of keypoints support a pose all the same, decimetres from the true one, and its covariance
knows nothing of it.

What an image says of its camera is off by more than its covariance says, on one map by a tenth of
that and on another by twice as much: `relloc map calibrate` measures it on images held out, as it
does with poses.
"""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array
from relloc_ros.structures import CameraDeviation

__all__ = ['CALIBRATION_STD', 'contradiction', 'widening']

CALIBRATION_STD = 0.002
"""Of each deviation of a camera that was calibrated with care, another than the map's."""
UNMEASURED_SCALE, UNMEASURED_STD = 0.4, 0.004
"""For maps on which nothing was measured."""
MIN_GAIN, UNMEASURED_GAIN = 0.04, 0.2
"""Share of the robust cost that goes with another camera: with less it explains nothing."""
DOUBTED_DISTANCE = 12.6
"""Squared, by the covariance, 95 % of the chi-squared distribution of 6 degrees of freedom: a
camera further off may be another one."""
PROBABILITY = 0.05
"""That it is. With more, good poses become too unsure for a robot that has 5 cm to spare."""
DOUBTED_GAIN = 0.07
"""Queries as they should be whose gain is less lie far off, too, and the pose would move far."""
MAX_DISTANCE = 47.7
"""99.5 % of a multivariate t distribution of 6 dimensions with 8 degrees of freedom are nearer:
six times the quantile of F(6, 8)."""
CLEAR_DISTANCE = 150.0
"""No query as it should be came near it, of any gain."""
MANY_POINTS = 120
"""Distances of fewer count for less, by the square: their covariance is too small."""


def contradiction(deviation: CameraDeviation, camera_scale: float) -> str:
    """Say what about the camera is wrong, '' if nothing is for sure.

    Args:
        deviation: of the image.
        camera_scale: factor of its covariance, of `map.calibration.Calibration`; 0 if unknown.
    """
    covariance = _measured(deviation, camera_scale)
    distance = _distance(deviation, covariance)
    least_gain = MIN_GAIN if camera_scale else UNMEASURED_GAIN
    if distance > CLEAR_DISTANCE:
        least_gain = 0.0
    if distance <= MAX_DISTANCE or deviation.gain <= least_gain:
        return ''
    longer, uneven, x, y, shear, radial = deviation.values
    most = int((np.abs(deviation.values) / np.sqrt(np.diag(covariance))).argmax())
    found = (
        f'a focal length {longer:+.1%}',
        f'focal lengths along x and y {2.0 * uneven:+.1%} apart',
        f'a principal point {x:+.1%} of the focal length to the right',
        f'a principal point {y:+.1%} of the focal length further down',
        f'a shear of {shear:+.1%}, as of a rolling shutter,',
        f'a radial distortion of {radial:+.3f}',
    )[most]
    return (
        f'the image contradicts the calibration of its camera: {found} would fit '
        f'{deviation.num_points} points better; look whether camera_info belongs to this image, '
        'or whether it was cut or resized'
    )


def widening(deviation: CameraDeviation | None, camera_scale: float) -> Array:
    """Give what to add (6, 6) to the covariance of the pose, zero unless the camera is doubted.

    The second moment of the pose about the one found, if the camera is another one with some
    probability: how far the pose moves with it, and how sure that is.

    Args:
        deviation: of the image; None says nothing.
        camera_scale: as there; 0 says nothing. Nor does one of 1 and more: where images stray
            further than their covariance says, as with a rolling shutter, how far the pose would
            move is no measure of its error.
    """
    nothing: Array = np.zeros((6, 6))
    if deviation is None or not 0.0 < camera_scale < 1.0 or deviation.gain < DOUBTED_GAIN:
        return nothing
    covariance = _measured(deviation, camera_scale)
    if _distance(deviation, covariance) <= DOUBTED_DISTANCE:
        return nothing
    shift, by_values = deviation.pose_shift, deviation.pose_by_values
    moments: Array = np.outer(shift, shift) + by_values @ covariance @ by_values.T
    return PROBABILITY * moments


def _measured(deviation: CameraDeviation, camera_scale: float) -> Array:
    scale, std = (
        (camera_scale, CALIBRATION_STD) if camera_scale else (UNMEASURED_SCALE, UNMEASURED_STD)
    )
    covariance: Array = scale * deviation.covariance + std**2 * np.eye(len(deviation.values))
    return covariance


def _distance(deviation: CameraDeviation, covariance: Array) -> float:
    distance = deviation.values @ np.linalg.solve(covariance, deviation.values)
    return float(distance) * min(1.0, deviation.num_points / MANY_POINTS) ** 2
