# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Second stage of pose regression: from features to the coefficients of the base poses.

E in Sattler et al. (CVPR 2019, equation 1); its values are the ``alpha`` of equations 2 and 3.
"""

from __future__ import annotations

from torch import Tensor, nn

from relloc_ros.networks.network_config import AbsolutePoseConfig

__all__ = ['EMBEDDINGS', 'LinearEmbedding']


class LinearEmbedding(nn.Module):
    """Mean over the image, a linear layer, ReLU, dropout (PoseNet: Kendall et al., ICCV 2015)."""

    def __init__(self, channels: int, config: AbsolutePoseConfig) -> None:
        super().__init__()
        linear = nn.Linear(channels, config.embedding_size)
        nn.init.kaiming_normal_(linear.weight, nonlinearity='relu')
        self.layers = nn.Sequential(linear, nn.ReLU(inplace=True), nn.Dropout(config.dropout))

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into coefficients (B, N)."""
        coefficients: Tensor = self.layers(features.mean(dim=(2, 3)))
        return coefficients


EMBEDDINGS: dict[str, type[nn.Module]] = {'linear': LinearEmbedding}
