# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and pairs of any number of maps, put together for one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib

import numpy as np
from numpy.typing import NDArray

from relloc_ros.networks.network_config import NetworkConfig
from relloc_ros.networks.training.examples import PairExamples
from relloc_ros.networks.training.images import ResizedImages, TrainingImage
from relloc_ros.networks.training.pairs import MapPairs

__all__ = ['TrainingData']


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What a network learns from.

    Attributes:
        images: those of all maps.
        pairs: of all maps, with indices in `images`.
        starts: (M + 1,) where in `images` those of each of M maps begin, and the last end.
    """

    images: list[TrainingImage]
    pairs: MapPairs
    starts: NDArray[np.int64]

    @classmethod
    def of_maps(
        cls, images: Sequence[Sequence[TrainingImage]], pairs: Sequence[MapPairs]
    ) -> TrainingData:
        """Put maps together, of each its images and pairs."""
        starts = np.cumsum([0, *(len(each) for each in images)])
        joined = MapPairs(
            np.concatenate(
                [each.indices + start for each, start in zip(pairs, starts[:-1], strict=True)]
            ),
            np.concatenate([each.overlap for each in pairs]),
            np.concatenate([each.validation for each in pairs]),
        )
        return cls([image for each in images for image in each], joined, starts)

    def pair_names(self) -> list[list[tuple[str, str]]]:
        """Give the names of map image and query of all pairs, for each map."""
        names = [image.posed.name for image in self.images]
        of_map = np.searchsorted(self.starts, self.pairs.indices[:, 0], side='right') - 1
        return [
            [(names[first], names[second]) for first, second in self.pairs.indices[of_map == map_]]
            for map_ in range(len(self.starts) - 1)
        ]

    @property
    def num_validation(self) -> int:
        """Number of pairs for validation; all others are for training."""
        return int(self.pairs.validation.sum())

    def num_images(self, *, validation: bool) -> int:
        """Count the images that only validation sees, or the others; of those in pairs."""
        seen = np.unique(self.pairs.indices[~self.pairs.validation])
        if not validation:
            return len(seen)
        return len(np.setdiff1d(self.pairs.indices[self.pairs.validation], seen))

    def examples(self, config: NetworkConfig) -> tuple[PairExamples, PairExamples]:
        """Give the pairs for training and for validation, as a network sees them."""
        resized = ResizedImages(self.images, config.shorter_side)
        training, validation = (
            PairExamples(
                resized, self.pairs.indices[chosen], self.pairs.overlap[chosen], config.crop
            )
            for chosen in (~self.pairs.validation, self.pairs.validation)
        )
        return training, validation

    def digest(self) -> str:
        """Give a hash of pixels, poses, cameras and pairs, as hexadecimal text."""
        content = hashlib.sha256()
        for image in self.images:
            camera = image.posed.camera
            calibration = (camera.model, camera.width, camera.height, camera.params)
            content.update(f'{image.posed.name}\n{image.digest}\n{calibration}\n'.encode())
            content.update(image.posed.cam_from_map.matrix.tobytes())
        content.update(_bytes(self.pairs.indices))
        content.update(_bytes(self.pairs.validation))
        return content.hexdigest()


def _bytes(table: NDArray[np.int64] | NDArray[np.bool_]) -> bytes:
    return np.ascontiguousarray(table).tobytes()
