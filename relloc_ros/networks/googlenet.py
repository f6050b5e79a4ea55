# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""GoogLeNet (Szegedy et al., CVPR 2015) with batch normalization, as torchvision has it.

Names of the tensors are torchvision's, so that its weight files fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from relloc_ros.networks.preprocessing import MEAN, STD

__all__ = ['GoogLeNet']

STEM_CHANNELS = 192
BLOCKS = {
    'inception3a': (64, 96, 128, 16, 32, 32),
    'inception3b': (128, 128, 192, 32, 96, 64),
    'inception4a': (192, 96, 208, 16, 48, 64),
    'inception4b': (160, 112, 224, 24, 64, 64),
    'inception4c': (128, 128, 256, 24, 64, 64),
    'inception4d': (112, 144, 288, 32, 64, 64),
    'inception4e': (256, 160, 320, 32, 128, 128),
    'inception5a': (256, 160, 320, 32, 128, 128),
    'inception5b': (384, 192, 384, 48, 128, 128),
}
"""Channels of the four branches; the second and third have a narrower layer before."""


class GoogLeNet(nn.Module):
    """GoogLeNet up to one of its four resolutions.

    Attributes:
        channels: of the features.
        stage_channels: of the features of each stage.
        stride: pixels of the image for one cell of the features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, last_stage: int) -> None:
        super().__init__()
        self.conv1 = _Convolution(3, 64, 7, stride=2)
        self.conv2 = _Convolution(64, 64, 1)
        self.conv3 = _Convolution(64, STEM_CHANNELS, 3)
        self.channels = STEM_CHANNELS
        # Stage 1 is the stem, stage 2 the blocks with a 3, and so on.
        self._stages: list[list[str]] = [
            [name for name in BLOCKS if int(name[9]) == stage + 1]
            for stage in range(2, last_stage + 1)
        ]
        self.stage_channels = [self.channels]
        for names in self._stages:
            for name in names:
                block = _Inception(self.channels, BLOCKS[name])
                self.add_module(name, block)
                self.channels = block.channels
            self.stage_channels.append(self.channels)
        self.stride = 2 ** (last_stage + 1)
        self.register_buffer('mean', torch.from_numpy(MEAN)[:, None, None], persistent=False)
        self.register_buffer('std', torch.from_numpy(STD)[:, None, None], persistent=False)
        _initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Turn (B, 3, H, W) into (B, channels, H / stride, W / stride), rounded up."""
        return self.stages(image)[-1]

    def stages(self, image: Tensor) -> list[Tensor]:
        """Give the features of each stage, each of half the resolution of the one before."""
        # Its published weights were trained with colours in [-1, 1].
        colours = 2 * (image * self.std + self.mean) - 1
        features = self.conv3(self.conv2(_halve(self.conv1(colours))))
        result = [features]
        for number, names in enumerate(self._stages):
            features = _halve(features, kernel=2 if number == 2 else 3)
            for name in names:
                features = getattr(self, name)(features)
            result.append(features)
        return result


class _Convolution(nn.Module):
    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels, kernel, stride, padding=kernel // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(features)))


class _Inception(nn.Module):
    def __init__(self, channels_in: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = widths
        self.branch1 = _Convolution(channels_in, one, 1)
        self.branch2 = nn.Sequential(
            _Convolution(channels_in, three_in, 1), _Convolution(three_in, three, 3)
        )
        # The paper has 5x5 here; the published weights are 3x3.
        self.branch3 = nn.Sequential(
            _Convolution(channels_in, five_in, 1), _Convolution(five_in, five, 3)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), _Convolution(channels_in, pooled, 1)
        )
        self.channels = one + three + five + pooled

    def forward(self, features: Tensor) -> Tensor:
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(features) for branch in branches], dim=1)


def _halve(features: Tensor, kernel: int = 3) -> Tensor:
    return nn.functional.max_pool2d(features, kernel, stride=2, ceil_mode=True)


def _initialize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
