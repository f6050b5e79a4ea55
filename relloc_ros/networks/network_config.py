# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that make a network what it is; a checkpoint holds them beside the weights."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, setting

__all__ = [
    'AbsolutePoseConfig',
    'EssNetConfig',
    'NcEssNetConfig',
    'NcMatchingConfig',
    'NetworkConfig',
    'PairNetworkConfig',
    'RelativePoseNetConfig',
    'RelocNetConfig',
]


@dataclass(frozen=True, config=STRICT)
class NetworkConfig:
    """What all networks share: the backbone and the images it sees."""

    backbone: Literal['resnet18', 'resnet34', 'resnet50', 'googlenet', 'small'] = setting(
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
class PairNetworkConfig(NetworkConfig):
    """What networks for pairs share: backbones whose cells look at known pixels."""

    backbone: Literal['resnet18', 'resnet34', 'resnet50'] = setting(
        'resnet34', 'Network that makes the features of an image.'
    )


@dataclass(frozen=True, config=STRICT)
class EssNetConfig(PairNetworkConfig):
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
class NcMatchingConfig(PairNetworkConfig):
    """Neighbourhood-consensus matching without regression."""

    consensus_channels: int = setting(
        16, 'Channels between the two 4D convolutions of the consensus.', ge=1, le=256
    )


@dataclass(frozen=True, config=STRICT)
class RelativePoseNetConfig(PairNetworkConfig):
    """Relative pose regression: rotation and translation from pooled features."""

    embedding: int = setting(
        1024, 'Dimension of the embedding before the linear layer.', ge=1, le=65536
    )
    rotation_weight: float = setting(
        1.0, 'Weight (beta) of the rotation in the loss; 0 learns both weights.', ge=0, le=1e6
    )


@dataclass(frozen=True, config=STRICT)
class RelocNetConfig(PairNetworkConfig):
    """RelocNet: image descriptors as far apart as frusta, and SE(3) regression."""

    embedding: int = setting(
        1024, 'Dimension of the embedding before the linear layer.', ge=1, le=65536
    )
    overlap_weight: float = setting(
        1.0, 'Weight of the frustum overlap in the loss.', ge=0, le=1e6
    )


@dataclass(frozen=True, config=STRICT)
class AbsolutePoseConfig(NetworkConfig):
    """Absolute pose regression: a pose from one image; `variant` names what is composed."""

    variant: str = setting('posenet', 'Name of the composition in the VARIANTS table.')
    shorter_side: int = setting(
        256, 'Images are resized until their shorter side is this.', unit='px', ge=32, le=4096
    )
    crop: int = setting(
        224, 'Side of the square that is cut out of them.', unit='px', ge=32, le=4096
    )
    embedding: Literal['linear', 'lstm', 'hourglass', 'fusion'] = setting(
        'linear', 'How the features become coefficients of the base poses.'
    )
    embedding_size: int = setting(2048, 'Number of those coefficients.', ge=1, le=65536)
    rotation_branch: bool = setting(False, 'The rotation has an embedding of its own.')
    rotation: Literal['quaternion', 'log_quaternion'] = setting(
        'quaternion', 'Numbers by which the network gives a rotation.'
    )
    head: Literal['linear', 'gaussian_process'] = setting(
        'linear', 'What turns the embedding into a pose.'
    )
    dropout: float = setting(0.5, 'Part of the embedding left out in training.', ge=0, le=0.95)
    feature_dropout: float = setting(
        0.0, 'Part of the features left out before the embedding, in training.', ge=0, le=0.95
    )
    inducing_points: int = setting(
        128, 'Coefficients that a Gaussian process makes of the embedding.', ge=1, le=8192
    )
    loss: Literal['fixed', 'learned', 'geometric'] = setting(
        'fixed',
        'Weights of position and rotation: rotation_weight, learned ones, or none, with '
        'reprojection errors.',
    )
    rotation_weight: float = setting(
        3.0,
        'Weight (beta) of the rotation where it is fixed; the position counts in units of the '
        'spread of the training positions.',
        gt=0,
        le=1e6,
    )
    relative_weight: float = setting(
        0.0, 'Weight of the poses of the images of a window relative to each other.', ge=0, le=1e6
    )
    window: int = setting(1, 'Images of a sequence that are seen together.', ge=1, le=32)
    window_step: int = setting(
        1, 'Each image of a window comes so many after the one before.', ge=1, le=1000
    )
    unlabelled: bool = setting(False, 'Learns from images with odometry but without poses, too.')
    synthetic_views: int = setting(
        0, 'Views made of each training image by warping it.', ge=0, le=1000
    )
    uncertainty: Literal['dropout', 'learned', 'gaussian_process'] = setting(
        'dropout', 'Where the covariance of a pose comes from.'
    )
