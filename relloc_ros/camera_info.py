# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras from and to ROS: sensor_msgs/CameraInfo, calibration files, and text.

ROS puts the centre of the top-left pixel at (0, 0), we at (0.5, 0.5): the principal point moves by
half a pixel on each way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import difflib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.yaml_text import load_yaml

__all__ = [
    'camera_from_camera_info',
    'camera_from_text',
    'camera_from_yaml',
    'camera_info_fields',
]

PIXEL_CENTRE = 0.5
CALIBRATE = 'calibrate the camera (ros2 run camera_calibration cameracalibrator)'

FAR_FROM_CENTRE, SAME_WAY = 0.25, 0.1
"""Shares of width and height by which no lens moves the principal point: along one axis, along
both by a calibration of another resolution."""

NUM_RATIONAL_COEFFICIENTS = 8
NUM_FISHEYE_COEFFICIENTS = 4


def camera_from_camera_info(msg: Any) -> Camera:
    """Read a sensor_msgs/CameraInfo of ROS 1 or 2: intrinsics, distortion, binning and ROI.

    The camera describes the pixels of the raw image that comes with the message.

    Raises:
        DataError: not calibrated (K[0] = 0), or for another resolution, unknown distortion model,
            ROI outside the image.
    """
    # ROS 1 spells the matrices with capital letters.
    k = _numbers(_field(msg, 'k', 'K'), 'K', 9)
    d = _numbers(_field(msg, 'd', 'D'), 'D')
    if k[0] == 0 or k[4] == 0:
        raise DataError(
            f'camera_info says the camera is uncalibrated (K[0] = {k[0]:g}): {CALIBRATE}, '
            'and have the driver publish the result'
        )
    if k[1] != 0:
        raise DataError(f'camera_info has skew (K[1] = {k[1]:g}), which is not supported')
    _check_principal_point(k[2], k[5], int(msg.width), int(msg.height))
    model, distortion = _distortion(msg.distortion_model, d)
    x_offset, y_offset, width, height = _region(msg)
    binning_x, binning_y = max(1, int(msg.binning_x)), max(1, int(msg.binning_y))
    params = (
        k[0] / binning_x,
        k[4] / binning_y,
        (k[2] + PIXEL_CENTRE - x_offset) / binning_x,
        (k[5] + PIXEL_CENTRE - y_offset) / binning_y,
        *distortion,
    )
    return Camera(model, width // binning_x, height // binning_y, params)


def camera_from_yaml(path: Path) -> Camera:
    """Read a calibration file of camera_calibration, or the output of `ros2 topic echo`.

    Raises:
        DataError: missing file, no YAML, or no usable calibration in it.
    """
    try:
        # `ros2 topic echo` ends each message with a document mark.
        content = load_yaml(path.read_text(encoding='utf-8'), first=True)
    except OSError as error:
        raise DataError(f'cannot read calibration {path}: {error.strerror}') from error
    except ValueError as error:
        raise DataError(f'calibration {path} is not YAML: {error}') from error
    try:
        return camera_from_camera_info(_camera_info_from_yaml(content))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            f'{path} is no camera calibration: expected image_width, image_height, camera_matrix, '
            f'distortion_model and distortion_coefficients (problem with {error})'
        ) from error
    except DataError as error:
        raise DataError(f'calibration {path}: {error}') from error


def camera_from_text(text: str) -> Camera:
    """Read ``MODEL,WIDTH,HEIGHT,PARAMETER,...``: a line of COLMAP's cameras.txt with commas.

    Raises:
        DataError: not of this form, or no such camera.
    """
    model, *values = [item.strip() for item in text.split(',')]
    try:
        width, height = int(values[0]), int(values[1])
        params = tuple(float(value) for value in values[2:])
    except (IndexError, ValueError) as error:
        raise DataError(
            f'camera {text!r} is not MODEL,WIDTH,HEIGHT,PARAMETERS, '
            'for example PINHOLE,640,480,535.4,539.2,320.6,248.1'
        ) from error
    return Camera(model, width, height, params)


