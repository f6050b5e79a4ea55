# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera intrinsics and distortion, in COLMAP's models and pixel convention.

The centre of the top-left pixel is (0.5, 0.5). ROS and OpenCV put it at (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pycolmap

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array

__all__ = ['MAX_PIXELS', 'Camera']

MAX_ROUND_TRIP_ERROR_PX = 1.0
"""A pixel whose undistorted ray projects further away than this has no usable ray."""

MAX_SIDE = 100_000
"""No camera has more pixels in a row; a header may claim any number."""

MAX_PIXELS = 2**28
"""In all: a picture of more takes gigabytes, and no sensor has as many."""

MAX_ROUNDING_PX = 1.0
"""Width and height of a resized image are whole numbers: one of them may be off by so much."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A calibrated camera.

    Attributes:
        model: name of the COLMAP camera model, for example PINHOLE or FULL_OPENCV.
        width: image width in pixels.
        height: image height in pixels.
        params: the model's parameters in COLMAP's order, lengths in pixels.
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that the numbers describe a camera."""
        if self.width <= 0 or self.height <= 0:
            raise DataError(f'camera size {self.width}x{self.height} is not positive')
        if max(self.width, self.height) > MAX_SIDE:
            raise DataError(
                f'camera size {self.width}x{self.height} is larger than {MAX_SIDE} pixels a side: '
                'correct the calibration'
            )
        if self.width * self.height > MAX_PIXELS:
            raise DataError(
                f'camera size {self.width}x{self.height} is more than {MAX_PIXELS} pixels: '
                'correct the calibration, or make the images smaller'
            )
        camera = _pycolmap_camera(self)
        focal_lengths = [self.params[i] for i in camera.focal_length_idxs()]
        if not np.isfinite(self.params).all() or min(focal_lengths, default=0.0) <= 0:
            raise DataError(
                f'{self.model} camera parameters {self.params} need finite numbers and a positive '
                'focal length: calibrate the camera'
            )

    @property
    def mean_focal_length(self) -> float:
        """Mean of the focal lengths in pixels: converts pixel thresholds to normalized ones."""
        return float(_pycolmap_camera(self).mean_focal_length())

    def normalize(self, points2D: Array) -> Array:
        """Undistort pixels (N, 2) to the plane z = 1 of the camera frame, (N, 2) float64.

        Points without a ray in front of the camera (outside a distortion model's valid region)
        come out as NaN.
        """
        pixels = np.ascontiguousarray(points2D, dtype=np.float64).reshape(-1, 2)
        camera = _pycolmap_camera(self)
        points: Array = np.array(camera.cam_from_img(pixels), dtype=np.float64)
        if not camera.is_undistorted():
            error = np.linalg.norm(self.project(_homogeneous(points)) - pixels, axis=1)
            points[~(error <= MAX_ROUND_TRIP_ERROR_PX)] = np.nan
        return points

    def project(self, points: Array) -> Array:
        """Project (N, 3) points of the camera frame to pixels (N, 2); NaN behind the camera."""
        camera = _pycolmap_camera(self)
        pixels: Array = np.array(camera.img_from_cam(np.ascontiguousarray(points)), dtype=float)
        pixels[~(points[:, 2] > 0)] = np.nan
        return pixels

    def scaled(self, width: int, height: int) -> Camera:
        """Return the camera of the same image resized: x becomes s x, and y likewise.

        Raises:
            DataError: the size is not of the same shape, however it is rounded to pixels.
        """
        x_scale, y_scale = width / self.width, height / self.height
        if abs(x_scale - y_scale) * min(self.width, self.height) > MAX_ROUNDING_PX:
            raise DataError(
                f'a camera of {self.width}x{self.height} pixels cannot be scaled to '
                f'{width}x{height}, which is of another shape'
            )
        camera = self.to_pycolmap(1)
        camera.rescale(width, height)
        return Camera.from_pycolmap(camera)

    def to_pycolmap(self, camera_id: int) -> pycolmap.Camera:
        """Return a fresh pycolmap camera with the given ID."""
        return pycolmap.Camera(
            model=self.model,
            width=self.width,
            height=self.height,
            params=list(self.params),
            camera_id=camera_id,
        )

    @classmethod
    def from_pycolmap(cls, camera: pycolmap.Camera) -> Camera:
        """Copy a pycolmap camera."""
        return cls(
            camera.model_name,
            int(camera.width),
            int(camera.height),
            tuple(map(float, camera.params)),
        )


@lru_cache(maxsize=256)
def _pycolmap_camera(camera: Camera) -> pycolmap.Camera:
    known = [name for name in pycolmap.CameraModelId.__members__ if name != 'INVALID']
    if camera.model not in known:
        raise DataError(f'unknown camera model {camera.model!r}; known: {", ".join(known)}')
    result = pycolmap.Camera.create_from_model_name(
        1, camera.model, 1.0, camera.width, camera.height
    )
    if len(result.params) != len(camera.params):
        raise DataError(
            f'{camera.model} takes {len(result.params)} parameters ({result.params_info}), '
            f'got {len(camera.params)}'
        )
    result.params = list(camera.params)
    return result


def _homogeneous(points: Array) -> Array:
    return np.column_stack([points, np.ones(len(points))])
