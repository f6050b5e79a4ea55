# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Neighbourhood consensus: matches whose neighbours match alike (Rocco et al., NeurIPS 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu

from relloc_ros.networks.correlation import mutual_matching

__all__ = ['Conv4d', 'NeighbourhoodConsensus']

KERNEL = 3


class Conv4d(nn.Module):
    """A 4D convolution with zeros around, which keeps the size.

    PyTorch has none. It is one 2D convolution over the last two dimensions in which the kernel's
    first two dimensions are channels: of the input, which is shifted for each, or of the output,
    which is then shifted and summed; whichever has fewer.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int = KERNEL) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, *[kernel] * 4))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        nn.init.kaiming_normal_(self.weight, nonlinearity='relu')

    def forward(self, volume: Tensor) -> Tensor:
        """Turn (B, C, Ha, Wa, Hb, Wb) into (B, C', Ha, Wa, Hb, Wb)."""
        if self.weight.shape[1] < self.weight.shape[0]:
            summed = self._shift_input(volume)
        else:
            summed = self._shift_output(volume)
        return summed + self.bias.view(1, -1, 1, 1, 1, 1)

    def _shift_input(self, volume: Tensor) -> Tensor:
        kernel = self.weight.shape[2]
        batch, _, height, width = volume.shape[:4]
        padded = _pad_first(volume, kernel // 2)
        shifted = [
            padded[:, :, i : i + height, j : j + width]
            for i in range(kernel)
            for j in range(kernel)
        ]
        # (B, Ha, Wa, kernel places, C, Hb, Wb): places and channels become channels.
        images = torch.stack(shifted, 1).permute(0, 3, 4, 1, 2, 5, 6).flatten(3, 4).flatten(0, 2)
        weight = self.weight.permute(0, 2, 3, 1, 4, 5).flatten(1, 3)
        result = conv2d(images, weight, padding=kernel // 2)
        return result.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2, 4, 5)

    def _shift_output(self, volume: Tensor) -> Tensor:
        kernel = self.weight.shape[2]
        batch, _, height, width = volume.shape[:4]
        images = volume.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        weight = self.weight.permute(2, 3, 0, 1, 4, 5).flatten(0, 2)
        result = conv2d(images, weight, padding=kernel // 2)
        # (B, kernel places, C', Ha, Wa, Hb, Wb)
        places = result.unflatten(0, (batch, height, width)).permute(0, 3, 1, 2, 4, 5)
        places = _pad_first(places, kernel // 2).unflatten(1, (kernel * kernel, -1))
        terms = [
            places[:, i * kernel + j, :, i : i + height, j : j + width]
            for i in range(kernel)
            for j in range(kernel)
        ]
        return torch.stack(terms).sum(dim=0)


class NeighbourhoodConsensus(nn.Module):
    """Mutual matching, two 4D convolutions that treat both images alike, mutual matching."""

    def __init__(self, channels: int, kernel: int = KERNEL) -> None:
        super().__init__()
        self.first = Conv4d(1, channels, kernel)
        self.second = Conv4d(channels, 1, kernel)
        # Else half of all networks begin with scores of zero, from which nothing is learned.
        with torch.no_grad():
            self.second.weight.abs_()

    def forward(self, scores: Tensor) -> Tensor:
        """Filter (B, Ha, Wa, Hb, Wb) scores; none of the result is negative."""
        scores = mutual_matching(relu(scores))
        swapped = _swap(self._filter(_swap(scores)))
        return mutual_matching(self._filter(scores) + swapped)

    def _filter(self, scores: Tensor) -> Tensor:
        return relu(self.second(relu(self.first(scores.unsqueeze(1))))).squeeze(1)


def _swap(scores: Tensor) -> Tensor:
    return scores.permute(0, 3, 4, 1, 2)


def _pad_first(volume: Tensor, width: int) -> Tensor:
    """Put zeros around the third and fourth of six dimensions."""
    return pad(volume, (0, 0, 0, 0, width, width, width, width))
