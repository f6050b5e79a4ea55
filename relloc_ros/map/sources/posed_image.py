# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A posed image as the builder takes it, and its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import MAX_PIXELS, Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import encoded_size, ends_early
from relloc_ros.jpeg import JPEG_MAGIC, decode_jpeg
from relloc_ros.map.sources.reading import PixelSource

__all__ = ['PosedImage', 'check_size', 'image_size', 'read_image', 'read_pixels']


@dataclass(frozen=True, slots=True, eq=False)
class PosedImage:
    """An image with camera and pose, its pixels still on disk. A pickled copy has a full path.

    Attributes:
        name: path relative to the images folder, unique in its source.
        path: the image file, or the bag that holds the image.
        camera: intrinsics and distortion.
        cam_from_map: pose, COLMAP's cam_from_world.
        stamp_ns: as the source says; else from the name if it is a time, else counted up by name.
        pixels: reads the pixels of an image that is no file; None reads `path`.
    """

    name: str
    path: Path
    camera: Camera
    cam_from_map: RigidTransform
    stamp_ns: int
    pixels: PixelSource | None = None

    def __reduce__(self) -> tuple[type[PosedImage], tuple[Any, ...]]:
        """Send what another process finds, wherever it runs."""
        path = self.path.absolute()
        pose = self.cam_from_map
        return PosedImage, (self.name, path, self.camera, pose, self.stamp_ns, self.pixels)


def read_image(posed: PosedImage) -> NDArray[np.uint8]:
    """Read the image as (H, W, 3) BGR uint8.

    Raises:
        DataError: not readable, or not of the camera's size.
    """
    if posed.pixels is not None:
        return posed.pixels.read(posed.camera)
    return read_pixels(posed.path, posed.camera)


def read_pixels(path: Path, camera: Camera) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) BGR uint8, as large as its camera says.

    Raises:
        DataError: not readable, or not of the camera's size.
    """
    data = _read_file(path)

    def check(width: int, height: int) -> None:
        check_size(width, height, camera, f'image {path}')

    # Before decoding: a wrong header could ask for gigabytes.
    size = encoded_size(data)
    if size is not None:
        check(*size)
    if ends_early(data):
        raise DataError(f'cannot decode image {path}: it is truncated; copy it again')
    if data.startswith(JPEG_MAGIC):
        return _decode_jpeg(path, data, check)
    image = _decode(path, data)
    check(image.shape[1], image.shape[0])
    return image


def check_size(width: int, height: int, camera: Camera, label: str) -> None:
    """Compare an image with its camera.

    Raises:
        DataError: other sizes.
    """
    if (width, height) != (camera.width, camera.height):
        raise DataError(
            f'{label} is {width}x{height} pixels, its camera {camera.width}x'
            f'{camera.height}: scale the calibration, or use the images it was made for'
        )


def image_size(path: Path) -> tuple[int, int]:
    """Read width and height; PNG and JPEG files are not decoded for them.

    Raises:
        DataError: missing, or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f'cannot read image {path}: {error.strerror}') from error
    size = encoded_size(data)
    if size is not None:
        if size[0] * size[1] > MAX_PIXELS:
            raise DataError(
                f'image {path} claims {size[0]}x{size[1]} pixels, more than {MAX_PIXELS}: '
                'make it smaller'
            )
        return size
    try:
        height, width = _decode(path, data).shape[:2]
    except DataError as error:
        raise DataError(f'image {path} is no PNG or JPEG file') from error
    return width, height


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f'cannot decode image {path}: no such file')
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f'cannot read image {path}: {error.strerror}') from error


def _decode_jpeg(path: Path, data: bytes, check: Callable[[int, int], None]) -> NDArray[np.uint8]:
    try:
        image = decode_jpeg(data, check)
    except DataError as error:
        raise DataError(f'cannot decode image {path}: {error}') from error
    if image.ndim == 3:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def _decode(path: Path, data: bytes) -> NDArray[np.uint8]:
    # Calibration belongs to the stored pixels, whatever EXIF says about turning them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DataError(f'cannot decode image {path}: {error}') from error
    if image is None:
        raise DataError(f'cannot decode image {path}: damaged or no image file')
    return np.asarray(image, dtype=np.uint8)
