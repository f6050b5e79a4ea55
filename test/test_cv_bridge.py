# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our decoder against cv_bridge, where a ROS installation has it.

Left out is what cv_bridge gets wrong or refuses: rows whose step is no multiple of the pixel,
big-endian images under numpy 2, uyvy and yuyv, colour from 8UC1, 8UC3 and 16UC1. Those are tested
against known answers in test_image_decoding.py.
"""

from __future__ import annotations

from array import array
from typing import Any

import cv2
import numpy as np
import pytest
from test_image_decoding import HEIGHT, WIDTH, decode, raw_message

cv_bridge = pytest.importorskip('cv_bridge')
messages = pytest.importorskip('sensor_msgs.msg')
boost = pytest.importorskip('cv_bridge.boost.cv_bridge_boost')
if boost.__file__.endswith('.py'):
    pytest.skip('the pure-Python package of this name shears padded rows', allow_module_level=True)


@pytest.mark.parametrize('padding', [0, 12])
@pytest.mark.parametrize(
    ('encoding', 'channels', 'target'),
    [
        ('bgr8', 3, 'bgr8'),
        ('rgb8', 3, 'bgr8'),
        ('bgra8', 4, 'bgr8'),
        ('rgba8', 4, 'bgr8'),
        ('mono8', 1, 'mono8'),
        ('mono16', 1, 'mono8'),
        ('bayer_rggb8', 1, 'bgr8'),
        ('bayer_bggr8', 1, 'bgr8'),
        ('bayer_gbrg8', 1, 'bgr8'),
        ('bayer_grbg8', 1, 'bgr8'),
        ('yuv422', 2, 'bgr8'),
        ('yuv422_yuy2', 2, 'bgr8'),
    ],
)
def test_agrees_on_raw_images(encoding: str, channels: int, target: str, padding: int) -> None:
    dtype: Any = np.uint16 if encoding.endswith('16') else np.uint8
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    pixels = np.random.default_rng(8).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    plain = raw_message(pixels, encoding, padding=padding)
    message = messages.Image(
        height=plain.height,
        width=plain.width,
        encoding=encoding,
        step=plain.step,
        data=array('B', plain.data.tobytes()),
    )
    expected = cv_bridge.CvBridge().imgmsg_to_cv2(message, target)
    # 16 bits are rounded to 8.
    tolerance = 1 if dtype is np.uint16 else 0
    assert np.abs(decode(message).astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(('suffix', 'image_format'), [('.jpg', 'jpeg'), ('.png', 'png')])
def test_agrees_on_compressed_images(suffix: str, image_format: str) -> None:
    image = np.random.default_rng(9).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    content = cv2.imencode(suffix, image)[1].tobytes()
    message = messages.CompressedImage(format=image_format, data=array('B', content))
    expected = cv_bridge.CvBridge().compressed_imgmsg_to_cv2(message)
    np.testing.assert_array_equal(decode(message), expected)
