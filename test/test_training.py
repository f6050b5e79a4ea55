# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of any network: order, going on after a kill, ending, devices and precision."""

from __future__ import annotations

import importlib
import importlib.util
import math

import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.config import TrainingConfig, make_config  # noqa: E402
from relloc_ros.errors import ConfigError, DataError, MissingDependencyError  # noqa: E402
from relloc_ros.networks import NETWORKS  # noqa: E402
import relloc_ros.networks.training as training_package  # noqa: E402
from relloc_ros.networks.training import fit as fitting  # noqa: E402
from relloc_ros.networks.training.examples import Batch, Objective  # noqa: E402
from relloc_ros.networks.training.fit import Outcome, fit, time_step  # noqa: E402
from relloc_ros.networks.training.launching import check_devices  # noqa: E402
from relloc_ros.networks.training.run_folder import RunFolder  # noqa: E402
from relloc_ros.networks.training.stepping import steps_in_epoch  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads differ in their last digits from those of another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Line(torch.nn.Module):
    """A network of one weight, and one of no use."""

    name = 'essnet'
    config = NETWORKS['essnet'].config_class()

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(()))
        self.dropout = torch.nn.Dropout(0.2)


class LineObjective(Objective):
    def forward(self, examples: Batch):
        x, y = examples.tensors['x'], examples.tensors['y']
        error = self.network.dropout(self.network.slope * x) - y
        return {'loss': (error**2).mean(), 'largest': error.abs().max()}


class Points:
    """Examples on a line; for training they are drawn anew each time."""

    def __init__(self, count, slope=2.0):
        self.count = count
        self.slope = slope

    def __len__(self):
        return self.count

    def read(self, index, seed):
        noise = 0.0 if seed is None else sum(seed) % 7 / 7.0
        x = torch.tensor(1.0 + index + noise)
        return {'x': x, 'y': self.slope * x}


def fit_line(folder, *progress, validation=None, **settings):
    settings = {'batch_size': 4, 'learning_rate': 0.05, 'checkpoint_steps': 3, **settings}
    config = make_config(TrainingConfig, {'reading_threads': 1, **settings})
    folder.mkdir(exist_ok=True)
    objective = LineObjective(Line())
    examples = (Points(22), validation or Points(5))
    about = {'data': 'x'}
    outcome = fit(objective, *examples, config, RunFolder(folder), about, *progress)
    return outcome, objective


def test_training_needs_no_pairs_and_ends_where_validation_gets_no_better(tmp_path):
    outcome, objective = fit_line(tmp_path / 'run', max_epochs=60, patience=3)
    assert outcome.stopped_early
    assert outcome.epochs == outcome.best_epoch + 3 < 60
    assert float(objective.network.slope.detach()) == pytest.approx(2.0, abs=0.7)
    losses = [row['validation_loss'] for row in RunFolder(tmp_path / 'run').epochs.rows()]
    assert outcome.best_loss == min(losses) == losses[outcome.best_epoch - 1]


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    fit_line(tmp_path / 'run', max_epochs=1)
    with RunFolder(tmp_path / 'run').held(), pytest.raises(DataError, match='another process is'):
        fit_line(tmp_path / 'run', max_epochs=2)
    outcome, _ = fit_line(tmp_path / 'run', max_epochs=2)
    assert outcome.epochs == 2


def test_dropout_and_order_are_the_same_each_time_and_others_with_another_seed(tmp_path):
    curves = []
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        torch.manual_seed(len(curves))
        fit_line(tmp_path / name, max_epochs=2, random_seed=seed)
        curves.append((tmp_path / name / 'step.csv').read_bytes())
    assert curves[0] == curves[1] != curves[2]


class Killed(Exception):
    """Stands for a kill, in a process that goes on."""


class Killer:
    """A progress bar that ends the process, as it were, after a step."""

    def __init__(self, last):
        self.last = last

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __call__(self, done, total, detail):
        if done == self.last:
            raise Killed


def test_every_step_can_be_the_last_before_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, 'draw_losses', lambda *arguments: None)
    whole = tmp_path / 'whole'
    fit_line(whole, max_epochs=2)
    total = 2 * steps_in_epoch(22, make_config(TrainingConfig, {'batch_size': 4}))
    assert total == 10
    for last in range(1, total + 1):
        folder = tmp_path / f'killed_{last}'
        with pytest.raises(Killed):
            fit_line(folder, lambda last=last: Killer(last), max_epochs=2)
        fit_line(folder, max_epochs=2)
        for name in ('step.csv', 'state.safetensors', 'best.safetensors'):
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), (last, name)


def test_several_processes_share_the_batches(tmp_path):
    alone, _ = fit_line(tmp_path / 'one', max_epochs=1, random_seed=3)
    shared, _ = fit_line(tmp_path / 'two', max_epochs=1, random_seed=3, devices=2)
    assert isinstance(shared, Outcome)
    assert shared.epochs == 1
    assert len(RunFolder(tmp_path / 'two').steps.rows()) == 5
    # The same examples, but other dropout in each process.
    assert shared.best_loss == pytest.approx(alone.best_loss, rel=0.3)


def test_devices_that_cannot_be_had_are_named():
    with pytest.raises(ConfigError, match='batch_size 16 and 5 examples'):
        check_devices(make_config(TrainingConfig, {'devices': 3}), 5)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match='accelerator cuda'):
            check_devices(make_config(TrainingConfig, {'accelerator': 'cuda'}), 100)


def test_a_loss_that_is_no_number_ends_training(tmp_path):
    with pytest.raises(DataError, match=r'validation loss is nan.*learning_rate'):
        fit_line(tmp_path / 'run', validation=Points(5, slope=math.nan), max_epochs=2)
    objective = LineObjective(Line())
    config = make_config(TrainingConfig, {'batch_size': 4})
    with pytest.raises(DataError, match='loss of step 1 is nan'):
        time_step(objective, Points(8, slope=math.nan), config)


def test_mixed_precision_leaves_the_truth_exact(tmp_path):
    seen = []

    class Watching(LineObjective):
        def forward(self, examples):
            seen.append(examples.tensors['y'])
            return super().forward(examples)

    config = make_config(TrainingConfig, {'batch_size': 4, 'precision': 'bfloat16'})
    time_step(Watching(Line()), Points(8, slope=1.001), config)
    assert {each.dtype for each in seen} == {torch.float32}


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'lightning_fabric.*relloc_ros\[learn\]'):
        importlib.reload(training_package)
    monkeypatch.undo()
    importlib.reload(training_package)
