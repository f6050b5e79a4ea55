# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhood-consensus matching by itself, for features of any backbone (Zhou et al., IV-C).

The backbone is not trained. What is learned is which matches support each other, from pairs of
which it is known only that they show the same (Rocco et al., NeurIPS 2018).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from relloc_ros.errors import DataError
from relloc_ros.networks.backbones import make_backbone
from relloc_ros.networks.base import PairBatch, PairNetwork, Prediction, check_images
from relloc_ros.networks.consensus import NeighbourhoodConsensus
from relloc_ros.networks.correlation import correlate
from relloc_ros.networks.network_config import NcMatchingConfig, NetworkConfig

__all__ = ['NcMatching']


class NcMatching(PairNetwork):
    """A backbone that stays as it is, and a consensus; takes images of any size."""

    name: ClassVar[str] = 'nc_matching'
    config_class: ClassVar[type[NetworkConfig]] = NcMatchingConfig

    def __init__(self, config: NcMatchingConfig) -> None:
        super().__init__(config)
        self.backbone = make_backbone(config.backbone, config.last_stage)
        self.backbone.requires_grad_(requires_grad=False)
        self.consensus = NeighbourhoodConsensus(config.consensus_channels)

    def train(self, mode: bool = True) -> NcMatching:
        """Set the mode of all but the backbone, whose batch statistics stay too."""
        super().train(mode)
        self.backbone.eval()
        return self

    def describe(self, image: Tensor) -> Tensor:
        """Features (B, C, H', W')."""
        return self.backbone(image)

    def match(self, features_a: Tensor, features_b: Tensor) -> Tensor:
        """Scores (B, Ha, Wa, Hb, Wb)."""
        return self.consensus(correlate(features_a, features_b))

    def compare(self, features_a: Tensor, features_b: Tensor) -> Prediction:
        """Give `scores` (B, Ha, Wa, Hb, Wb), and `other_scores` with the images B exchanged."""
        scores = self.match(features_a, features_b)
        if not self.training and len(features_b) < 2:
            return {'scores': scores}
        return {'scores': scores, 'other_scores': self.match(features_a, features_b.roll(1, 0))}

    def loss(self, prediction: Prediction, batch: PairBatch) -> dict[str, Tensor]:
        """Give `loss`: how distinct the matches of other images are, less those of the pairs.

        Raises:
            DataError: a batch of one pair, which has no other images.
        """
        if len(batch.image_a) < 2:
            raise DataError(
                'a batch of one pair says nothing to nc_matching: set the batch size to 2 or more'
            )
        right, wrong = (
            _distinctness(prediction['scores']),
            _distinctness(prediction['other_scores']),
        )
        return {'loss': wrong - right, 'right': right, 'wrong': wrong}

    def _check(self, image: Tensor, name: str) -> None:
        check_images(image, name, next(self.parameters()).dtype, None)


def _distinctness(scores: Tensor) -> Tensor:
    """Mean of the largest softmax of each place, in both directions."""
    rows = scores.flatten(3).flatten(1, 2)
    return (rows.softmax(dim=2).amax(dim=2).mean() + rows.softmax(dim=1).amax(dim=1).mean()) / 2
