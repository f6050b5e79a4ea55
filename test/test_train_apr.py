# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc train apr: what its file holds, other runs, odometry, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.cli.main import main  # noqa: E402
from relloc_ros.config import parameters  # noqa: E402
from relloc_ros.map.reference_map import ReferenceMap  # noqa: E402
from relloc_ros.networks.apr.regressor import PoseRegressor  # noqa: E402
from relloc_ros.networks.apr.trained_file import load_trained  # noqa: E402
from relloc_ros.networks.apr.variants import VARIANTS  # noqa: E402
from relloc_ros.networks.checkpoint import save_network  # noqa: E402
from relloc_ros.networks.network_config import AbsolutePoseConfig  # noqa: E402
from relloc_ros.networks.training.pairs import held_out  # noqa: E402
from relloc_ros.yaml_text import load_yaml  # noqa: E402

ROOT = Path(__file__).parents[1]
OFFICE = ROOT / 'examples' / 'fr3_office'
TINY = [
    *('--set', 'backbone=small', '--set', 'embedding_size=32'),
    *('--set', 'shorter_side=40', '--set', 'crop=32'),
    *('--set', 'batch_size=4', '--set', 'learning_rate=0.001', '--set', 'reading_threads=1'),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Sums of several threads differ in their last digits from those of another number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(*arguments, network='apr'):
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


def arguments_of(office_map, run, variant='posenet', epochs=4):
    return [
        *('--variant', variant, '--map', office_map, '--source', OFFICE, '--output', run),
        *(*TINY, '--set', f'max_epochs={epochs}', '--set', 'checkpoint_steps=2'),
    ]


@pytest.fixture(scope='module')
def whole_run(office_map, tmp_path_factory):
    """Train without an interruption."""
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp('runs') / 'whole'
    assert train(*arguments_of(office_map, run)) == 0
    return run


def test_the_page_lists_variants_and_settings():
    page = (ROOT / 'docs' / 'training.md').read_text()
    for name, variant in VARIANTS.items():
        assert f'| `{name}` | {variant.paper} |' in page
    for name, leaf in parameters(AbsolutePoseConfig).items():
        line = f'| `{name}` | `{leaf.default}` | {leaf.unit} | {leaf.description}'
        assert name == 'variant' or line in page


def test_the_file_knows_the_map_and_the_images_it_has_learned(whole_run, office_map):
    trained = load_trained(whole_run / 'best.safetensors')
    with ReferenceMap.open(office_map) as reference_map:
        flags = held_out(reference_map.num_images)
        names = np.array(list(reference_map.image_names))
        centres = reference_map.centres
        assert trained.about['map_id'] == reference_map.map_id
        assert trained.about['frame_id'] == reference_map.frame_id
        assert trained.about['units'] == reference_map.units
    assert trained.network.config.variant == 'posenet'
    np.testing.assert_allclose(trained.network.centre, centres[~flags].mean(axis=0))
    assert trained.embeddings.names == tuple(names[~flags])
    np.testing.assert_allclose(trained.embeddings.positions, centres[~flags])
    regressor = PoseRegressor(trained.network)
    for name, alpha in list(zip(names[~flags], trained.embeddings.alphas, strict=True))[:3]:
        image = cv2.imread(str(OFFICE / 'images' / name))
        np.testing.assert_allclose(regressor.describe(image), alpha, atol=1e-4)


def test_losses_are_written_and_drawn(whole_run):
    epochs = rows(whole_run / 'epoch.csv')
    assert len(epochs) == 4
    assert {'training_position', 'validation_rotation', 'validation_loss'} <= set(epochs[0])
    assert len(rows(whole_run / 'step.csv')) == 12
    assert (whole_run / 'losses.png').read_bytes().startswith(b'\x89PNG')
    assert not list(whole_run.glob('pairs*'))


def test_a_run_goes_on_as_the_variant_it_was_begun_as(whole_run, tmp_path, capsys):
    run = tmp_path / 'run'
    shutil.copytree(whole_run, run)
    assert train('--resume', '--output', run, '--variant', 'mapnet') == 1
    assert 'trains variant posenet, not mapnet' in capsys.readouterr().err
    assert train('--resume', '--output', run, network='rpr') == 1
    assert 'trains apr, not rpr' in capsys.readouterr().err
    assert train('--resume', '--output', run, '--set', 'dropout=0.25') == 1
    assert 'dropout=0.5, which cannot become 0.25' in capsys.readouterr().err
    more = ('--variant', 'posenet', '--set', 'max_epochs=5')
    assert train('--resume', '--output', run, *more) == 0
    assert len(rows(run / 'epoch.csv')) == 5
    assert load_trained(run / 'best.safetensors').embeddings is not None


def test_a_run_killed_after_its_last_step_gets_its_embeddings(whole_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(whole_run, run)
    best = run / 'best.safetensors'
    trained = load_trained(best)
    save_network(best, trained.network, trained.about)
    assert load_trained(best).embeddings is None
    assert train('--resume', '--output', run) == 0
    assert best.read_bytes() == (whole_run / 'best.safetensors').read_bytes()


def test_dry_run_says_what_would_happen_and_writes_nothing(office_map, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(*arguments_of(office_map, run), '--dry-run') == 0
    text = capsys.readouterr()
    assert '12 for training, 2 for validation' in text.out
    assert '4 examples, ' in text.out
    assert 'nothing was written' in text.err
    assert not run.exists()


def test_a_map_without_points_is_refused_by_the_geometric_loss(office_map, tmp_path, capsys):
    run = tmp_path / 'run'
    assert train(*arguments_of(office_map, run, 'posenet_geometric')) == 1
    assert 'relloc map triangulate' in capsys.readouterr().err
    assert not run.exists()


def test_sequences_with_odometry_are_learned_from(office_map, office_bag, tmp_path, capsys):
    run = tmp_path / 'run'
    arguments = arguments_of(office_map, run, 'mapnet_plus', epochs=1)
    assert train(*arguments) == 1
    assert 'name their source with --odometry' in capsys.readouterr().err
    assert train(*arguments, '--odometry', office_bag) == 0
    assert load_yaml((run / 'run.yaml').read_text())['odometry'] == str(office_bag)
    more = ('--set', 'max_epochs=2')
    assert train('--resume', '--output', run, *more) == 0
    assert len(rows(run / 'epoch.csv')) == 2


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['--map', 'm', '--output', 'r'], 2, 'name a variant of apr with --variant: posenet'),
        (['--variant', 'posnet', '--map', 'm', '--output', 'r'], 1, "(did you mean 'posenet'?)"),
        (['--variant', 'posenet', '--output', 'r'], 2, 'name a map with --map'),
        (
            ['--variant', 'posenet', '--map', 'm', '--map', 'n', '--output', 'r'],
            2,
            'learns the poses in one map, got 2',
        ),
        (
            ['--variant', 'posenet', '--map', 'm', '--pairs', 'p', '--output', 'r'],
            2,
            'leave out --pairs',
        ),
        (
            ['--variant', 'posenet', '--map', 'm', '--odometry', 'o', '--output', 'r'],
            1,
            'learns nothing from images with odometry',
        ),
        (
            ['--variant', 'posenet', '--map', 'm', '--set', 'crop=500', '--output', 'r'],
            1,
            'crop 500',
        ),
        (
            ['--variant', 'posenet', '--map', 'm', '--set', 'variant=mapnet', '--output', 'r'],
            1,
            "unknown setting 'variant'",
        ),
        (
            ['--variant', 'posenet', '--map', 'm', '--set', 'embeding=lstm', '--output', 'r'],
            1,
            "'embedding'",
        ),
    ],
)
def test_wrong_usage_is_explained(arguments, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(*arguments) == code
    assert message in ' '.join(capsys.readouterr().err.replace('│', ' ').split())
    assert not (tmp_path / 'r').exists()


def test_options_for_absolute_poses_are_refused_for_pairs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train('--map', 'm', '--output', 'r', '--variant', 'posenet', network='essnet') == 2
    message = ' '.join(capsys.readouterr().err.replace('│', ' ').split())
    assert '--variant is for apr: leave it out to train essnet' in message
