# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG data to pixels, and an error where libjpeg notices damage.

Data that changed or was lost on the way moves blocks and everything after them. libjpeg goes on
with a warning, which OpenCV prints and forgets: keypoints of such an image lie where nothing was.
"""

from __future__ import annotations

from collections.abc import Callable
import re

import numpy as np
from numpy.typing import NDArray
import simplejpeg

from relloc_ros.errors import DataError

__all__ = ['JPEG_MAGIC', 'decode_jpeg', 'jpeg_ends_early', 'jpeg_size']

JPEG_MAGIC = b'\xff\xd8\xff'
SCAN, END = b'\xff\xda', b'\xff\xd9'
PADDING = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
MAX_PADDING = 16
"""Bytes that many webcams write between pixels and end marker."""


def decode_jpeg(data: bytes, check_size: Callable[[int, int], None]) -> NDArray[np.uint8]:
    """Decode to (H, W) grey or (H, W, 3) BGR, as stored: EXIF orientation is not applied.

    Args:
        data: of one image; an end marker may be missing.
        check_size: raises if it does not like width and height; called before memory is taken.

    Raises:
        DataError: no JPEG data, truncated, or damaged in a way that shows.
    """
    size = jpeg_size(data)
    if size is not None:
        check_size(*size)
    if jpeg_ends_early(data):
        # All pixels may be there all the same.
        data += END
    try:
        return _decoded(data, check_size)
    except ValueError as error:
        raise DataError(f'{len(data)} bytes of JPEG data cannot be decoded: {error}') from error


def jpeg_ends_early(data: bytes) -> bool:
    """Tell whether the end marker is missing."""
    # Thumbnails in the header have an end of their own, and some cameras write on after the last.
    return data.rfind(END) < data.rfind(SCAN)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height in the first frame header; None without."""
    start = len(JPEG_MAGIC) - 1
    while start + 9 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker == 0xFF:
            start += 1
            continue
        # C4, C8 and CC lie among the frame headers and are none.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[start + 5 : start + 7], 'big')
            return int.from_bytes(data[start + 7 : start + 9], 'big'), height
        start += 2 + int.from_bytes(data[start + 2 : start + 4], 'big')
    return None


def _decoded(data: bytes, check_size: Callable[[int, int], None]) -> NDArray[np.uint8]:
    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except KeyError as error:
        raise ValueError('its header is damaged') from error
    check_size(width, height)
    if stored in ('CMYK', 'YCCK'):
        raise ValueError(f'colours are stored as {stored}: send grey or YCbCr')
    is_grey = stored == 'Gray'
    colorspace = 'GRAY' if is_grey else 'BGR'
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace)
    except ValueError as error:
        found = PADDING.search(str(error))
        if not found or int(found[1]) > MAX_PADDING:
            raise
        pixels = simplejpeg.decode_jpeg(data, colorspace, strict=False)
    return np.asarray(pixels[:, :, 0] if is_grey else pixels, dtype=np.uint8)