def camera_info_fields(camera: Camera) -> dict[str, Any]:
    """Return the fields of a CameraInfo: width, height, distortion_model, d, k, r and p.

    Raises:
        DataError: ROS has no distortion model that says the same.
    """
    if camera.model not in _TO_ROS:
        raise DataError(
            f'ROS has no distortion model for COLMAP camera model {camera.model}; '
            f'possible: {", ".join(_TO_ROS)}'
        )
    num_focal_lengths, distortion_model, to_coefficients = _TO_ROS[camera.model]
    focal_lengths = camera.params[:num_focal_lengths]
    fx, fy = focal_lengths[0], focal_lengths[-1]
    cx, cy = (value - PIXEL_CENTRE for value in camera.params[num_focal_lengths:][:2])
    return {
        'width': camera.width,
        'height': camera.height,
        'distortion_model': distortion_model,
        'd': to_coefficients(camera.params[num_focal_lengths + 2 :]),
        'k': [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        'r': [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        'p': [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    }


def _polynomial(d: list[float]) -> tuple[str, tuple[float, ...]]:
    """OpenCV's k1 k2 p1 p2 k3 k4 k5 k6, as many as needed."""
    coefficients = [*d, *[0.0] * NUM_RATIONAL_COEFFICIENTS]
    coefficients, rest = (
        coefficients[:NUM_RATIONAL_COEFFICIENTS],
        coefficients[NUM_RATIONAL_COEFFICIENTS:],
    )
    if any(rest):
        raise DataError(
            f'distortion D = {d} has thin-prism or tilt terms, which are not supported: '
            'calibrate with plumb_bob or rational_polynomial'
        )
    if not any(coefficients):
        return 'PINHOLE', ()
    if not any(coefficients[4:]):
        return 'OPENCV', tuple(coefficients[:4])
    return 'FULL_OPENCV', tuple(coefficients)


def _equidistant(d: list[float]) -> tuple[str, tuple[float, ...]]:
    if len(d) > NUM_FISHEYE_COEFFICIENTS:
        raise DataError(f'distortion D = {d} of an equidistant camera has more than 4 numbers')
    return 'OPENCV_FISHEYE', tuple([*d, *[0.0] * NUM_FISHEYE_COEFFICIENTS][:4])


_FROM_ROS: dict[str, Callable[[list[float]], tuple[str, tuple[float, ...]]]] = {
    'plumb_bob': _polynomial,
    'rational_polynomial': _polynomial,
    'equidistant': _equidistant,
    'fisheye': _equidistant,
}


def _distortion(name: str, d: list[float]) -> tuple[str, tuple[float, ...]]:
    if not name and not any(d):
        return 'PINHOLE', ()
    if name not in _FROM_ROS:
        near = difflib.get_close_matches(name, _FROM_ROS, 1)
        hint = f'did you mean {near[0]!r}?' if near else f'known: {", ".join(_FROM_ROS)}'
        raise DataError(f'camera_info has the unknown distortion model {name!r}; {hint}')
    return _FROM_ROS[name](d)


def _check_principal_point(x: float, y: float, width: int, height: int) -> None:
    """Refuse one that is where only another resolution, or a crop, has it."""
    if width <= 0 or height <= 0:
        return
    right, down = (x + PIXEL_CENTRE) / width - 0.5, (y + PIXEL_CENTRE) / height - 0.5
    is_far = max(abs(right), abs(down)) > FAR_FROM_CENTRE
    if is_far or min(right, down) > SAME_WAY or max(right, down) < -SAME_WAY:
        raise DataError(
            f'camera_info has the principal point at ({x:.6g}, {y:.6g}) of {width}x{height} '
            'pixels, too far from the centre: is K of another resolution? Calibrate for this one; '
            'if the image is part of a larger one, give its width and height, and the part as roi'
        )


def _padded(count: int) -> Callable[[Sequence[float]], list[float]]:
    def pad(params: Sequence[float]) -> list[float]:
        return [*params, *[0.0] * (count - len(params))]

    return pad


_TO_ROS: dict[str, tuple[int, str, Callable[[Sequence[float]], list[float]]]] = {
    # COLMAP model: number of focal lengths, ROS model, coefficients from the further parameters
    'SIMPLE_PINHOLE': (1, 'plumb_bob', _padded(5)),
    'PINHOLE': (2, 'plumb_bob', _padded(5)),
    'SIMPLE_RADIAL': (1, 'plumb_bob', _padded(5)),
    'RADIAL': (1, 'plumb_bob', _padded(5)),
    'OPENCV': (2, 'plumb_bob', _padded(5)),
    'FULL_OPENCV': (2, 'rational_polynomial', _padded(NUM_RATIONAL_COEFFICIENTS)),
    'SIMPLE_FISHEYE': (1, 'equidistant', _padded(NUM_FISHEYE_COEFFICIENTS)),
    'FISHEYE': (2, 'equidistant', _padded(NUM_FISHEYE_COEFFICIENTS)),
    'SIMPLE_RADIAL_FISHEYE': (1, 'equidistant', _padded(NUM_FISHEYE_COEFFICIENTS)),
    'RADIAL_FISHEYE': (1, 'equidistant', _padded(NUM_FISHEYE_COEFFICIENTS)),
    'OPENCV_FISHEYE': (2, 'equidistant', _padded(NUM_FISHEYE_COEFFICIENTS)),
}


def _region(msg: Any) -> tuple[int, int, int, int]:
    """Offset and size of the part of the sensor that is read out, in full-resolution pixels."""
    width, height = int(msg.width), int(msg.height)
    roi = msg.roi
    if not roi.width or not roi.height:
        return 0, 0, width, height
    if roi.x_offset + roi.width > width or roi.y_offset + roi.height > height:
        raise DataError(
            f'camera_info: region of interest {roi.width}x{roi.height} at ({roi.x_offset}, '
            f'{roi.y_offset}) does not lie inside the {width}x{height} sensor; width and height '
            'are those of the full image'
        )
    return int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)


def _camera_info_from_yaml(content: Any) -> SimpleNamespace:
    if not isinstance(content, Mapping):
        raise TypeError(f'a {type(content).__name__} instead of a table')
    calibration = 'image_width' in content
    roi = {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0, **(content.get('roi') or {})}
    return SimpleNamespace(
        width=content['image_width' if calibration else 'width'],
        height=content['image_height' if calibration else 'height'],
        distortion_model=content.get('distortion_model', ''),
        k=content['camera_matrix']['data']
        if calibration
        else content['k' if 'k' in content else 'K'],
        d=content['distortion_coefficients']['data']
        if calibration
        else content['d' if 'd' in content else 'D'],
        binning_x=content.get('binning_x', 0),
        binning_y=content.get('binning_y', 0),
        roi=SimpleNamespace(**roi),
    )


def _field(msg: Any, name: str, ros1_name: str) -> Any:
    return getattr(msg, name) if hasattr(msg, name) else getattr(msg, ros1_name)


def _numbers(values: Any, name: str, count: int | None = None) -> list[float]:
    numbers: list[float] = np.asarray(values, dtype=np.float64).ravel().tolist()
    if count is not None and len(numbers) != count:
        raise DataError(f'camera_info: {name} has {len(numbers)} numbers instead of {count}')
    if not np.isfinite(numbers).all():
        raise DataError(f'camera_info: {name} = {numbers} has a number that is not finite')
    return numbers
