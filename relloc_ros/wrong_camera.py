# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image was taken by another camera than its calibration says, or is torn.

A calibration of another resolution, lens or zoom, an image that was cut or resized on the way:
hundreds of keypoints support a pose all the same, decimetres from the true one, and its covariance
knows nothing of it. Where an image moved in parts, as by lost data or a shutter that rolls while
the camera shakes, no camera explains it; but fewer points agree with its pose.

What an image says of its camera is off by more than its covariance says, on one map by a tenth of
that and on another by twice as much, and how many points agree differs likewise: `relloc map
calibrate` measures it on images held out, as it does with poses.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
import math

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array
from relloc_ros.map.calibration import Calibration
from relloc_ros.structures import CameraDeviation

__all__ = [
    'CALIBRATION_STD',
    'FREEDOM',
    'KnownCameras',
    'contradiction',
    'focal_spread',
    'point_agreement',
    'widening',
]

CALIBRATION_STD = 0.002
"""Of each deviation of a camera that was calibrated with care, another than the map's."""
UNMEASURED_SCALE, UNMEASURED_STD = 0.4, 0.004
"""For maps on which nothing was measured."""
FREEDOM = 8.0
"""Degrees of freedom of the multivariate t distribution that images as they should be follow."""
MIN_GAIN, UNMEASURED_GAIN = 0.04, 0.2
"""Share of the robust cost that goes with another camera: with less it explains nothing."""
MAX_DISTANCE = 38.2
"""99 % of that distribution, in 6 dimensions, are nearer: six times the quantile of F(6, 8)."""
CLEAR_DISTANCE = 150.0
"""No query as it should be came near it, of any gain."""
MANY_POINTS = 120
"""Distances of fewer count for less, by the square: their covariance is too small."""
LEAST_AGREEMENT = -3.5
"""Standard deviations from the median of images held out."""

DOUBTED_GAIN = 0.055
"""Queries as they should be whose gain is less lie far off, too, and the pose would move far."""
DOUBT = 7e-5
"""Odds that the camera is another one, where nothing of the image says so. With more, good poses
become too unsure for a robot that has 5 cm to spare."""
OTHER_STD = 0.01
"""Of each deviation of another camera, beyond which few go without being refused."""
UNKNOWN_DOUBT, UNKNOWN_STD = 0.003, 0.03
"""The same for a camera that took no image of the map: calibrations of another resolution, lens or
crop come with those."""
SAME_RAYS = 5e-4
"""In focal lengths: cameras whose rays differ by no more are of one calibration."""
GRID = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 5)] * 2), axis=-1).reshape(-1, 2)
"""Where rays are compared, as shares of width and height."""


class KnownCameras:
    """The cameras of a map, with which it was calibrated; whatever size their images have."""

    def __init__(self, cameras: Iterable[Camera]) -> None:
        """Take them."""
        self._cameras = tuple(set(cameras))
        self._focal_lengths = np.array([_relative_focal_length(each) for each in self._cameras])

    def __contains__(self, camera: Camera) -> bool:
        """Tell whether one of them has the same rays in the same places of its images."""
        # First what is quick to compare: a map may have a camera for each image.
        ratios = self._focal_lengths / _relative_focal_length(camera)
        for index in np.flatnonzero(np.abs(ratios - 1.0) <= SAME_RAYS):
            rays = _rays(self._cameras[index]), _rays(camera)
            if np.allclose(*rays, rtol=0.0, atol=SAME_RAYS, equal_nan=True):
                return True
        return False


def contradiction(deviation: CameraDeviation, calibration: Calibration | None) -> str:
    """Say what about the image is wrong, '' if nothing is for sure.

    Args:
        deviation: of the image.
        calibration: of the map, with what its images say of their camera; None if unknown.
    """
    camera_scale = calibration.camera_scale if calibration else 0.0
    covariance = _measured(deviation, camera_scale)
    distance = _distance(deviation, covariance)
    least_gain = MIN_GAIN if camera_scale else UNMEASURED_GAIN
    if distance > CLEAR_DISTANCE:
        least_gain = 0.0
    if distance > MAX_DISTANCE and deviation.gain > least_gain:
        return _another_camera(deviation, covariance)
    if calibration is None or not calibration.point_agreement_std:
        return ''
    least = calibration.point_agreement + LEAST_AGREEMENT * calibration.point_agreement_std
    if point_agreement(deviation) >= least:
        return ''
    return (
        f'{deviation.num_agreeing} of {deviation.num_seen} points agree with the pose, far fewer '
        'than of images of this map: look whether the image is torn, distorted, or of a place '
        'that has changed'
    )


