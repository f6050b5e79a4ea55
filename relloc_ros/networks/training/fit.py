# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a network on examples of any kind, on any number of devices.

Order, crops and all other random numbers are functions of the seed and the number of the step or
epoch. So a run that was killed goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice, pairwise
import logging
from statistics import median
import time
from typing import Any

from relloc_ros.config import TrainingConfig
from relloc_ros.networks.checkpoint import save_network
from relloc_ros.networks.training.examples import Examples, Objective
from relloc_ros.networks.training.launching import launch
from relloc_ros.networks.training.run_folder import RunFolder, TrainingState
from relloc_ros.networks.training.stepping import Losses, Stepper, steps_in_epoch
from relloc_ros.networks.training.tables import draw_losses

__all__ = ['Outcome', 'ProgressBar', 'fit', 'time_step']

logger = logging.getLogger(__name__)

DRAWING_PERIOD = 60.0
"""Seconds between two drawings of the losses: they take half a second."""
WARM_UP_STEPS, TIMED_STEPS = 1, 2

ProgressReport = Callable[[int, int, str], None]
ProgressBar = Callable[[], AbstractContextManager[ProgressReport]]
"""Makes a bar in the process that trains; a function of a module."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How training ended.

    Attributes:
        epochs: that it took.
        best_epoch: the one whose weights are kept.
        best_loss: its validation loss.
        stopped_early: it ended because validation got no better.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    stopped_early: bool


def _no_bar() -> AbstractContextManager[ProgressReport]:
    return nullcontext(lambda done, total, detail: None)


def fit(
    objective: Objective,
    training: Examples,
    validation: Examples,
    config: TrainingConfig,
    run: RunFolder,
    about: dict[str, Any],
    progress: ProgressBar = _no_bar,
) -> Outcome:
    """Train until validation gets no better; goes on from the run's checkpoint if it has one.

    With several devices each gets a process of its own, to which the arguments are sent.

    Args:
        objective: network and loss; afterwards with the weights of the last step on one device.
        training: examples to learn from.
        validation: examples that tell when to stop.
        config: settings.
        run: folder that exists.
        about: to be remembered in the weights' file.
        progress: makes the bar.

    Raises:
        DataError: an image is not readable, the checkpoint is damaged, the loss is no number, or
            another process trains in the same folder.
        ConfigError: a batch cannot be shared by the devices, or there are not so many.
        WorkerError: one of several processes ended with an error.
    """
    arguments = (training, validation, config, run, about, progress)
    with run.held():
        return Outcome(**launch(config, len(training), _fit, objective, *arguments))


def time_step(
    objective: Objective,
    training: Examples,
    config: TrainingConfig,
    progress: ProgressBar = _no_bar,
) -> float:
    """Measure how long a step takes, in seconds, images included; keeps nothing on disk.

    Raises:
        DataError: as `fit`.
        ConfigError: as `fit`.
        WorkerError: as `fit`.
    """
    return launch(config, len(training), _time_step, objective, training, config, progress)


def _fit(
    fabric: Any,
    objective: Objective,
    training: Examples,
    validation: Examples,
    config: TrainingConfig,
    run: RunFolder,
    about: dict[str, Any],
    progress: ProgressBar,
) -> dict[str, Any]:
    stepper = Stepper(fabric, objective, config)
    state = TrainingState()
    if run.state.exists():
        state = run.load(objective.network, stepper.optimizer)
    keeper = _Keeper(fabric.is_global_zero, run, objective, about)
    per_epoch = steps_in_epoch(len(training), config)
    keeper.go_back(state, per_epoch)
    total = per_epoch * config.max_epochs
    with progress() if fabric.is_global_zero else _no_bar() as report:
        if state.step:
            logger.info('going on after step %d of epoch %d', *_place(state, per_epoch))
        while not (reason := _ended(state, per_epoch, config)):
            epoch, done = divmod(state.step, per_epoch)
            started = time.monotonic()
            for losses in stepper.steps(training, epoch, done):
                state.step += 1
                keeper.step(state, losses, epoch)
                report(state.step, total, f'epoch {epoch + 1}: loss {losses["loss"]:.4g}')
                if state.step % config.checkpoint_steps == 0 and state.step % per_epoch:
                    keeper.checkpoint(state, stepper)
            keeper.epoch(state, epoch, stepper.mean(validation), time.monotonic() - started)
            keeper.checkpoint(state, stepper)
    keeper.draw()
    epochs = state.step // per_epoch
    return {
        'epochs': epochs,
        'best_epoch': state.best_epoch,
        'best_loss': state.best_loss,
        'stopped_early': reason == 'patience',
    }


def _ended(state: TrainingState, per_epoch: int, config: TrainingConfig) -> str:
    """Give the setting that ends training; '' as long as none does."""
    epochs, rest = divmod(state.step, per_epoch)
    if rest:
        return ''
    if epochs - state.best_epoch >= config.patience:
        return 'patience'
    return 'max_epochs' if epochs >= config.max_epochs else ''


def _place(state: TrainingState, per_epoch: int) -> tuple[int, int]:
    """Give the last step done, counted in its epoch, and that epoch, both from 1."""
    epoch, step = divmod(state.step - 1, per_epoch)
    return step + 1, epoch + 1


def _time_step(
    fabric: Any,
    objective: Objective,
    training: Examples,
    config: TrainingConfig,
    progress: ProgressBar,
) -> float:
    stepper = Stepper(fabric, objective, config)
    wanted = WARM_UP_STEPS + TIMED_STEPS
    times = [time.monotonic()]
    with progress() if fabric.is_global_zero else _no_bar() as report:
        report(0, wanted, '')
        for epoch in range(wanted):
            for _ in islice(stepper.steps(training, epoch, 0), wanted + 1 - len(times)):
                times.append(time.monotonic())
                report(len(times) - 1, wanted, '')
    durations = [later - earlier for earlier, later in pairwise(times)]
    return median(durations[WARM_UP_STEPS:])


class _Keeper:
    """Writes what a run keeps, in the first of the processes."""

    def __init__(
        self, is_first: bool, run: RunFolder, objective: Objective, about: dict[str, Any]
    ) -> None:
        self._is_first = is_first
        self._run = run
        self._network = objective.network
        self._about = about
        self._losses: list[Losses] = []
        self._drawn = time.monotonic()

    def go_back(self, state: TrainingState, per_epoch: int) -> None:
        """Drop the losses of steps after the checkpoint."""
        if self._is_first:
            self._run.steps.keep(state.step)
            self._run.epochs.keep(state.step // per_epoch)
        begun = state.step % per_epoch
        if begun and self._is_first:
            self._losses = [
                {name: value for name, value in row.items() if name not in ('step', 'epoch')}
                for row in self._run.steps.rows()[-begun:]
            ]

    def step(self, state: TrainingState, losses: Losses, epoch: int) -> None:
        self._losses.append(losses)
        if self._is_first:
            self._run.steps.append(state.step, {'epoch': epoch + 1, **losses})

    def epoch(self, state: TrainingState, epoch: int, validation: Losses, seconds: float) -> None:
        """Note an epoch and keep its weights if they are the best so far."""
        is_best = validation['loss'] < state.best_loss
        if is_best:
            state.best_epoch, state.best_loss = epoch + 1, validation['loss']
        if not self._is_first:
            return
        training = {
            name: sum(each[name] for each in self._losses) / len(self._losses)
            for name in validation
        }
        row = {f'training_{name}': value for name, value in training.items()}
        row |= {f'validation_{name}': value for name, value in validation.items()}
        self._run.epochs.append(epoch + 1, {**row, 'seconds': round(seconds, 3)})
        self._losses = []
        if is_best:
            about = {**self._about, 'epoch': epoch + 1}
            save_network(self._run.best, self._network, about)
        logger.info(
            'epoch %d: training loss %.4g, validation loss %.4g%s',
            epoch + 1,
            training['loss'],
            validation['loss'],
            ', the best so far' if is_best else '',
        )

    def checkpoint(self, state: TrainingState, stepper: Stepper) -> None:
        if not self._is_first:
            return
        self._run.save(state, self._network, stepper.optimizer)
        if time.monotonic() - self._drawn > DRAWING_PERIOD:
            self.draw()

    def draw(self) -> None:
        if self._is_first:
            draw_losses(self._run.epochs, self._run.figure)
            self._drawn = time.monotonic()
