# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to pixels: the one decoder of node and bag reader.

Takes sensor_msgs/Image and sensor_msgs/CompressedImage of rclpy and of the rosbags library alike.
Row padding (`step`) and byte order are honoured. Images of 16 bits are scaled by 255/65535, as
cv_bridge does; an alpha channel is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
import difflib
import re
import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.camera_info import camera_from_camera_info
from relloc_ros.errors import DataError
from relloc_ros.frames import stamp_to_ns
from relloc_ros.jpeg import JPEG_MAGIC, decode_jpeg, jpeg_ends_early, jpeg_size
from relloc_ros.structures import QueryImage

__all__ = [
    'camera_from_camera_info',
    'decode_image',
    'encoded_size',
    'ends_early',
    'is_compressed',
    'stamp_of',
]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

SCALE_16_TO_8_BIT = 255.0 / 65535.0
MIN_BAYER_SIZE = 3
"""Smaller images come out of OpenCV's interpolation all black."""

MAX_ENLARGEMENT = 8
"""A header that speaks of more must not make the decoder ask for gigabytes."""

PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
PNG_END = b'IEND'
PNM_HEADER = re.compile(rb'P[1-6]\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s')


@dataclass(frozen=True, slots=True)
class _Encoding:
    bits: int
    channels: int
    to_bgr: int | None = None
    """OpenCV's conversion code; None leaves grey grey and BGR BGR."""