def point_agreement(deviation: CameraDeviation) -> float:
    """Log odds with which a point that the image may show agrees with its pose."""
    others = deviation.num_seen - deviation.num_agreeing
    return math.log((deviation.num_agreeing + 1) / (others + 1))


def widening(
    deviation: CameraDeviation | None, camera_scale: float, *, is_known: bool = True
) -> Array:
    """Give what to add (6, 6) to the covariance of the pose, for the camera may be another one.

    The probability that it is, by how far the image's deviations are from none, times the second
    moment of the pose about the one found: how far it moves with that camera, and how sure that
    is. Of other cameras, those that are off by a percent are the most probable.

    Args:
        deviation: of the image; None says nothing.
        camera_scale: of the map's calibration; 0 says nothing. Nor does one of 1 and more of a
            camera of the map: where images stray further than their covariance says, as with a
            rolling shutter, how far the pose would move is no measure of its error.
        is_known: whether the calibration is that of a camera of the map.
    """
    nothing: Array = np.zeros((6, 6))
    if deviation is None or not camera_scale:
        return nothing
    if is_known and (deviation.gain < DOUBTED_GAIN or camera_scale >= 1.0):
        return nothing
    doubt, other_std = (DOUBT, OTHER_STD) if is_known else (UNKNOWN_DOUBT, UNKNOWN_STD)
    covariance = _measured(deviation, camera_scale)
    distance = _distance(deviation, covariance)
    # Inverse density of the t distribution, but for a factor.
    odds = doubt * (1.0 + distance / FREEDOM) ** (0.5 * (FREEDOM + len(covariance)))
    prior = other_std**2 * np.eye(len(covariance))
    known = np.linalg.solve(prior + covariance, prior).T
    mean = known @ deviation.values
    left = prior - known @ prior
    by_values = deviation.pose_by_values
    shift = deviation.pose_shift + by_values @ (mean - deviation.values)
    moments: Array = np.outer(shift, shift) + by_values @ left @ by_values.T
    return odds / (1.0 + odds) * moments


def focal_spread(deviation: CameraDeviation | None, focal_length_std: float) -> Array:
    """Give the covariance (6, 6) of the pose that comes of a focal length of its own.

    The error of the calibration of the map's own camera is in the map, too, and in what was
    measured on images held out. That of another camera is not.

    Args:
        deviation: of the image; None says nothing.
        focal_length_std: standard deviation, as a share of the focal length.
    """
    if deviation is None:
        return np.zeros((6, 6))
    by_focal_length = focal_length_std * deviation.pose_by_values[:, 0]
    spread: Array = np.outer(by_focal_length, by_focal_length)
    return spread


def _another_camera(deviation: CameraDeviation, covariance: Array) -> str:
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


def _measured(deviation: CameraDeviation, camera_scale: float) -> Array:
    scale, std = (
        (camera_scale, CALIBRATION_STD) if camera_scale else (UNMEASURED_SCALE, UNMEASURED_STD)
    )
    covariance: Array = scale * deviation.covariance + std**2 * np.eye(len(deviation.values))
    return covariance * max(1.0, MANY_POINTS / max(deviation.num_points, 1)) ** 2


def _distance(deviation: CameraDeviation, covariance: Array) -> float:
    return float(deviation.values @ np.linalg.solve(covariance, deviation.values))


def _relative_focal_length(camera: Camera) -> float:
    return camera.mean_focal_length / camera.width


@lru_cache(maxsize=256)
def _rays(camera: Camera) -> Array:
    return camera.normalize(GRID * (camera.width, camera.height))
