# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Devices and the processes that train on them, by Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable
import copy
from multiprocessing import active_children
import signal
from typing import Any

from lightning_fabric import Fabric
from torch import distributed
from torch.multiprocessing.spawn import ProcessException

from relloc_ros.config import TrainingConfig
from relloc_ros.errors import ConfigError, WorkerError
from relloc_ros.networks.training.examples import Objective

__all__ = ['check_devices', 'launch']

PRECISIONS = {'float32': '32-true', 'bfloat16': 'bf16-mixed'}


def check_devices(config: TrainingConfig, num_examples: int) -> None:
    """Find out whether the devices of the settings are there and can share a batch.

    Raises:
        ConfigError: they are not, or cannot.
    """
    _fabric(config, num_examples)


def launch(
    config: TrainingConfig,
    num_examples: int,
    do: Callable[..., Any],
    objective: Objective,
    *arguments: Any,
) -> Any:
    """Call a function of a module in this process, or for several devices in one for each.

    Args:
        config: which devices.
        num_examples: for training.
        do: called with a Fabric, the objective and the arguments.
        objective: each process gets its own.
        arguments: can be pickled.

    Returns:
        What the call in the first process returns; no dataclass.

    Raises:
        ConfigError: as `check_devices`.
        WorkerError: a process ended with an error.
    """
    others = active_children()
    try:
        return _fabric(config, num_examples).launch(_Call(do, objective, arguments))
    except ProcessException as error:
        lines = str(error).strip().splitlines()
        raise WorkerError(f'a process that trains has ended: {lines[-1]}') from error
    finally:
        # Whoever ends this process does not want them to train on.
        for process in active_children():
            if process not in others:
                process.terminate()


class _Call:
    """A function and its arguments; Fabric would change dataclasses among them."""

    def __init__(
        self, do: Callable[..., Any], objective: Objective, arguments: tuple[Any, ...]
    ) -> None:
        self._do = do
        self._objective = objective
        self._arguments = arguments

    def __call__(self, fabric: Any) -> Any:
        if fabric.world_size == 1:
            return self._do(fabric, self._objective, *self._arguments)
        # pycolmap's handler would print a trace when the others of a failed process are ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # What was sent shares its memory with the other processes.
        result = self._do(fabric, copy.deepcopy(self._objective), *self._arguments)
        # Threads that still hold tensors when Python ends would abort the process.
        fabric.barrier()
        distributed.destroy_process_group()
        return result


def _fabric(config: TrainingConfig, num_examples: int) -> Any:
    if config.batch_size % config.devices or num_examples < config.devices:
        raise ConfigError(
            f'batch_size {config.batch_size} and {num_examples} examples cannot be shared by '
            f'{config.devices} devices: make the batch a multiple of them'
        )
    try:
        return Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy='auto' if config.devices == 1 else 'ddp_spawn',
            precision=PRECISIONS[config.precision],
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f'accelerator {config.accelerator} with {config.devices} devices is not to be had '
            f'here: {error}'
        ) from error
