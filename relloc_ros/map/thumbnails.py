# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small copies of a map's images, for people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.image_decoding import encoded_size
from relloc_ros.map.plain_files import read_plain

__all__ = ['read_thumbnail']

MAX_BYTES, MAX_SIDE = 2**20, 1000


def read_thumbnail(path: Path) -> NDArray[np.uint8] | None:
    """Read a thumbnail, BGR; None where there is none or it cannot be read."""
    data = read_plain(path, MAX_BYTES)
    size = None if data is None else encoded_size(data)
    # Before decoding: a header could ask for gigabytes.
    if data is None or size is None or not 0 < max(size) <= MAX_SIDE:
        return None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, dtype=np.uint8)
