# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of trained networks: safetensors, with what the network is and was trained on.

No pickle: such a file can hold nothing but numbers and text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Module

from relloc_ros.config_schema import flatten, make_config
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.networks import NETWORKS, PairNetwork

__all__ = [
    'FORMAT_VERSION',
    'fill',
    'load_network',
    'read_checkpoint',
    'save_network',
    'write_checkpoint',
]

KIND = 'relloc_ros network'
FORMAT_VERSION = '1'


def save_network(path: Path, network: PairNetwork, about: Mapping[str, str]) -> None:
    """Write the weights of a network; a file that exists is replaced when all is written.

    Args:
        path: the file.
        network: of the NETWORKS table.
        about: what else is to be remembered: the hash of the data, the epoch.
    """
    metadata = {
        **about,
        'kind': KIND,
        'format_version': FORMAT_VERSION,
        'network': network.name,
        'config': json.dumps(flatten(network.config)),
    }
    write_checkpoint(path, network.state_dict(), metadata)


def load_network(path: Path, wanted: Collection[str] = ()) -> PairNetwork:
    """Make the network that a file holds, for inference on the CPU.

    Args:
        path: a file of `save_network`.
        wanted: names of the networks that will do; all, if there are none.

    Raises:
        DataError: missing or damaged file, another network than those wanted, or weights that do
            not fit it.
    """
    tensors, about = read_checkpoint(path, KIND)
    name = about.get('network', '')
    if name not in NETWORKS:
        raise DataError(f'{path} holds network {name!r}; known: {", ".join(NETWORKS)}')
    if wanted and name not in wanted:
        raise DataError(
            f'{path} holds the weights of {name}, wanted are those of {" or ".join(wanted)}: give '
            'the file of such a network'
        )
    kind = NETWORKS[name]
    try:
        network = kind(make_config(kind.config_class, json.loads(about['config'])))
    except (KeyError, ValueError, AttributeError, ConfigError) as error:
        raise DataError(f'{path} has no usable settings of {name}: {error}') from error
    fill(network, tensors, path)
    return network.eval()


def fill(network: Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network.

    Raises:
        DataError: names or shapes are not those of the network.
    """
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        first = str(error).split('\n')[1:2]
        raise DataError(f'the weights in {path} do not fit: {"".join(first).strip()}') from error


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and text to a safetensors file, which appears when it is complete."""
    unfinished = path.with_name(f'.{path.name}.unfinished')
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, unfinished, dict(metadata))
    with unfinished.open('rb') as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and text from a safetensors file.

    Args:
        path: the file.
        kind: what it must say it is.

    Raises:
        DataError: missing, damaged, or something else.
    """
    if not path.is_file():
        raise DataError(f'{path} does not exist or is no file: give the file of a trained network')
    try:
        with safe_open(path, 'pt') as file:
            about = file.metadata() or {}
            if about.get('kind') != kind:
                raise DataError(
                    f'{path} is no {kind}: give a file that `relloc train` has written'
                )
            if about.get('format_version') != FORMAT_VERSION:
                raise DataError(
                    f'{path} is of format {about.get("format_version")}, this version of '
                    f'relloc_ros reads {FORMAT_VERSION}'
                )
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f'{path} is no intact safetensors file: {error}') from error
