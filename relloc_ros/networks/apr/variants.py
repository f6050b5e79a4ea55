# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The compositions that have names in the literature, each a few settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from relloc_ros.config_schema import make_config, nearest
from relloc_ros.errors import ConfigError
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.network_config import AbsolutePoseConfig
from relloc_ros.networks.weight_files import load_part

__all__ = ['VARIANTS', 'Variant', 'make_absolute_pose_net', 'variant_config']


@dataclass(frozen=True, slots=True)
class Variant:
    """A composition.

    Attributes:
        paper: that proposed it.
        settings: that differ from the defaults of `AbsolutePoseConfig`.
    """

    paper: str
    settings: Mapping[str, Any]


LEARNED = {'loss': 'learned', 'uncertainty': 'learned'}
MAPNET = {
    **LEARNED,
    'rotation': 'log_quaternion',
    'relative_weight': 1.0,
    'window': 3,
    'window_step': 10,
}
VARIANTS: dict[str, Variant] = {
    'posenet': Variant('Kendall, Grimes and Cipolla, ICCV 2015', {'backbone': 'googlenet'}),
    'posenet_learned': Variant(
        'Kendall and Cipolla, CVPR 2017', {'backbone': 'googlenet', **LEARNED}
    ),
    'posenet_geometric': Variant(
        'Kendall and Cipolla, CVPR 2017', {'backbone': 'googlenet', 'loss': 'geometric'}
    ),
    'bayesian_posenet': Variant(
        'Kendall and Cipolla, ICRA 2016', {'backbone': 'googlenet', 'feature_dropout': 0.2}
    ),
    'posenet_lstm': Variant(
        'Walch et al., ICCV 2017',
        {'backbone': 'googlenet', 'embedding': 'lstm', 'embedding_size': 1024},
    ),
    'hourglass': Variant(
        'Melekhov et al., ICCV workshops 2017',
        {'embedding': 'hourglass', 'embedding_size': 1024},
    ),
    'branchnet': Variant('Wu, Ma and Hu, ICRA 2017', {'rotation_branch': True}),
    'mapnet': Variant('Brahmbhatt et al., CVPR 2018', MAPNET),
    'mapnet_plus': Variant('Brahmbhatt et al., CVPR 2018', {**MAPNET, 'unlabelled': True}),
    'gposenet': Variant(
        'Cai, Shen and Reid, BMVC 2018',
        {
            'backbone': 'googlenet',
            'head': 'gaussian_process',
            'uncertainty': 'gaussian_process',
            'embedding_size': 64,
            'dropout': 0.0,
        },
    ),
    'svs_posenet': Variant(
        'Naseer and Burgard, IROS 2017', {'rotation_branch': True, 'synthetic_views': 4}
    ),
    'vlocnet': Variant(
        'Valada, Radwan and Burgard, ICRA 2018',
        {
            **LEARNED,
            'backbone': 'resnet50',
            'embedding': 'fusion',
            'relative_weight': 1.0,
            'window': 2,
        },
    ),
}


def variant_config(name: str, values: Mapping[str, Any] | None = None) -> AbsolutePoseConfig:
    """Make the settings of a variant.

    Args:
        name: in the VARIANTS table.
        values: settings that replace the variant's, as `make_config` takes them.

    Raises:
        ConfigError: no such variant, or unknown or wrong settings.
    """
    if name not in VARIANTS:
        known = ', '.join(VARIANTS)
        raise ConfigError(f"unknown variant '{name}'{nearest(name, list(VARIANTS))}; {known}")
    merged = {**VARIANTS[name].settings, **(values or {}), 'variant': name}
    config = make_config(AbsolutePoseConfig, merged)
    if config.crop > config.shorter_side:
        raise ConfigError(
            f'crop {config.crop} is larger than shorter_side {config.shorter_side}: make it as '
            'small or smaller'
        )
    _check(config)
    return config


def _check(config: AbsolutePoseConfig) -> None:
    """Refuse settings that contradict each other."""
    is_process = config.head == 'gaussian_process'
    for is_wrong, problem in (
        (
            config.uncertainty == 'dropout' and not (config.dropout or config.feature_dropout),
            'uncertainty: dropout needs a dropout above 0',
        ),
        (
            config.uncertainty == 'learned' and config.loss != 'learned',
            'uncertainty: learned needs loss: learned',
        ),
        (
            is_process != (config.uncertainty == 'gaussian_process'),
            'head and uncertainty: gaussian_process go together',
        ),
        (
            is_process and (config.rotation_branch or config.loss != 'fixed'),
            'head: gaussian_process has a loss of its own (fixed) and one branch',
        ),
        (
            bool(config.relative_weight) and config.window < 2,
            'relative_weight needs a window of 2 or more',
        ),
        (
            bool(config.relative_weight) and (config.loss == 'geometric' or is_process),
            'relative_weight goes with loss: fixed or learned and head: linear',
        ),
        (
            config.unlabelled and not config.relative_weight,
            'unlabelled needs a relative_weight above 0',
        ),
    ):
        if is_wrong:
            raise ConfigError(f'variant {config.variant}: {problem}')


def make_absolute_pose_net(
    config: AbsolutePoseConfig, *, seed: int = 0, backbone_weights: Path | None = None
) -> AbsolutePoseNet:
    """Make a network, in training mode, with random weights.

    Args:
        config: of `variant_config`.
        seed: of the weights.
        backbone_weights: file with those of the backbone, torchvision's or a checkpoint's.

    Raises:
        DataError: weights missing, unreadable, or of another backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AbsolutePoseNet(config)
    if backbone_weights is not None:
        load_part(network.backbone, backbone_weights, 'backbone')
    return network
