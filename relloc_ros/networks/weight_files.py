# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a backbone or a consensus from a file, whoever trained it; no code in it is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from relloc_ros.errors import DataError, MissingDependencyError

__all__ = ['load_part', 'read_tensors']

MAX_BYTES = 2**31
"""Larger than any weights this package knows: a damaged or wrong file."""
COUNTER = 'num_batches_tracked'
"""Of batch normalization: old files lack it, and nothing here needs it."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a table of tensors: safetensors, or a PyTorch file that holds nothing else.

    Raises:
        DataError: missing, unreadable, or of another content.
        MissingDependencyError: safetensors is not installed.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f'weights {path} have more than {MAX_BYTES} bytes: not a weights file')
        if path.suffix == '.safetensors':
            content = _read_safetensors(path)
        else:
            content = torch.load(path, map_location='cpu', weights_only=True)
    except OSError as error:
        raise DataError(f'cannot read weights {path}: {error.strerror}') from error
    except (DataError, MissingDependencyError):
        raise
    except Exception as error:  # unpickling raises many kinds
        raise DataError(
            f'cannot use weights {path}: {error}; give a .safetensors file or a PyTorch file of '
            'tensors alone'
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get('state_dict'), Mapping):
        content = content['state_dict']
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise DataError(f'weights {path} hold no table of tensors: give a state dict')
    return dict(content)


def load_part(part: nn.Module, path: Path, name: str) -> None:
    """Put weights into a part of a network.

    Args:
        part: gets them.
        path: of a file with the part alone, as torchvision's for backbones, or of a checkpoint of
            a whole network.
        name: of the part in a whole network, such as `backbone`.

    Raises:
        DataError: unreadable, or of another kind; names the first tensor that does not fit.
        MissingDependencyError: safetensors is not installed.
    """
    tensors = read_tensors(path)
    prefix = f'{name}.'
    inside = {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
    tensors = inside or tensors
    wanted = part.state_dict()
    for key, own in wanted.items():
        if key.endswith(COUNTER):
            tensors.setdefault(key, own)
        found = tensors.get(key)
        if found is None or found.shape != own.shape:
            shape = 'missing' if found is None else f'of shape {tuple(found.shape)}'
            raise DataError(
                f'weights {path} are of another {name}: {key} is {shape}, not {tuple(own.shape)}; '
                f'give the weights of this {name}, or change the settings of the network'
            )
    part.load_state_dict({key: tensors[key] for key in wanted})


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file  # noqa: PLC0415  optional
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} needs safetensors: pip install 'relloc_ros[learn]'"
        ) from error
    return load_file(path)
