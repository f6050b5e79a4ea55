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
from relloc_ros.networks import NETWORKS, Network, PairNetwork

__all__ = [
    'fill',
    'load_network',
    'read_checkpoint',
    'save_network',
    'write_checkpoint',
]

KIND = 'relloc_ros network'
FORMAT_VERSION = 1
METADATA_KEY = 'relloc_ros'


def save_network(path: Path, network: Network, about: Mapping[str, Any]) -> None:
    """Write the weights of a network; a file that exists is replaced when all is written.

    Args:
        path: the file.
        network: of the NETWORKS table, or one that regresses absolute poses.
        about: what else is to be remembered: the hash of the data, the epoch.
    """
    known = {**about, 'network': network.name, 'config': flatten(network.config)}
    write_checkpoint(path, KIND, network.state_dict(), known)


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
        network = kind(make_config(kind.config_class, about['config']))
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
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
    path: Path, kind: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Write tensors to a safetensors file, which appears when it is complete.

    Args:
        path: the file; what it held is replaced.
        kind: what it is.
        tensors: by name.
        about: values that JSON knows, kept beside them.
    """
    unfinished = path.with_name(f'.{path.name}.unfinished')
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key: several would be written in another order each time.
    text = json.dumps({**about, 'kind': kind, 'format_version': FORMAT_VERSION})
    save_file(plain, unfinished, {METADATA_KEY: text})
    with unfinished.open('rb') as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_checkpoint(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors, and what is known of them, from a safetensors file.

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
            about = json.loads((file.metadata() or {}).get(METADATA_KEY, '{}'))
            if not isinstance(about, dict) or about.get('kind') != kind:
                raise DataError(
                    f'{path} is no {kind}: give a file that `relloc train` has written'
                )
            if about.get('format_version') != FORMAT_VERSION:
                raise DataError(
                    f'{path} is of format {about.get("format_version")}, this version of '
                    f'relloc_ros reads {FORMAT_VERSION}'
                )
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise DataError(f'{path} is no intact safetensors file: {error}') from error
