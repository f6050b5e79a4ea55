# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks for image pairs, found by name in the NETWORKS table; needs PyTorch.

Nothing is downloaded: weights come from files that the user names, or from training.
"""

from __future__ import annotations

from pathlib import Path

from relloc_ros.config_schema import nearest
from relloc_ros.errors import ConfigError, MissingDependencyError

try:
    import torch

    from relloc_ros.networks.base import Network, PairBatch, PairNetwork, Prediction
    from relloc_ros.networks.essnet import EssNet, NcEssNet
    from relloc_ros.networks.matching_net import NcMatching
    from relloc_ros.networks.network_config import NetworkConfig
    from relloc_ros.networks.relative_pose_net import RelativePoseNet, RelocNet
    from relloc_ros.networks.weight_files import load_part
except ImportError as error:
    raise MissingDependencyError(
        f"networks need {error.name}: pip install 'relloc_ros[learn]'"
    ) from error

__all__ = [
    'NETWORKS',
    'Network',
    'PairBatch',
    'PairNetwork',
    'Prediction',
    'make_network',
    'network_class',
]

NETWORKS: dict[str, type[PairNetwork]] = {
    network.name: network for network in (EssNet, NcEssNet, NcMatching, RelativePoseNet, RelocNet)
}


def network_class(name: str) -> type[PairNetwork]:
    """Find a network by name.

    Raises:
        ConfigError: no such network; names the nearest.
    """
    if name not in NETWORKS:
        known = ', '.join(NETWORKS)
        raise ConfigError(f"unknown network '{name}'{nearest(name, list(NETWORKS))}; {known}")
    return NETWORKS[name]


def make_network(
    name: str,
    config: NetworkConfig | None = None,
    *,
    seed: int = 0,
    backbone_weights: Path | None = None,
) -> PairNetwork:
    """Make a network, in training mode, with random weights (Kaiming).

    Args:
        name: in the NETWORKS table.
        config: of the network's `config_class`; None is the defaults.
        seed: of the weights.
        backbone_weights: file with those of the backbone, torchvision's or a checkpoint's.

    Raises:
        ConfigError: no such network, or settings that are not its own or contradict each other.
        DataError: weights missing, unreadable, or of another backbone.
    """
    kind = network_class(name)
    config = kind.config_class() if config is None else config
    if type(config) is not kind.config_class:
        raise ConfigError(
            f"network '{name}' takes {kind.config_class.__name__}, got {type(config).__name__}"
        )
    if config.crop > config.shorter_side:
        raise ConfigError(
            f'crop {config.crop} is larger than shorter_side {config.shorter_side}: make it as '
            'small or smaller'
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kind(config)
    if backbone_weights is not None:
        load_part(network.backbone, backbone_weights, 'backbone')
    return network
