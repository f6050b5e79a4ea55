# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network is trained on, and how far off it is: image pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.networks import Network, PairBatch, PairNetwork
from relloc_ros.networks.preprocessing import crop_square, to_tensor
from relloc_ros.networks.training.images import ResizedImages

__all__ = ['Batch', 'Examples', 'Objective', 'PairExamples', 'PairObjective']


class Examples(Protocol):
    """Any number of examples: pairs of images, or something else that is batched."""

    def __len__(self) -> int:
        """Count them."""

    def read(self, index: int, seed: Sequence[int] | None) -> dict[str, Tensor]:
        """Read one.

        Args:
            index: which.
            seed: of what is random in it, together with the index; None for validation, where
                nothing is.

        Returns:
            Tensors as the objective takes them, without the first axis of a batch.
        """


@dataclass(frozen=True, slots=True, eq=False)
class PairExamples:
    """Image pairs.

    Attributes:
        images: those of all maps.
        indices: (P, 2) of map image and query in `images`.
        overlap: (P,) part of the view in [0, 1] that both share.
        crop: side of the square that the network sees, pixels.
    """

    images: ResizedImages
    indices: NDArray[np.int64]
    overlap: NDArray[np.float64]
    crop: int

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.indices)

    def read(self, index: int, seed: Sequence[int] | None) -> dict[str, Tensor]:
        """Read a pair: the fields of a `PairBatch`, without the first axis.

        Raises:
            DataError: an image is not readable, or not the one that its map was built from.
        """
        places = np.full((2, 2), 0.5)
        if seed is not None:
            places = np.random.default_rng([*seed, index]).random((2, 2))
        first, second = self.indices[index].tolist()
        image_a, intrinsics_a = self._cropped(first, places[0])
        image_b, intrinsics_b = self._cropped(second, places[1])
        poses = [self.images.images[each].posed.cam_from_map for each in (first, second)]
        b_from_a = poses[1] @ poses[0].inverse()
        numbers = {
            'rotation': b_from_a.rotation,
            'translation': b_from_a.translation,
            'intrinsics_a': intrinsics_a,
            'intrinsics_b': intrinsics_b,
            'overlap': self.overlap[index],
        }
        return {
            'image_a': image_a,
            'image_b': image_b,
            **{key: torch.tensor(value, dtype=torch.float32) for key, value in numbers.items()},
        }

    def _cropped(
        self, index: int, place: NDArray[np.float64]
    ) -> tuple[Tensor, NDArray[np.float64]]:
        image, intrinsics = self.images.read(index)
        square, moved = crop_square(image, intrinsics, self.crop, (place[0], place[1]))
        return to_tensor(square), moved


class Batch:
    """Examples put together.

    No dict or dataclass: into these Fabric looks, and makes all numbers in them half as precise
    as soon as the network is to calculate that way, poses too.

    Attributes:
        tensors: by name, with B rows.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors."""
        self.tensors = tensors


class Objective(torch.nn.Module):
    """A network and its loss, as one module: a batch becomes losses by name.

    Attributes:
        network: what is trained.
    """

    def __init__(self, network: Network) -> None:
        """Take the network."""
        super().__init__()
        self.network = network


class PairObjective(Objective):
    """A network for pairs and its loss."""

    network: PairNetwork

    def forward(self, examples: Batch) -> dict[str, Tensor]:
        """Give the network's losses, scalars by name, for the fields of a `PairBatch`."""
        batch = PairBatch(**examples.tensors)
        prediction = self.network(batch.image_a, batch.image_b)
        # Errors are small differences: not in the half precision of the layers before.
        with torch.autocast(batch.image_a.device.type, enabled=False):
            exact = {name: value.float() for name, value in prediction.items()}
            return self.network.loss(exact, batch)
