# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc train: learning, going on after a kill, what a run keeps, and bad input."""

from __future__ import annotations

import csv
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.cli.main import main  # noqa: E402
from relloc_ros.cli.train_options import NETWORKS as NETWORK_NAMES  # noqa: E402
from relloc_ros.config import TrainingConfig, parameters  # noqa: E402
from relloc_ros.networks import NETWORKS  # noqa: E402
from relloc_ros.networks.checkpoint import load_network  # noqa: E402

ROOT = Path(__file__).parents[1]
OFFICE = ROOT / 'examples' / 'fr3_office'
NAMES = OFFICE.joinpath('map.txt').read_text().split()
TINY = [
    *('--set', 'backbone=resnet18', '--set', 'last_stage=1'),
    *('--set', 'shorter_side=40', '--set', 'crop=32'),
    *('--set', 'batch_size=4', '--set', 'pairs_per_image=2'),
    *('--set', 'learning_rate=0.001', '--set', 'reading_threads=1'),
]
DEADLINE = 240.0


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads differ in their last digits from those of another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(network, *arguments):
    """Run the command; give its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(['train', network, *map(str, arguments)])
    return ended.value.code


def rows(path, *left_out):
    with path.open(newline='') as file:
        return [
            {key: value for key, value in row.items() if key not in left_out}
            for row in csv.DictReader(file)
        ]


def test_the_command_knows_all_networks():
    assert set(NETWORK_NAMES) == set(NETWORKS)


def test_the_page_lists_the_settings():
    page = (ROOT / 'docs' / 'training.md').read_text()
    for name, leaf in parameters(TrainingConfig).items():
        assert f'| `{name}` | `{leaf.default}` | {leaf.unit} | {leaf.description}' in page


def test_a_network_learns_a_handful_of_pairs_and_finds_them_again(office_map, tmp_path):
    pairs = tmp_path / 'pairs.txt'
    pairs.write_text(f'{NAMES[2]} {NAMES[3]}\n{NAMES[0]} {NAMES[1]}\n{NAMES[3]}\t{NAMES[4]}\n')
    run = tmp_path / 'run'
    assert (
        train(
            *('essnet', '--map', office_map, '--source', OFFICE, '--pairs', pairs),
            *('--output', run, *TINY, '--set', 'max_epochs=25', '--set', 'patience=100'),
        )
        == 0
    )
    losses = [float(row['training_loss']) for row in rows(run / 'epoch.csv')]
    assert len(losses) == 25
    assert min(losses[-5:]) < 0.5 * losses[0]
    assert (run / 'losses.png').read_bytes().startswith(b'\x89PNG')
    assert (run / 'pairs_1.txt').read_text().split() == pairs.read_text().split()
    network = load_network(run / 'best.safetensors', ['essnet'])
    image = torch.zeros(1, 3, 32, 32)
    assert network(image, image)['essential'].shape == (1, 3, 3)


@pytest.fixture(scope='module')
def whole_run(office_map, tmp_path_factory):
    """Train without an interruption."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp('runs') / 'whole'
    assert train('rpr', *arguments_of_run(office_map, run)) == 0
    return run


def arguments_of_run(office_map, run):
    steps = ('--set', 'max_epochs=4', '--set', 'checkpoint_steps=2')
    return ['--map', office_map, '--source', OFFICE, '--output', run, *TINY, *steps]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(whole_run, office_map, tmp_path):
    run = tmp_path / 'killed'
    process = subprocess.Popen(
        [
            *(sys.executable, '-c', 'from relloc_ros.cli.main import main; main()'),
            *('train', 'rpr'),
            *map(str, arguments_of_run(office_map, run)),
        ],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE
    # In the middle of the second epoch, and of the steps between two checkpoints.
    while not (run / 'step.csv').exists() or len(rows(run / 'step.csv')) < 8:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = rows(run / 'step.csv')
    assert 8 <= len(before) < len(rows(whole_run / 'step.csv'))
    assert train('rpr', '--resume', '--output', run) == 0
    for name in ('step.csv', 'best.safetensors', 'state.safetensors'):
        assert (run / name).read_bytes() == (whole_run / name).read_bytes(), name
    whole = rows(whole_run / 'epoch.csv', 'seconds')
    assert rows(run / 'epoch.csv', 'seconds') == whole
    assert len(whole) == 4
    assert set(whole[0]) >= {'training_translation', 'validation_rotation', 'validation_loss'}


def test_a_run_is_not_begun_or_resumed_over_another(whole_run, office_map, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in whole_run.iterdir()}
    arguments = arguments_of_run(office_map, whole_run)
    assert train('rpr', *arguments) == 1
    assert 'already holds a run: go on with it by --resume' in capsys.readouterr().err
    assert train('essnet', '--resume', '--output', whole_run) == 1
    assert 'trains rpr, not essnet' in capsys.readouterr().err
    assert train('rpr', '--resume', '--output', whole_run, '--set', 'batch_size=2') == 1
    assert 'batch_size=4, which cannot become 2' in capsys.readouterr().err
    maps = ('--map', office_map) * 2
    assert train('rpr', '--resume', '--output', whole_run, *maps) == 1
    assert 'learns from 1 maps' in capsys.readouterr().err
    assert train('rpr', '--resume', '--output', tmp_path / 'none') == 1
    assert 'holds no run to resume' in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in whole_run.iterdir()} == before


