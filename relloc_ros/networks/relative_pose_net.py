# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Relative poses by regression from pooled features: Relative PN and RelocNet.

Laskar et al., ICCV workshops 2017; Balntas et al., ECCV 2018. Translations are in the units of the
maps trained on, so that a network knows one scale.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from relloc_ros.networks.backbones import make_backbone
from relloc_ros.networks.base import PairBatch, PairNetwork, Prediction
from relloc_ros.networks.losses import (
    LearnedWeights,
    overlap_error,
    se3_distance,
    vector_distance,
)
from relloc_ros.networks.network_config import (
    NetworkConfig,
    RelativePoseNetConfig,
    RelocNetConfig,
)
from relloc_ros.networks.rigid_motion import (
    exp_se3,
    quaternion_from_rotation,
    rotation_from_quaternion,
)

__all__ = ['RelativePoseNet', 'RelocNet']

INITIAL_LOG_VARIANCES = (0.0, -3.0)
"""Of translation and rotation: a weight of 20 for the rotation to begin with."""


class RelativePoseNet(PairNetwork):
    """Backbone; both images' pooled features embedded; a linear layer to seven numbers."""

    name: ClassVar[str] = 'rpr'
    config_class: ClassVar[type[NetworkConfig]] = RelativePoseNetConfig
    config: RelativePoseNetConfig

    def __init__(self, config: RelativePoseNetConfig) -> None:
        super().__init__(config)
        self.backbone = make_backbone(config.backbone, config.last_stage)
        self.embedding = _embedding(2 * self.backbone.channels, config.embedding)
        self.projection = nn.Linear(config.embedding, 7)
        _begin_at(self.projection, (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
        self.weights = None if config.rotation_weight else LearnedWeights(INITIAL_LOG_VARIANCES)

    def describe(self, image: Tensor) -> Tensor:
        """Pooled features (B, C)."""
        return self.backbone(image).mean(dim=(2, 3))

    def compare(self, features_a: Tensor, features_b: Tensor) -> Prediction:
        """Give `quaternion` (B, 4), `rotation` (B, 3, 3) and `translation` (B, 3), b_from_a."""
        numbers = self.projection(self.embedding(torch.cat([features_a, features_b], dim=1)))
        quaternion = normalize(numbers[:, 3:], dim=1)
        return {
            'translation': numbers[:, :3],
            'quaternion': quaternion,
            'rotation': rotation_from_quaternion(quaternion),
        }

    def loss(self, prediction: Prediction, batch: PairBatch) -> dict[str, Tensor]:
        """Give `loss`, the weighted sum of `translation` and `rotation`."""
        translation = vector_distance(prediction['translation'], batch.translation)
        truth = quaternion_from_rotation(batch.rotation)
        rotation = vector_distance(prediction['quaternion'], truth)
        if self.weights is None:
            loss = translation + self.config.rotation_weight * rotation
        else:
            loss = self.weights(torch.stack([translation, rotation]))
        return {'loss': loss, 'translation': translation, 'rotation': rotation}


class RelocNet(PairNetwork):
    """Backbone with descriptors for retrieval; embedding; a linear layer to a twist of SE(3)."""

    name: ClassVar[str] = 'relocnet'
    config_class: ClassVar[type[NetworkConfig]] = RelocNetConfig
    config: RelocNetConfig

    def __init__(self, config: RelocNetConfig) -> None:
        super().__init__(config)
        self.backbone = make_backbone(config.backbone, config.last_stage)
        self.embedding = _embedding(2 * self.backbone.channels, config.embedding)
        self.projection = nn.Linear(config.embedding, 6)
        _begin_at(self.projection, (0.0,) * 6)

    def describe(self, image: Tensor) -> Tensor:
        """Pooled features (B, C)."""
        return self.backbone(image).mean(dim=(2, 3))

    def compare(self, features_a: Tensor, features_b: Tensor) -> Prediction:
        """Give `rotation`, `translation`, and both images' descriptors (B, C), unit length."""
        twist = self.projection(self.embedding(torch.cat([features_a, features_b], dim=1)))
        rotation, translation = exp_se3(twist)
        return {
            'rotation': rotation,
            'translation': translation,
            'descriptor_a': normalize(features_a, dim=1),
            'descriptor_b': normalize(features_b, dim=1),
        }

    def loss(self, prediction: Prediction, batch: PairBatch) -> dict[str, Tensor]:
        """Give `loss`, the sum of `pose` and the weighted `overlap`."""
        pose = se3_distance(
            prediction['rotation'], prediction['translation'], batch.rotation, batch.translation
        )
        overlap = overlap_error(
            prediction['descriptor_a'], prediction['descriptor_b'], batch.overlap
        )
        return {
            'loss': pose + self.config.overlap_weight * overlap,
            'pose': pose,
            'overlap': overlap,
        }


def _embedding(channels_in: int, channels_out: int) -> nn.Sequential:
    linear = nn.Linear(channels_in, channels_out)
    nn.init.kaiming_normal_(linear.weight, nonlinearity='relu')
    return nn.Sequential(linear, nn.ReLU(inplace=True))


def _begin_at(layer: nn.Linear, numbers: tuple[float, ...]) -> None:
    """Let the first predictions be near the motion that moves nothing."""
    nn.init.normal_(layer.weight, std=1e-3)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(numbers))
