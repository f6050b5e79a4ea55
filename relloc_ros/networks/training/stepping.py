# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Single steps: read a batch, move the weights a little; and the mean loss of all examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relloc_ros.config import TrainingConfig
from relloc_ros.errors import DataError
from relloc_ros.networks.training.examples import Batch, Examples, Objective
from relloc_ros.parallel import Task, ThreadTasks

__all__ = ['Losses', 'Stepper', 'read_batches', 'steps_in_epoch']

Losses = dict[str, float]
"""`loss` and its parts."""

Item = tuple[int, Sequence[int] | None]
ORDER, CROPS, NETWORK = range(3)
"""What random numbers are for; the first part of their seeds after that of the run."""


def steps_in_epoch(num_examples: int, config: TrainingConfig) -> int:
    """Count the batches; a last one that is not full is left out, for it would weigh more."""
    return max(1, num_examples // config.batch_size)


class Stepper:
    """A network on its devices.

    Attributes:
        optimizer: Adam.
    """

    def __init__(self, fabric: Any, objective: Objective, config: TrainingConfig) -> None:
        """Put the network on the device of this process."""
        self._fabric = fabric
        self._config = config
        self._objective = objective
        self.optimizer = torch.optim.Adam(
            objective.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._model, self._stepping = fabric.setup(objective, self.optimizer)

    def steps(self, examples: Examples, epoch: int, done: int) -> Iterator[Losses]:
        """Do the steps of an epoch, from the one after the first `done` on.

        Raises:
            DataError: an image is not readable, or the loss is no number.
        """
        config = self._config
        count = steps_in_epoch(len(examples), config)
        size = min(config.batch_size, len(examples))
        order = _random(config, ORDER, epoch).permutation(len(examples))
        # Each process takes its part of each batch.
        batches = order[: count * size].reshape(count, size)[done:, self._rank :: self._world]
        seed = (config.random_seed, CROPS, epoch)
        self._model.train()
        for number, batch in enumerate(self._batches(examples, batches, seed), done):
            step = epoch * count + number
            # Whatever the network draws, dropout for one, it draws again after a kill.
            seeds = _random(config, NETWORK, step, self._rank)
            torch.manual_seed(int(seeds.integers(2**63)))
            yield self._step(batch, step)

    def mean(self, examples: Examples) -> Losses:
        """Give the mean losses of all examples, without training.

        Raises:
            DataError: as `steps`.
        """
        mine = np.arange(self._rank, len(examples), self._world)
        # Of like sizes: some losses make nothing of a single pair.
        size = max(1, self._config.batch_size // self._world)
        chunks = np.array_split(mine, -(-len(mine) // size)) if len(mine) else []
        sums: dict[str, Tensor] = {}
        self._objective.eval()
        with torch.no_grad(), self._fabric.autocast():
            for chunk, batch in zip(chunks, self._batches(examples, chunks, None), strict=True):
                for name, value in self._objective(batch).items():
                    sums[name] = sums.get(name, 0) + value.double() * len(chunk)
        reduced = self._fabric.all_reduce(sums, reduce_op='sum')
        means = {name: float(value) / len(examples) for name, value in reduced.items()}
        if not math.isfinite(means['loss']):
            raise DataError(
                f'the validation loss is {means["loss"]}: begin another run with a lower '
                'learning_rate'
            )
        return means

    @property
    def _rank(self) -> int:
        return int(self._fabric.global_rank)

    @property
    def _world(self) -> int:
        return int(self._fabric.world_size)

    def _step(self, batch: Batch, step: int) -> Losses:
        self._stepping.zero_grad()
        losses = self._model(batch)
        if not math.isfinite(losses['loss'].item()):
            raise DataError(
                f'the loss of step {step + 1} is {losses["loss"].item()}: begin another run with '
                'a lower learning_rate'
            )
        self._fabric.backward(losses['loss'])
        self._stepping.step()
        detached = {name: value.detach() for name, value in losses.items()}
        means = self._fabric.all_reduce(detached, reduce_op='mean')
        return {name: float(value) for name, value in means.items()}

    def _batches(
        self, examples: Examples, chunks: Iterable[Any], seed: Sequence[int] | None
    ) -> Iterator[Batch]:
        return read_batches(self._fabric, self._config.reading_threads, examples, chunks, seed)


def read_batches(
    fabric: Any,
    num_threads: int,
    examples: Examples,
    chunks: Iterable[Any],
    seed: Sequence[int] | None,
) -> Iterator[Batch]:
    """Read batches ahead of their use, in threads.

    Args:
        fabric: of the device they are for.
        num_threads: that read.
        examples: read from.
        chunks: indices of the examples of each batch.
        seed: of what is random in them; None for nothing.

    Raises:
        DataError: an image is not readable.
    """
    items: list[Item] = [(int(index), seed) for chunk in chunks for index in chunk]
    with ThreadTasks(num_threads) as threads:
        read = threads.map(Task(_read, examples, lambda: examples), items)
        for chunk in chunks:
            parts = list(islice(read, len(chunk)))
            stacked = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
            yield Batch(fabric.to_device(stacked))


def _read(examples: Examples, item: Item) -> dict[str, Tensor]:
    return examples.read(*item)


def _random(config: TrainingConfig, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([config.random_seed, *numbers])
