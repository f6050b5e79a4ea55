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


VARIANTS: dict[str, Variant] = {
    'posenet': Variant('Kendall, Grimes and Cipolla, ICCV 2015', {}),
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
    return config


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
