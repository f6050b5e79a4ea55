# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Second stage of pose regression: from features to the coefficients of the base poses.

E in Sattler et al. (CVPR 2019, equation 1); its values are the ``alpha`` of equations 2 and 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from relloc_ros.networks.apr.dropout import FeatureDropout
from relloc_ros.networks.network_config import AbsolutePoseConfig

__all__ = ['EMBEDDINGS', 'GridEmbedding', 'LinearEmbedding', 'SpatialLstm']

GRID = 4
"""Cells in each direction, of features that keep their places."""
ROWS, COLUMNS = 32, 64
"""Of the table that the spatial LSTM reads."""


class LinearEmbedding(nn.Module):
    """Mean over the image, a linear layer, ReLU, dropout (PoseNet: Kendall et al., ICCV 2015)."""

    def __init__(self, channels: int, config: AbsolutePoseConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            FeatureDropout(config.feature_dropout),
            *_dense(channels, config.embedding_size),
            nn.Dropout(config.dropout),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into coefficients (B, N), none negative."""
        coefficients: Tensor = self.layers(features.mean(dim=(2, 3)))
        return coefficients


class GridEmbedding(LinearEmbedding):
    """Means over the cells of a grid, so that places count; a linear layer, ReLU, dropout.

    For features as fine as an hourglass makes them (Melekhov et al., ICCV workshops 2017).
    """

    def __init__(self, channels: int, config: AbsolutePoseConfig) -> None:
        super().__init__(channels * GRID * GRID, config)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into coefficients (B, N), none negative."""
        cells = nn.functional.adaptive_avg_pool2d(features, GRID)
        coefficients: Tensor = self.layers(cells.flatten(1))
        return coefficients


class SpatialLstm(nn.Module):
    """A table read from all four sides by LSTMs (PoseNet-LSTM: Walch et al., ICCV 2017).

    The coefficients are the last states, between -1 and 1.
    """

    def __init__(self, channels: int, config: AbsolutePoseConfig) -> None:
        super().__init__()
        self.table = nn.Sequential(
            FeatureDropout(config.feature_dropout), *_dense(channels, ROWS * COLUMNS)
        )
        # Two LSTMs, each in both directions.
        size = -(-config.embedding_size // 4)
        self.rows = nn.LSTM(COLUMNS, size, batch_first=True, bidirectional=True)
        self.columns = nn.LSTM(ROWS, size, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(config.dropout)
        self.size = config.embedding_size

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, C, H, W) into coefficients (B, N)."""
        table = self.table(features.mean(dim=(2, 3))).unflatten(1, (ROWS, COLUMNS))
        _, (rows, _) = self.rows(table)
        _, (columns, _) = self.columns(table.transpose(1, 2))
        states = torch.cat([*rows, *columns], dim=1)
        coefficients: Tensor = self.dropout(states[:, : self.size])
        return coefficients


def _dense(channels: int, size: int) -> tuple[nn.Module, nn.Module]:
    linear = nn.Linear(channels, size)
    nn.init.kaiming_normal_(linear.weight, nonlinearity='relu')
    return linear, nn.ReLU()


EMBEDDINGS: dict[str, type[nn.Module]] = {
    'linear': LinearEmbedding,
    'lstm': SpatialLstm,
    'hourglass': GridEmbedding,
    'fusion': LinearEmbedding,
}
