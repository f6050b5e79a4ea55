# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that make a network what it is; a checkpoint holds them beside the weights."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, setting

__all__ = [
    'EssNetConfig',
    'NcEssNetConfig',
    'NcMatchingConfig',
    'NetworkConfig',
    'RelativePoseNetConfig',
    'RelocNetConfig',
]


@dataclass(frozen=True, config=STRICT)
class NetworkConfig:
    """What all networks share: the backbone and the images it sees."""

    backbone: Literal['resnet18', 'resnet34', 'resnet50'] = setting(
        'resnet34', 'Network that makes the features of an image.'
    )
    last_stage: int = setting(
        4,
        'Stages of the backbone that are kept: 4 gives a feature for 32x32 pixels, 3 for 16x16.',
        ge=1,
        le=4,
    )
    shorter_side: int = setting(
        480, 'Images are resized until their shorter side is this.', unit='px', ge=32, le=4096
    )
    crop: int = setting(
        448, 'Side of the square that is cut out of them.', unit='px', ge=32, le=4096
    )


@dataclass(frozen=True, config=STRICT)
class EssNetConfig(NetworkConfig):
    """EssNet: an essential matrix regressed from a correlation volume."""

    loss: Literal['euclidean', 'sign_invariant', 'epipolar'] = setting(
        'euclidean',
        'Distance of the essential matrices, the same whatever their sign, or epipolar errors of '
        'virtual points.',
    )


@dataclass(frozen=True, config=STRICT)
class NcEssNetConfig(EssNetConfig):
    """NC-EssNet: EssNet with neighbourhood consensus on the correlation volume."""

    consensus_channels: int = setting(
        16, 'Channels between the two 4D convolutions of the consensus.', ge=1, le=256
    )


@dataclass(frozen=True, config=STRICT)
class NcMatchingConfig(NetworkConfig):
    """Neighbourhood-consensus matching without regression."""

    consensus_channels: int = setting(
        16, 'Channels between the two 4D convolutions of the consensus.', ge=1, le=256
    )


@dataclass(frozen=True, config=STRICT)
class RelativePoseNetConfig(NetworkConfig):
    """Relative pose regression: rotation and translation from pooled features."""

    embedding: int = setting(
        1024, 'Dimension of the embedding before the linear layer.', ge=1, le=65536
    )
    rotation_weight: float = setting(
        1.0, 'Weight (beta) of the rotation in the loss; 0 learns both weights.', ge=0, le=1e6
    )


@dataclass(frozen=True, config=STRICT)
class RelocNetConfig(NetworkConfig):
    """RelocNet: image descriptors as far apart as frusta, and SE(3) regression."""

    embedding: int = setting(
        1024, 'Dimension of the embedding before the linear layer.', ge=1, le=65536
    )
    overlap_weight: float = setting(
        1.0, 'Weight of the frustum overlap in the loss.', ge=0, le=1e6
    )
