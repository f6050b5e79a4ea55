# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run keeps on disk, so that it can be looked at, used, and taken up again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import fcntl
import math
import os
from pathlib import Path
from typing import Any

from torch.nn import Module
from torch.optim import Optimizer
import yaml

from relloc_ros.errors import DataError
from relloc_ros.networks.checkpoint import (
    fill,
    read_checkpoint,
    write_checkpoint,
)
from relloc_ros.networks.training.pairs import write_pairs
from relloc_ros.networks.training.tables import LossTable
from relloc_ros.yaml_text import YamlError, load_yaml

__all__ = ['RunFolder', 'TrainingState']

KIND = 'relloc_ros training state'
WEIGHTS, OPTIMIZER = 'weights.', 'optimizer.'


@dataclass(slots=True)
class TrainingState:
    """How far a run is. Random numbers need no state: they are made from the step's number.

    Attributes:
        step: optimizer steps done.
        best_epoch: epoch of the least validation loss, counted from 1; 0 before the first.
        best_loss: that loss.
    """

    step: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run; `state.safetensors` is all that is needed to take it up again."""

    folder: Path

    @property
    def description(self) -> Path:
        """Network, settings, maps and data."""
        return self.folder / 'run.yaml'

    @property
    def best(self) -> Path:
        """Weights of the epoch with the least validation loss."""
        return self.folder / 'best.safetensors'

    @property
    def state(self) -> Path:
        """Weights and optimizer of the last checkpoint."""
        return self.folder / 'state.safetensors'

    @property
    def figure(self) -> Path:
        """Curve of the losses."""
        return self.folder / 'losses.png'

    @property
    def steps(self) -> LossTable:
        """Losses of each step."""
        return LossTable(self.folder / 'step.csv')

    @property
    def epochs(self) -> LossTable:
        """Losses of each epoch."""
        return LossTable(self.folder / 'epoch.csv')

    def pairs(self, number: int) -> Path:
        """Pairs of a map, counted from 1."""
        return self.folder / f'pairs_{number}.txt'

    def create(
        self, description: Mapping[str, Any], pairs: Sequence[Iterable[tuple[str, str]]]
    ) -> None:
        """Make the folder.

        Args:
            description: for run.yaml.
            pairs: of each map the names of map images and queries.

        Raises:
            DataError: it exists and is not empty, or cannot be written.
        """
        self.check_new()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number, names in enumerate(pairs, 1):
                write_pairs(self.pairs(number), names)
            self.description.write_text(yaml.safe_dump(dict(description), sort_keys=False))
        except OSError as error:
            raise DataError(f'cannot write to {self.folder}: {error.strerror}') from error

    def check_new(self) -> None:
        """Refuse a folder with something in it.

        Raises:
            DataError: it exists and is not empty.
        """
        if self.description.exists():
            raise DataError(
                f'{self.folder} already holds a run: go on with it by --resume, or choose '
                'another output'
            )
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DataError(f'{self.folder} exists and is not empty: choose another output')

    def describe(self) -> dict[str, Any]:
        """Read what the run was begun with.

        Raises:
            DataError: there is none, or it is damaged.
        """
        if not self.description.is_file():
            raise DataError(
                f'{self.folder} holds no run to resume (no {self.description.name}): leave out '
                '--resume to begin one'
            )
        try:
            content = load_yaml(self.description.read_text('utf-8'))
        except (OSError, YamlError, UnicodeDecodeError) as error:
            raise DataError(f'cannot read {self.description}: {error}') from error
        if not isinstance(content, dict):
            raise DataError(f'{self.description} is damaged: begin another run')
        return content

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one that trains in the folder while the block runs.

        Raises:
            DataError: another process does.
        """
        # A lock of the kernel, which ends with the process that holds it, however it ends.
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(
                    f'another process is training in {self.folder}: wait until it has ended, or '
                    'choose another output'
                ) from error
            yield
        finally:
            os.close(folder)

    def save(self, state: TrainingState, network: Module, optimizer: Optimizer) -> None:
        """Replace the checkpoint by the present state, in one step."""
        tensors = {f'{WEIGHTS}{name}': each for name, each in network.state_dict().items()}
        for index, values in optimizer.state_dict()['state'].items():
            tensors |= {f'{OPTIMIZER}{index}.{name}': each for name, each in values.items()}
        write_checkpoint(self.state, KIND, tensors, {'state': asdict(state)})

    def load(self, network: Module, optimizer: Optimizer) -> TrainingState:
        """Go back to the last checkpoint, and drop the losses of later steps.

        Raises:
            DataError: it is damaged, or of another network.
        """
        tensors, about = read_checkpoint(self.state, KIND)
        try:
            state = TrainingState(**about['state'])
        except (KeyError, TypeError) as error:
            raise DataError(f'{self.state} is damaged: begin another run') from error
        weights = {
            name.removeprefix(WEIGHTS): each
            for name, each in tensors.items()
            if name.startswith(WEIGHTS)
        }
        fill(network, weights, self.state)
        values: dict[int, dict[str, Any]] = {}
        for name, each in tensors.items():
            if name.startswith(OPTIMIZER):
                _, index, key = name.split('.', 2)
                values.setdefault(int(index), {})[key] = each
        groups = optimizer.state_dict()['param_groups']
        optimizer.load_state_dict({'state': values, 'param_groups': groups})
        return state
