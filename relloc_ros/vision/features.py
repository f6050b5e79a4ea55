# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Local features by name: RootSIFT (Arandjelovic and Zisserman, CVPR 2012) from OpenCV's SIFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import ConfigError
from relloc_ros.geometry import Array
from relloc_ros.vision.matching import unit_descriptors

__all__ = [
    'DESCRIPTOR_DIMENSIONS',
    'DESCRIPTOR_SCALE',
    'FeatureExtractor',
    'LocalFeatures',
    'RootSift',
    'create_extractor',
    'extract_features',
    'mirror_descriptors',
    'to_grey',
]

DESCRIPTOR_DIMENSIONS = {'rootsift': 128, 'xfeat': 64}
"""Length of a descriptor by the name of the features."""

DESCRIPTOR_SCALE = 512.0
"""RootSIFT components times this are stored as uint8, COLMAP's convention."""

MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()
"""Order of the numbers of a SIFT descriptor after mirroring: rows change sides, angles signs."""

SIFT_BIAS_PX = 0.25
"""OpenCV's SIFT without precise upscale finds blobs this much too far right and down."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Keypoints and their descriptors, strongest first.

    Attributes:
        points2D: (N, 2) float64 pixels, COLMAP's convention, distorted as in the image.
        descriptors: (N, D) uint8, as the extractor stores them.
    """

    points2D: Array
    descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of keypoints."""
        return len(self.points2D)


class FeatureExtractor(Protocol):
    """Finds keypoints and describes them, the same for the same image.

    Attributes:
        name: as in the settings.
        dimension: length D of a descriptor.
        match_ratio: of the ratio test that suits the descriptors.
        weights: SHA-256 of the network's weights, known once prepared; '' without a network.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def match_ratio(self) -> float: ...  # noqa: D102
    @property
    def weights(self) -> str: ...  # noqa: D102

    def prepare(self) -> None:
        """Load what `extract` needs; nothing else needs it.

        Raises:
            DataError: weights missing from the folder, or unusable.
            MissingDependencyError: a package for learned features is not installed.
        """

    def extract(self, image: NDArray[np.uint8], max_keypoints: int) -> LocalFeatures:
        """Find at most `max_keypoints` features in a grey or BGR uint8 image of any size."""

    def unit_descriptors(self, descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (N, D) uint8 descriptors, as stored, into float32 ones of unit length."""


class RootSift:
    """The default: 128-dimensional, indifferent to rotation and scale."""

    name = 'rootsift'
    dimension = DESCRIPTOR_DIMENSIONS['rootsift']
    match_ratio = 0.85
    weights = ''

    def prepare(self) -> None:
        """Do nothing: there is no network to load."""

    def extract(self, image: NDArray[np.uint8], max_keypoints: int) -> LocalFeatures:
        """Find at most `max_keypoints` features in a grey or BGR uint8 image of any size."""
        return extract_features(image, max_keypoints)

    def unit_descriptors(self, descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (N, 128) uint8 descriptors, as stored, into float32 ones of unit length."""
        return unit_descriptors(descriptors)


def create_extractor(name: str, weights_folder: str = '') -> FeatureExtractor:
    """Make the extractor of features of this name, not prepared yet.

    Args:
        name: one of `DESCRIPTOR_DIMENSIONS`.
        weights_folder: with the weights of networks; '' takes installed packages.

    Raises:
        ConfigError: no such features.
    """
    if name == 'rootsift':
        return RootSift()
    if name == 'xfeat':
        from relloc_ros.vision.xfeat import XFeat  # noqa: PLC0415  it builds on this module

        return XFeat(weights_folder)
    raise ConfigError(f'unknown features {name!r}; known: {", ".join(DESCRIPTOR_DIMENSIONS)}')


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


def mirror_descriptors(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the RootSIFT descriptors (N, 128) that the mirror image would have at the keypoints.

    Four by four cells of eight directions, along and across the direction of the keypoint: what
    lies across changes sides.
    """
    return np.ascontiguousarray(descriptors[:, MIRRORED])


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
    return LocalFeatures(np.empty((0, 2)), np.empty((0, RootSift.dimension), dtype=np.uint8))
