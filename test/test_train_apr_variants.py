# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc train apr: every variant trains, and goes on after a kill."""

from __future__ import annotations

import csv
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.cli.main import main  # noqa: E402
from relloc_ros.networks.apr.trained_file import load_trained  # noqa: E402
from relloc_ros.networks.apr.variants import VARIANTS  # noqa: E402

ROOT = Path(__file__).parents[1]
OFFICE = ROOT / 'examples' / 'fr3_office'
TINY = [
    *('--set', 'backbone=small', '--set', 'embedding_size=32'),
    *('--set', 'shorter_side=40', '--set', 'crop=32'),
    *('--set', 'batch_size=4', '--set', 'learning_rate=0.001', '--set', 'reading_threads=1'),
]
DEADLINE = 240.0


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads differ in their last digits from those of another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(*arguments):
    """Run the command; give its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(['train', 'apr', *map(str, arguments)])
    return ended.value.code


def rows(path, *left_out):
    with path.open(newline='') as file:
        return [
            {key: value for key, value in row.items() if key not in left_out}
            for row in csv.DictReader(file)
        ]


def arguments_of(office_map, run, variant, epochs=4):
    return [
        *('--variant', variant, '--map', office_map, '--source', OFFICE, '--output', run),
        *(*TINY, '--set', f'max_epochs={epochs}', '--set', 'checkpoint_steps=2'),
    ]


@pytest.fixture(scope='module')
def whole_run(office_map, tmp_path_factory):
    """Train without an interruption."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp('runs') / 'whole'
    assert train(*arguments_of(office_map, run, 'mapnet')) == 0
    return run


def test_a_killed_run_goes_on_as_if_nothing_had_happened(whole_run, office_map, tmp_path):
    run = tmp_path / 'killed'
    process = subprocess.Popen(
        [
            *(sys.executable, '-c', 'from relloc_ros.cli.main import main; main()'),
            *('train', 'apr', *map(str, arguments_of(office_map, run, 'mapnet'))),
        ],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE
    # In the middle of the second epoch, and of the steps between two checkpoints.
    while not (run / 'step.csv').exists() or len(rows(run / 'step.csv')) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(rows(run / 'step.csv')) >= 5
    assert train('--resume', '--output', run) == 0
    for name in ('step.csv', 'best.safetensors', 'state.safetensors'):
        assert (run / name).read_bytes() == (whole_run / name).read_bytes(), name
    assert rows(run / 'epoch.csv', 'seconds') == rows(whole_run / 'epoch.csv', 'seconds')


@pytest.mark.parametrize('variant', sorted({*VARIANTS} - {'mapnet_plus'}))
def test_every_variant_trains(variant, office_points_map, tmp_path):
    run = tmp_path / 'run'
    assert train(*arguments_of(office_points_map, run, variant, epochs=2)) == 0
    assert len(rows(run / 'epoch.csv')) == 2
    trained = load_trained(run / 'best.safetensors')
    assert trained.network.config.variant == variant
    assert np.isfinite(trained.embeddings.alphas).all()
