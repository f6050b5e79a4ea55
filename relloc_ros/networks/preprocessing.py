# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an image to what a network sees, in training and localization alike."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array

__all__ = ['crop_square', 'resize_shorter_side', 'to_tensor']

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""Of red, green and blue in ImageNet: what pretrained backbones were trained with."""

Image = NDArray[np.uint8]


def resize_shorter_side(
    image: Image, intrinsics: Array, side: int, multiple: int = 1
) -> tuple[Image, Array]:
    """Resize until the shorter side has `side` pixels.

    Args:
        image: (H, W) grey or (H, W, 3) BGR, uint8.
        intrinsics: (3, 3), COLMAP's pixel convention.
        side: pixels.
        multiple: of which both sides become a whole number; the shape changes a little.

    Returns:
        (H', W', 3) BGR uint8, and its intrinsics: a resize by s maps x to s x.

    Raises:
        DataError: not an image of this kind.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise DataError(
            f'an image of {image.dtype} and shape {image.shape}: networks take (H, W) grey or '
            '(H, W, 3) BGR of uint8'
        )
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    old_height, old_width = image.shape[:2]
    scale = side / min(old_height, old_width)
    height, width = (
        max(1, round(length * scale / multiple)) * multiple for length in (old_height, old_width)
    )
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, (width, height), interpolation=interpolation)
    factors = np.array([width / old_width, height / old_height, 1.0])
    return np.asarray(resized, dtype=np.uint8), factors[:, None] * intrinsics


def crop_square(
    image: Image, intrinsics: Array, side: int, place: tuple[float, float] = (0.5, 0.5)
) -> tuple[Image, Array]:
    """Cut out a square.

    Args:
        image: (H, W, 3) uint8, no side shorter than the square.
        intrinsics: (3, 3).
        side: pixels.
        place: of the square in x and y: 0 is left and top, 1 right and bottom, 0.5 the centre;
            training draws both from [0, 1].

    Returns:
        (side, side, 3) uint8, and its intrinsics.

    Raises:
        DataError: the image is smaller than the square.
    """
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise DataError(
            f'an image of {width}x{height} pixels is smaller than the crop of {side}: make '
            'shorter_side at least as large as crop'
        )
    left, top = round(place[0] * (width - side)), round(place[1] * (height - side))
    moved = intrinsics.copy()
    moved[0, 2] -= left
    moved[1, 2] -= top
    return image[top : top + side, left : left + side], moved


def to_tensor(image: Image) -> Tensor:
    """Turn (H, W, 3) BGR uint8 into (3, H, W) float32 RGB, normalized as ImageNet."""
    values = (image[:, :, ::-1].astype(np.float32) / 255.0 - MEAN) / STD
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
