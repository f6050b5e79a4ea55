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

from relloc_ros.structures import CameraDeviation

__all__ = ['CALIBRATION_STD', 'contradiction']

CALIBRATION_STD = 0.002
"""Of each deviation of a camera that was calibrated with care, another than the map's."""
UNMEASURED_SCALE, UNMEASURED_STD, UNMEASURED_GAIN = 0.4, 0.004, 0.2
"""For maps on which nothing was measured, and images that gain as much by another camera."""
MIN_GAIN = 0.05
"""Share of the robust cost that goes with another camera: with less it explains nothing."""
MAX_DISTANCE = 47.7
"""Squared, by the covariance: 99.5 % of a multivariate t distribution of 6 dimensions with 8
degrees of freedom are nearer, six times the quantile of F(6, 8)."""
MIN_POINTS = 120
"""Fewer say too little of a camera."""


def contradiction(deviation: CameraDeviation, camera_scale: float) -> str:
    """Say what about the camera is wrong, '' if nothing is for sure.

    Args:
        deviation: of the image.
        camera_scale: factor of its covariance, of `map.calibration.Calibration`; 0 if unknown.
    """
    least_gain, std = MIN_GAIN, CALIBRATION_STD
    if not camera_scale:
        camera_scale, std, least_gain = UNMEASURED_SCALE, UNMEASURED_STD, UNMEASURED_GAIN
    if deviation.num_points < MIN_POINTS or deviation.gain < least_gain:
        return ''
    values = deviation.values
    covariance = camera_scale * deviation.covariance + std**2 * np.eye(len(values))
    if values @ np.linalg.solve(covariance, values) <= MAX_DISTANCE:
        return ''
    longer, uneven, x, y, shear, radial = values
    most = int((np.abs(values) / np.sqrt(np.diag(covariance))).argmax())
    found = (
        f'a focal length {longer:+.1%}',
        f'focal lengths along x and y {2.0 * uneven:+.1%} apart',
        f'a principal point {x:+.1%} of the focal length to the right',
        f'a principal point {y:+.1%} of the focal length further down',
        f'a shear of {shear:+.1%}, as of a rolling shutter,',
        f'a radial distortion {radial:+.3f}',
    )[most]
    return (
        f'the image contradicts the calibration of its camera: {found} would fit '
        f'{deviation.num_points} points better; look whether camera_info belongs to this image, '
        'or whether it was cut or resized'
    )
