# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of trained pose regression: the network, and what it saw of the images it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.config_schema import flatten, make_config
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.geometry import Array
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.checkpoint import KIND, fill, read_checkpoint, write_checkpoint
from relloc_ros.networks.network_config import AbsolutePoseConfig

__all__ = ['TrainedPoseNet', 'TrainingEmbeddings', 'load_trained', 'save_trained']

TRAINING, HELD_OUT = 'training', 'held_out'
ARRAYS = ('alphas', 'positions', 'quats_wxyz')


@dataclass(frozen=True, slots=True, eq=False)
class TrainingEmbeddings:
    """Training images, or those that training held out, as the trained network sees them.

    Attributes:
        alphas: (M, N) float32 coefficients.
        positions: (M, 3) float64 true camera centres, map units.
        quats_wxyz: (M, 4) float64 true map_from_cam.
        names: (M,) names of the images in the map.
    """

    alphas: NDArray[np.float32]
    positions: Array
    quats_wxyz: Array
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that there are as many of all."""
        counts = [len(self.alphas), len(self.positions), len(self.quats_wxyz), len(self.names)]
        if len(set(counts)) > 1:
            raise DataError(
                f'coefficients, positions, rotations and names of {counts} images: give as many '
                'of each'
            )


@dataclass(frozen=True, slots=True, eq=False)
class TrainedPoseNet:
    """What a file of trained pose regression holds.

    Attributes:
        network: for inference, on the CPU.
        about: what is remembered beside: `map_id`, the map that was learned, `data`, `epoch`.
        embeddings: of the training images; None in a file of a run that has not ended.
        held_out: of the images for validation; None likewise.
    """

    network: AbsolutePoseNet
    about: dict[str, Any]
    embeddings: TrainingEmbeddings | None
    held_out: TrainingEmbeddings | None = None


def save_trained(
    path: Path,
    network: AbsolutePoseNet,
    about: Mapping[str, Any],
    embeddings: TrainingEmbeddings,
    held_out: TrainingEmbeddings | None = None,
) -> None:
    """Write a trained network; a file that exists is replaced when all is written.

    Args:
        path: the file.
        network: with its frame and scale.
        about: what else is to be remembered: `map_id`, `data`, `epoch`.
        embeddings: of the training images.
        held_out: of the images for validation.
    """
    tensors = network.state_dict()
    known = {**about, 'network': network.name, 'config': flatten(network.config)}
    for part, images in ((TRAINING, embeddings), (HELD_OUT, held_out)):
        if images is None:
            continue
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(images, name))
            tensors[f'{part}.{name}'] = torch.from_numpy(array)
        known[f'{part}_images'] = list(images.names)
    write_checkpoint(path, KIND, tensors, known)


def load_trained(path: Path) -> TrainedPoseNet:
    """Read a file of `save_trained`, or of `save_network`.

    Raises:
        DataError: missing or damaged file, another network, or weights that do not fit it.
    """
    tensors, about = read_checkpoint(path, KIND)
    name = about.pop('network', '')
    if name != AbsolutePoseNet.name:
        raise DataError(
            f'{path} holds network {name!r}, wanted is {AbsolutePoseNet.name!r}: give a file of '
            '`relloc train apr`'
        )
    try:
        network = AbsolutePoseNet(make_config(AbsolutePoseConfig, about.pop('config')))
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise DataError(f'{path} has no usable settings of {name}: {error}') from error
    parts = [_embeddings(part, tensors, about, path) for part in (TRAINING, HELD_OUT)]
    fill(network, tensors, path)
    return TrainedPoseNet(network.eval(), about, *parts)


def _embeddings(
    part: str, tensors: dict[str, Tensor], about: dict[str, Any], path: Path
) -> TrainingEmbeddings | None:
    """Take the embeddings of a part of the images out of what a file holds."""
    arrays = [tensors.pop(f'{part}.{name}', None) for name in ARRAYS]
    names = about.pop(f'{part}_images', None)
    if names is None:
        return None
    found = [each.numpy() for each in arrays if each is not None]
    if not isinstance(names, list) or len(found) < len(ARRAYS):
        raise DataError(f'{path} has damaged embeddings of {part} images: train again')
    return TrainingEmbeddings(found[0], found[1], found[2], tuple(map(str, names)))