_ENCODINGS = {
    'mono8': _Encoding(8, 1),
    'mono16': _Encoding(16, 1),
    '8UC1': _Encoding(8, 1),
    '16UC1': _Encoding(16, 1),
    'bgr8': _Encoding(8, 3),
    'bgr16': _Encoding(16, 3),
    '8UC3': _Encoding(8, 3),
    '16UC3': _Encoding(16, 3),
    'rgb8': _Encoding(8, 3, cv2.COLOR_RGB2BGR),
    'rgb16': _Encoding(16, 3, cv2.COLOR_RGB2BGR),
    'bgra8': _Encoding(8, 4, cv2.COLOR_BGRA2BGR),
    'bgra16': _Encoding(16, 4, cv2.COLOR_BGRA2BGR),
    '8UC4': _Encoding(8, 4, cv2.COLOR_BGRA2BGR),
    'rgba8': _Encoding(8, 4, cv2.COLOR_RGBA2BGR),
    'rgba16': _Encoding(16, 4, cv2.COLOR_RGBA2BGR),
    # ROS names a pattern by its first two pixels, OpenCV by the second and third of row two.
    'bayer_rggb8': _Encoding(8, 1, cv2.COLOR_BayerBG2BGR),
    'bayer_bggr8': _Encoding(8, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg8': _Encoding(8, 1, cv2.COLOR_BayerGR2BGR),
    'bayer_grbg8': _Encoding(8, 1, cv2.COLOR_BayerGB2BGR),
    'bayer_rggb16': _Encoding(16, 1, cv2.COLOR_BayerBG2BGR),
    'bayer_bggr16': _Encoding(16, 1, cv2.COLOR_BayerRG2BGR),
    'bayer_gbrg16': _Encoding(16, 1, cv2.COLOR_BayerGR2BGR),
    'bayer_grbg16': _Encoding(16, 1, cv2.COLOR_BayerGB2BGR),
    'yuv422': _Encoding(8, 2, cv2.COLOR_YUV2BGR_UYVY),
    'uyvy': _Encoding(8, 2, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422_yuy2': _Encoding(8, 2, cv2.COLOR_YUV2BGR_YUY2),
    'yuyv': _Encoding(8, 2, cv2.COLOR_YUV2BGR_YUY2),
}


def decode_image(msg: Any, camera: Camera, name: str = '', *, resized: bool = False) -> QueryImage:
    """Decode an image message.

    Args:
        msg: sensor_msgs/Image or sensor_msgs/CompressedImage.
        camera: of the same size as the image.
        name: topic or file, for messages to people.
        resized: the camera may be of another size: it is scaled to that of the image, which has
            to have the same shape.

    Raises:
        DataError: the message is damaged, its encoding unknown, or its size not the camera's.
    """
    label = f'image of {name}' if name else 'image'
    sizes = _Sizes(camera, resized)
    try:
        pixels = _decompress(msg, sizes) if is_compressed(msg) else _decode_raw(msg, sizes)
    except DataError as error:
        raise DataError(f'{label}: {error}') from error
    except cv2.error as error:
        raise DataError(f'{label} cannot be decoded: {error}') from error
    return QueryImage(
        image=_to_8_bit(pixels),
        camera=sizes.camera_of(pixels.shape[1], pixels.shape[0]),
        stamp_ns=stamp_of(msg),
        frame_id=msg.header.frame_id.lstrip('/'),
        name=name,
    )


def stamp_of(msg: Any) -> int:
    """Nanoseconds of a message's header stamp."""
    return stamp_to_ns(msg.header.stamp)


def is_compressed(msg: Any) -> bool:
    """Tell a sensor_msgs/CompressedImage from a sensor_msgs/Image."""
    return hasattr(msg, 'format')


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Which sizes an image may have."""

    camera: Camera
    resized: bool

    def check(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise DataError(f'size {width}x{height} has no pixels: the driver sends empty images')
        self.camera_of(width, height)

    def camera_of(self, width: int, height: int) -> Camera:
        camera = self.camera
        if (width, height) == (camera.width, camera.height):
            return camera
        problem = f'size {width}x{height} differs from the camera, {camera.width}x{camera.height}'
        if not self.resized:
            raise DataError(
                f'{problem}: use the camera_info that belongs to this image (its binning and '
                'region of interest count), or set resized_images if somebody resizes the image'
            )
        if width > MAX_ENLARGEMENT * camera.width:
            raise DataError(f'{problem}, and is more than {MAX_ENLARGEMENT} times as large')
        try:
            return camera.scaled(width, height)
        except DataError as error:
            raise DataError(
                f'{problem}, and resized_images takes only the same shape: an image that is cut '
                'needs a camera_info with its region of interest'
            ) from error


def _decode_raw(msg: Any, sizes: _Sizes) -> Pixels:
    encoding = _find_encoding(msg.encoding)
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    sizes.check(width, height)
    row_bytes = width * encoding.channels * encoding.bits // 8
    if step < row_bytes:
        raise DataError(
            f'step {step} is less than the {row_bytes} bytes of {width} pixels {msg.encoding}: '
            'the driver fills the message wrongly'
        )
    data = np.frombuffer(msg.data, dtype=np.uint8) if len(msg.data) else np.empty(0, np.uint8)
    if data.size < step * height:
        raise DataError(
            f'{data.size} bytes of data are fewer than step {step} x height {height}: '
            'the message is truncated'
        )
    rows = data[: step * height].reshape(height, step)[:, :row_bytes]
    pixels: Pixels = np.ascontiguousarray(rows)
    if encoding.bits == 16:
        pixels = pixels.view(np.uint16)
        if bool(msg.is_bigendian) != (sys.byteorder == 'big'):
            pixels = pixels.byteswap()
    if encoding.channels > 1:
        pixels = pixels.reshape(height, width, encoding.channels)
    return _to_bgr(pixels, encoding)


def _to_bgr(pixels: Pixels, encoding: _Encoding) -> Pixels:
    if encoding.to_bgr is None:
        return pixels
    height, width = pixels.shape[:2]
    if encoding.channels == 1 and min(height, width) < MIN_BAYER_SIZE:
        raise DataError(f'a Bayer image of {width}x{height} pixels is too small to interpolate')
    if encoding.channels == 2 and width % 2:
        raise DataError(f'a YUV 4:2:2 image needs an even width, this one is {width} pixels wide')
    return _pixels(cv2.cvtColor(pixels, encoding.to_bgr))


def _find_encoding(name: str) -> _Encoding:
    if name in _ENCODINGS:
        return _ENCODINGS[name]
    if name in ('32FC1', '64FC1') or 'depth' in name.lower():
        raise DataError(
            f'encoding {name!r} holds depth: use the topic of the colour or grey image'
        )
    near = difflib.get_close_matches(name, _ENCODINGS, 1, 0.5)
    hint = f'the nearest known is {near[0]!r}' if near else f'known: {", ".join(_ENCODINGS)}'
    raise DataError(f'encoding {name!r} is unknown; {hint}')


def _decompress(msg: Any, sizes: _Sizes) -> Pixels:
    data = bytes(msg.data)
    if data.startswith(JPEG_MAGIC):
        return decode_jpeg(data, sizes.check)
    if not data.startswith(PNG_MAGIC):
        raise DataError(
            f'compressed image of format {msg.format!r} ({len(data)} bytes) is neither JPEG nor '
            'PNG: set the publisher to one of these'
        )
    size = encoded_size(data)
    if size is not None:
        # Before decoding: a wrong header could ask for gigabytes.
        sizes.check(*size)
    # As stored: calibration knows nothing of EXIF orientation.
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise DataError(
            f'compressed image of format {msg.format!r} ({len(data)} bytes) cannot be decoded: '
            'truncated or damaged'
        )
    pixels = _pixels(decoded)
    sizes.check(pixels.shape[1], pixels.shape[0])
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return _pixels(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR))
    return pixels


def encoded_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height from the header of a PNG, JPEG, PNM or BMP file; None without."""
    if data.startswith(JPEG_MAGIC):
        return jpeg_size(data)
    if data.startswith(PNG_MAGIC):
        return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')
    if data.startswith(b'BM'):
        # Rows from top to bottom have a negative height.
        width, height = (int.from_bytes(data[i : i + 4], 'little', signed=True) for i in (18, 22))
        return abs(width), abs(height)
    found = PNM_HEADER.match(data)
    return (int(found[1]), int(found[2])) if found else None


def ends_early(data: bytes) -> bool:
    """Tell whether a PNG or JPEG file lacks its end; some versions of OpenCV fill in grey."""
    if data.startswith(PNG_MAGIC):
        return data.rfind(PNG_END) < 0
    return data.startswith(JPEG_MAGIC) and jpeg_ends_early(data)


def _pixels(image: Any) -> Pixels:
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(f'pixels of type {image.dtype} are not supported: send 8 or 16 bits')
    pixels: Pixels = np.asarray(image)
    return pixels


def _to_8_bit(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint16:
        return np.asarray(cv2.convertScaleAbs(pixels, alpha=SCALE_16_TO_8_BIT), dtype=np.uint8)
    return np.asarray(pixels, dtype=np.uint8)