def test_a_run_goes_on_with_the_data_it_was_begun_with(whole_run, tmp_path, capsys):
    run = tmp_path / 'run'
    shutil.copytree(whole_run, run)
    pairs = (run / 'pairs_1.txt').read_text().splitlines(keepends=True)
    (run / 'pairs_1.txt').write_text(''.join(pairs[1:]))
    assert train('rpr', '--resume', '--output', run) == 1
    assert 'are not those that' in capsys.readouterr().err


def test_a_finished_run_goes_on_for_more_epochs(whole_run, tmp_path, capsys):
    run = tmp_path / 'run'
    shutil.copytree(whole_run, run)
    more = ('--set', 'max_epochs=5', '--set', 'learning_rate=1e-3')
    assert train('rpr', '--resume', '--output', run, *more) == 0
    assert len(rows(run / 'epoch.csv')) == 5
    assert rows(run / 'epoch.csv')[:4] == rows(whole_run / 'epoch.csv')
    assert 'ended after 5 epochs: max_epochs is reached' in capsys.readouterr().err


def test_a_damaged_checkpoint_is_refused(whole_run, tmp_path, capsys):
    run = tmp_path / 'run'
    shutil.copytree(whole_run, run)
    (run / 'state.safetensors').write_bytes((run / 'state.safetensors').read_bytes()[:1000])
    more = ('--set', 'max_epochs=5')
    assert train('rpr', '--resume', '--output', run, *more) == 1
    assert 'state.safetensors is no intact safetensors file' in capsys.readouterr().err
    (run / 'run.yaml').write_text('network: [')
    assert train('rpr', '--resume', '--output', run, *more) == 1
    assert 'run.yaml' in capsys.readouterr().err


def test_dry_run_says_what_would_happen_and_writes_nothing(office_map, tmp_path, capsys):
    run = tmp_path / 'run'
    arguments = ('--map', office_map, '--source', OFFICE, '--output', run, *TINY)
    assert train('essnet', *arguments, '--dry-run') == 0
    text = capsys.readouterr()
    assert '12 for training, 2 for validation' in text.out
    assert 'weights to train' in text.out
    assert '4 pairs, ' in text.out
    assert 'at most 200, ' in text.out
    assert 'nothing was written' in text.err
    assert not run.exists()


def test_images_of_another_place_are_refused(office_map, tmp_path, capsys):
    place = tmp_path / 'place'
    shutil.copytree(OFFICE, place)
    arguments = ('--map', office_map, '--source', place, '--output', tmp_path / 'run')
    shutil.copy(place / 'images' / NAMES[1], place / 'images' / NAMES[0])
    assert train('essnet', *arguments, *TINY) == 1
    assert 'is not the one that the map was built from' in capsys.readouterr().err
    model = place / 'sparse' / 'images.txt'
    model.write_text(model.read_text().replace(NAMES[0], f'x{NAMES[0]}'))
    (place / 'images' / NAMES[0]).rename(place / 'images' / f'x{NAMES[0]}')
    assert train('essnet', *arguments, *TINY) == 1
    message = capsys.readouterr().err
    assert f'1 of the 14 images of map {office_map} are not in its source' in message
    assert train('essnet', '--map', office_map, '--output', tmp_path / 'run', *TINY) == 1
    assert 'keeps no images' in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['essnett', '--map', 'm', '--dry-run'], 1, "unknown network 'essnett'"),
        (['essnet', '--output', 'r'], 2, 'name a map with --map'),
        (['essnet', '--map', 'm'], 2, 'name the folder of the run'),
        (['essnet', '--map', 'nowhere', '--output', 'r'], 1, 'nowhere'),
        (['essnet', '--map', 'm', '--output', 'r', '--set', 'batchsize=2'], 1, 'batch_size'),
        (['essnet', '--map', 'm', '--output', 'r', '--set', 'crop=500'], 1, 'crop 500'),
        (['essnet', '--output', 'r', '--resume', '--dry-run'], 2, 'leave out --resume'),
        (['essnet', '--map', 'm', '--map', 'n', '--source', 's', '--output', 'r'], 2, '1 times'),
        (['essnet', '--map', 'm', '--output', 'r', '--backbone', 'no.pth'], 1, 'no.pth'),
    ],
)
def test_wrong_usage_is_explained(arguments, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(*arguments) == code
    assert message in ' '.join(capsys.readouterr().err.replace('│', ' ').split())
    assert not (tmp_path / 'r').exists()
