# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every network for image pairs promises: the same in training and in localization.

Three stages stay visible, as Sattler et al. (CVPR 2019) look at pose regression: `describe` makes
features of an image by itself, `compare` embeds two of them, and its last layer is linear.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from relloc_ros.errors import DataError
from relloc_ros.networks.backbones import Backbone
from relloc_ros.networks.network_config import NetworkConfig

__all__ = ['Network', 'PairBatch', 'PairNetwork', 'Prediction', 'check_images']

Prediction = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """B image pairs with what is known of them. A is the map image, B the query.

    Attributes:
        image_a: (B, 3, H, W) float32, prepared by `preprocessing`.
        image_b: likewise.
        rotation: (B, 3, 3) b_from_a.
        translation: (B, 3) b_from_a, map units: ``x_b = rotation @ x_a + translation``.
        intrinsics_a: (B, 3, 3) of the prepared image, COLMAP's pixel convention.
        intrinsics_b: likewise.
        overlap: (B,) part of the view in [0, 1] that both images share.
    """

    image_a: Tensor
    image_b: Tensor
    rotation: Tensor
    translation: Tensor
    intrinsics_a: Tensor
    intrinsics_b: Tensor
    overlap: Tensor

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        count = len(self.image_a)
        for name, shape in (
            ('rotation', (count, 3, 3)),
            ('translation', (count, 3)),
            ('intrinsics_a', (count, 3, 3)),
            ('intrinsics_b', (count, 3, 3)),
            ('overlap', (count,)),
        ):
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise DataError(f'{name} of a batch of {count} pairs has shape {found}: {shape}')

    def to(self, device: torch.device | str) -> PairBatch:
        """Return the batch on a device."""
        return PairBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


class Network(torch.nn.Module):
    """What is trained and stored alike, whatever it predicts.

    Attributes:
        name: in checkpoints and in messages.
        config_class: of its settings.
        config: its settings.
        backbone: makes features of an image.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[NetworkConfig]]
    backbone: Backbone

    def __init__(self, config: NetworkConfig) -> None:
        """Keep the settings; a network adds its layers."""
        super().__init__()
        self.config = config


class PairNetwork(Network):
    """A network of the NETWORKS table, that says how two images lie to each other.

    Its backbone is the first part of `describe`.
    """

    def forward(self, image_a: Tensor, image_b: Tensor) -> Prediction:
        """Predict the relative pose b_from_a of B image pairs.

        Args:
            image_a: (B, 3, H, W) floating point, prepared by `preprocessing`.
            image_b: likewise.

        Returns:
            `essential` (B, 3, 3) with ``x_b^T E x_a = 0``, or `rotation` (B, 3, 3), `quaternion`
            (B, 4) in the order w, x, y, z of unit length, and `translation` (B, 3), b_from_a;
            `scores` if it matches only. A network may add what its loss needs.

        Raises:
            DataError: shape or dtype of an image are not those the network takes.
        """
        self._check(image_a, 'image_a')
        self._check(image_b, 'image_b')
        if len(image_a) != len(image_b):
            raise DataError(f'image_a holds {len(image_a)} images, image_b {len(image_b)}')
        # Together, so that batch statistics are those of all images.
        features = self.describe(torch.cat([image_a, image_b]))
        return self.compare(features[: len(image_a)], features[len(image_a) :])

    @abstractmethod
    def describe(self, image: Tensor) -> Tensor:
        """Stage 1: features of B images (B, 3, H, W), each by itself."""

    @abstractmethod
    def compare(self, features_a: Tensor, features_b: Tensor) -> Prediction:
        """Stages 2 and 3: what `forward` returns, from the features of B pairs."""

    @abstractmethod
    def loss(self, prediction: Prediction, batch: PairBatch) -> dict[str, Tensor]:
        """Compare with the truth.

        Returns:
            Scalars by name: `loss`, which is to be minimized, and its parts.
        """

    def _check(self, image: Tensor, name: str) -> None:
        dtype = next(self.parameters()).dtype
        check_images(image, name, dtype, self.config.crop)


def check_images(image: Tensor, name: str, dtype: torch.dtype, side: int | None) -> None:
    """Check a batch of images.

    Raises:
        DataError: not (B, 3, side, side), or of another dtype; says which image it is.
    """
    shape = tuple(image.shape)
    wanted = (3,) if side is None else (3, side, side)
    if image.ndim != 4 or shape[1 : 1 + len(wanted)] != wanted or 0 in shape:
        sides = 'H, W' if side is None else f'{side}, {side}'
        raise DataError(f'{name} has shape {shape}; the network takes (B, 3, {sides})')
    if image.dtype != dtype:
        raise DataError(
            f'{name} is of {image.dtype}; the network takes {dtype}: prepare images with '
            'networks.preprocessing'
        )
