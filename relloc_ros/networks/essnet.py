# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Essential matrices by regression: EssNet and NC-EssNet (Zhou et al., ICRA 2020, IV-B)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from relloc_ros.networks.backbones import make_backbone
from relloc_ros.networks.base import PairBatch, PairNetwork, Prediction
from relloc_ros.networks.consensus import NeighbourhoodConsensus
from relloc_ros.networks.correlation import as_channels, correlate
from relloc_ros.networks.losses import (
    epipolar_error,
    essential_distance,
    essential_distance_up_to_sign,
)
from relloc_ros.networks.manifold import essential_from_pose, project_to_essential
from relloc_ros.networks.network_config import EssNetConfig, NcEssNetConfig, NetworkConfig

__all__ = ['EssNet', 'NcEssNet']

HEAD_CHANNELS = (128, 64)


class EssNet(PairNetwork):
    """Backbone; correlation volume and two convolutions; a linear layer to nine numbers."""

    name: ClassVar[str] = 'essnet'
    config_class: ClassVar[type[NetworkConfig]] = EssNetConfig
    config: EssNetConfig

    def __init__(self, config: EssNetConfig) -> None:
        super().__init__(config)
        self.backbone = make_backbone(config.backbone, config.last_stage)
        side = -(-config.crop // self.backbone.stride)
        self.embedding = nn.Sequential(
            *_convolution(side * side, HEAD_CHANNELS[0]),
            *_convolution(HEAD_CHANNELS[0], HEAD_CHANNELS[1]),
            nn.Flatten(),
        )
        self.projection = nn.Linear(HEAD_CHANNELS[1] * side * side, 9)

    def describe(self, image: Tensor) -> Tensor:
        """Features (B, C, H', W')."""
        return self.backbone(image)

    def match(self, features_a: Tensor, features_b: Tensor) -> Tensor:
        """Scores (B, Ha, Wa, Hb, Wb) of all pairs of places."""
        return correlate(features_a, features_b)

    def compare(self, features_a: Tensor, features_b: Tensor) -> Prediction:
        """Give `essential` (B, 3, 3), on the essential manifold."""
        embedded = self.embedding(as_channels(self.match(features_a, features_b)))
        return {'essential': project_to_essential(self.projection(embedded).unflatten(1, (3, 3)))}

    def loss(self, prediction: Prediction, batch: PairBatch) -> dict[str, Tensor]:
        """Give `loss`, of the kind in the settings."""
        predicted = prediction['essential']
        if self.config.loss == 'epipolar':
            height, width = batch.image_a.shape[2:]
            loss = epipolar_error(
                predicted, batch.rotation, batch.translation, batch.intrinsics_a, (width, height)
            )
            return {'loss': loss}
        distance = (
            essential_distance
            if self.config.loss == 'euclidean'
            else essential_distance_up_to_sign
        )
        truth = essential_from_pose(batch.rotation, batch.translation)
        return {'loss': distance(predicted, truth)}


class NcEssNet(EssNet):
    """EssNet whose correlation volume is filtered by neighbourhood consensus."""

    name: ClassVar[str] = 'nc_essnet'
    config_class: ClassVar[type[NetworkConfig]] = NcEssNetConfig

    def __init__(self, config: NcEssNetConfig) -> None:
        super().__init__(config)
        self.consensus = NeighbourhoodConsensus(config.consensus_channels)

    def match(self, features_a: Tensor, features_b: Tensor) -> Tensor:
        """Scores (B, Ha, Wa, Hb, Wb) after mutual matching, consensus and mutual matching."""
        return self.consensus(correlate(features_a, features_b))


def _convolution(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode='fan_out', nonlinearity='relu')
    return convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)
