# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that make features of an image, without the last pooling and classification.

Residual networks (He et al., CVPR 2016), GoogLeNet (Szegedy et al., CVPR 2015), for both of which
names of the tensors are torchvision's, so that its weight files fit; and a small one for the CPU.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from relloc_ros.errors import ConfigError
from relloc_ros.networks.googlenet import GoogLeNet

__all__ = ['BACKBONES', 'Backbone', 'ResNet', 'SmallNet', 'make_backbone']

STEM_CHANNELS = 64
STAGE_CHANNELS = (64, 128, 256, 512)
SMALL_CHANNELS = (16, 32, 48, 64, 96)


class _Layout(NamedTuple):
    blocks: tuple[int, int, int, int]
    is_bottleneck: bool


RESNETS = {
    'resnet18': _Layout((2, 2, 2, 2), is_bottleneck=False),
    'resnet34': _Layout((3, 4, 6, 3), is_bottleneck=False),
    'resnet50': _Layout((3, 4, 6, 3), is_bottleneck=True),
}
BACKBONES = (*RESNETS, 'googlenet', 'small')


class ResNet(nn.Module):
    """A residual network up to one of its four stages.

    Attributes:
        channels: of the features.
        stage_channels: of the features of each stage.
        stride: pixels of the image for one cell of the features. The cell of column i looks at a
            field around pixel index ``stride * i``, not at the middle of a block of pixels.
    """

    def __init__(self, layout: _Layout, last_stage: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.last_stage = last_stage
        self.channels = STEM_CHANNELS
        self.stage_channels: list[int] = []
        for stage in range(1, last_stage + 1):
            self.add_module(f'layer{stage}', self._stage(layout, stage))
            self.stage_channels.append(self.channels)
        self.stride = 2 ** (last_stage + 1)
        _initialize(self)

    def _stage(self, layout: _Layout, stage: int) -> nn.Sequential:
        block = _Bottleneck if layout.is_bottleneck else _BasicBlock
        blocks = []
        for number in range(layout.blocks[stage - 1]):
            stride = 2 if number == 0 and stage > 1 else 1
            blocks.append(block(self.channels, STAGE_CHANNELS[stage - 1], stride))
            self.channels = STAGE_CHANNELS[stage - 1] * block.expansion
        return nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Turn (B, 3, H, W) into (B, channels, H / stride, W / stride), rounded up."""
        return self.stages(image)[-1]

    def stages(self, image: Tensor) -> list[Tensor]:
        """Give the features of each stage, of which each but the first halves the resolution."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        result = []
        for stage in range(1, self.last_stage + 1):
            features = getattr(self, f'layer{stage}')(features)
            result.append(features)
        return result


class _BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(channels_in, channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        residual = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(residual)) + shortcut)


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, channels * self.expansion, stride)

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        residual = self.relu(self.bn1(self.conv1(features)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        return self.relu(self.bn3(self.conv3(residual)) + shortcut)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    if stride == 1 and channels_in == channels_out:
        return None
    convolution = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    return nn.Sequential(OrderedDict([('0', convolution), ('1', nn.BatchNorm2d(channels_out))]))


class SmallNet(nn.Module):
    """A few convolutions with batch normalization, for images of a hundred pixels on a CPU.

    Attributes:
        channels: of the features.
        stage_channels: of the features of each stage.
        stride: pixels of the image for one cell of the features.
    """

    def __init__(self, last_stage: int) -> None:
        super().__init__()
        self.stage_channels = list(SMALL_CHANNELS[1 : last_stage + 1])
        self.channels = self.stage_channels[-1]
        self.stride = 2 ** (last_stage + 1)
        self.stem = _halving(3, SMALL_CHANNELS[0])
        self.layers = nn.ModuleList(
            _halving(*each) for each in pairwise(SMALL_CHANNELS[: last_stage + 1])
        )
        _initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Turn (B, 3, H, W) into (B, channels, H / stride, W / stride), rounded up."""
        return self.stages(image)[-1]

    def stages(self, image: Tensor) -> list[Tensor]:
        """Give the features of each stage, each of half the resolution of the one before."""
        features = self.stem(image)
        result = []
        for layer in self.layers:
            features = layer(features)
            result.append(features)
        return result


def _halving(channels_in: int, channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


Backbone = ResNet | GoogLeNet | SmallNet


def _initialize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')


def make_backbone(name: str, last_stage: int = 4) -> Backbone:
    """Make a backbone with random weights (Kaiming).

    Args:
        name: in the BACKBONES table.
        last_stage: 1 to 4, of which each halves the resolution, the first excepted.

    Raises:
        ConfigError: no such backbone.
    """
    if name not in BACKBONES:
        raise ConfigError(f"unknown backbone '{name}'; known: {', '.join(BACKBONES)}")
    if name == 'googlenet':
        return GoogLeNet(last_stage)
    return SmallNet(last_stage) if name == 'small' else ResNet(RESNETS[name], last_stage)
