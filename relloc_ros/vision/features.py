# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Local features: RootSIFT (Arandjelovic and Zisserman, CVPR 2012) from OpenCV's SIFT."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array

__all__ = ['DESCRIPTOR_SCALE', 'LocalFeatures', 'extract_features', 'to_grey']

DESCRIPTOR_SCALE = 512.0
"""RootSIFT components times this are stored as uint8, COLMAP's convention."""

SIFT_BIAS_PX = 0.25
"""OpenCV's SIFT without precise upscale finds blobs this much too far right and down."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Keypoints and their descriptors, strongest first.

    Attributes:
        points2D: (N, 2) float64 pixels, COLMAP's convention, distorted as in the image.
        descriptors: (N, 128) uint8 RootSIFT times `DESCRIPTOR_SCALE`.
    """

    points2D: Array
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of keypoints."""
        return len(self.points2D)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give (H, W) grey of a grey or BGR image, uint8."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[:, :, 0]
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def extract_features(image: NDArray[np.uint8], max_keypoints: int) -> LocalFeatures:
    """Find at most `max_keypoints` RootSIFT features in a grey or BGR uint8 image of any size."""
    grey = to_grey(image)
    if min(grey.shape) < 2:
        return _no_features()
    sift, bias_px = _create_sift(max_keypoints)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if descriptors is None or len(keypoints) == 0:
        return _no_features()
    # OpenCV keeps ties at the last place, so the cut is made here, in a stable order.
    order = np.argsort([-keypoint.response for keypoint in keypoints], kind='stable')
    order = order[:max_keypoints]
    points2D = np.array(cv2.KeyPoint.convert(keypoints), dtype=np.float64)[order] + 0.5 - bias_px
    return LocalFeatures(points2D, _root_sift(descriptors[order]))


def _create_sift(max_keypoints: int) -> tuple[cv2.SIFT, float]:
    try:
        return cv2.SIFT.create(nfeatures=max_keypoints, enable_precise_upscale=True), 0.0
    except (cv2.error, TypeError):  # before OpenCV 4.8
        return cv2.SIFT.create(nfeatures=max_keypoints), SIFT_BIAS_PX


def _root_sift(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    sums = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-12)
    scaled = np.sqrt(descriptors / sums) * DESCRIPTOR_SCALE
    return np.minimum(np.rint(scaled), 255).astype(np.uint8)


def _no_features() -> LocalFeatures:
    return LocalFeatures(np.empty((0, 2)), np.empty((0, 128), dtype=np.uint8))
