# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The global descriptors of an image for retrieval, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import MapConfig
from relloc_ros.vision.dense_vlad import DenseVlad
from relloc_ros.vision.efficientnet_gem import EfficientNetGem

__all__ = ['GLOBAL_DESCRIPTORS', 'GlobalDescriptor']

FloatArray = NDArray[np.float32]


class GlobalDescriptor(Protocol):
    """Turns an image into a vector whose inner products tell how alike two images are.

    Learned from the images of a map and kept in its vocabulary.npz.

    Attributes:
        TRAINING_PASSES: how often `train` goes through its images.
    """

    TRAINING_PASSES: ClassVar[int]

    @property
    def weights(self) -> str:
        """SHA-256 of the network's weights; '' without a network."""

    @property
    def dimension(self) -> int:
        """Length of the described vectors."""

    @property
    def arrays(self) -> tuple[FloatArray, ...]:
        """Everything that was learned from the images."""

    @classmethod
    def train(cls, images: Sequence[NDArray[np.uint8]], config: MapConfig) -> GlobalDescriptor:
        """Learn from grey or BGR uint8 images, which may be read lazily.

        Raises:
            DataError: no image has texture, or weights are missing from `config.weights_folder`.
            MissingDependencyError: a package is not installed.
        """

    def prepare(self) -> None:
        """Load what `describe` needs, so that it does not fail on an image.

        Raises:
            DataError: weights missing, damaged, or others than in training.
            MissingDependencyError: a package is not installed.
        """

    def describe(self, image: NDArray[np.uint8]) -> FloatArray:
        """Describe a grey or BGR uint8 image by (D,) float32 of length 1; zeros if it is blank."""

    def save(self, path: Path) -> None:
        """Write an .npz file."""

    @classmethod
    def load(cls, path: Path, weights_folder: str = '') -> GlobalDescriptor:
        """Read an .npz file; the network is not loaded yet.

        Raises:
            DataError: missing or damaged file, or arrays that do not fit together.
        """


GLOBAL_DESCRIPTORS: dict[str, type[GlobalDescriptor]] = {
    'dense_vlad': DenseVlad,
    'efficientnet_gem': EfficientNetGem,
}
