# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""First stage of pose regression: features of an image, F in Sattler et al. (CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ['HourglassDecoder', 'beside_previous']


class HourglassDecoder(nn.Module):
    """Up-convolutions from the coarsest features to the finest, to which each stage is added.

    Melekhov et al., ICCV workshops 2017.

    Attributes:
        channels: of the features.
    """

    def __init__(self, stage_channels: Sequence[int]) -> None:
        super().__init__()
        self.ups = nn.ModuleList(
            _up(coarse, fine) for fine, coarse in reversed(list(pairwise(stage_channels)))
        )
        self.channels = stage_channels[0]

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Turn features of all stages into (B, C, H', W'), as fine as those of the first."""
        features, *finer = reversed(stages)
        for up, skipped in zip(self.ups, finer, strict=True):
            # Stages of odd size are not exactly half as large.
            height, width = skipped.shape[2:]
            features = torch.relu(skipped + up(features)[:, :, :height, :width])
        return features


def _up(channels_in: int, channels: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode='fan_in', nonlinearity='relu')
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def beside_previous(features: Tensor, window: int) -> Tensor:
    """Put beside features (B, C, H, W) those of the image before in its window: (B, 2 C, H, W).

    Beside those of the first of a window, which follows none, its own.
    """
    rows = torch.arange(len(features), device=features.device)
    previous = torch.where(rows % window == 0, rows, rows - 1)
    return torch.cat([features, features[previous]], dim=1)
