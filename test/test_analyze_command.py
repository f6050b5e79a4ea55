# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc analyze-apr on the bundled sample: its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

import cv2
import pytest

for package in ('torch', 'safetensors', 'matplotlib', 'jinja2'):
    pytest.importorskip(package, reason=f'{package} is not installed: extras learn and report')

from relloc_ros.cli.main import main  # noqa: E402
from relloc_ros.networks.apr import load_trained  # noqa: E402
from relloc_ros.networks.checkpoint import save_network  # noqa: E402

OFFICE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
FIGURES = ('base_translations', 'coefficients', 'positions', 'reach', 'retrieval')


def analyse(model, reference_map, output, *options, names='query'):
    """Run the command; give its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *('analyze-apr', str(model), '--map', str(reference_map)),
                *('--queries', str(OFFICE), '--list', str(OFFICE / f'{names}.txt')),
                *('--output', str(output), *options),
            ]
        )
    return ended.value.code


@pytest.fixture(scope='module')
def analysed(office_network, office_map, tmp_path_factory):
    output = tmp_path_factory.mktemp('analysis') / 'of the office'
    assert analyse(office_network, office_map, output) == 0
    return output


def test_all_files_are_written(analysed):
    names = {path.name for path in analysed.iterdir()}
    assert names == {'summary.md', 'analysis.json', 'animation.html', 'figures'}
    for name in FIGURES:
        drawn = cv2.imread(str(analysed / 'figures' / f'{name}.png'))
        assert drawn.min() < drawn.max()
        assert (
            (analysed / 'figures' / f'{name}.svg').read_text('utf-8').rstrip().endswith('</svg>')
        )
    assert 'essential localizes 5 of 5 queries' in (analysed / 'summary.md').read_text('utf-8')


def test_numbers_are_those_of_the_network(analysed, office_network):
    numbers = json.loads((analysed / 'analysis.json').read_text('utf-8'))
    trained = load_trained(office_network)
    poses = trained.network.base_poses()
    assert numbers['offset'] == pytest.approx(poses.position_offset)
    assert numbers['base_translations'][7] == pytest.approx(poses.positions[:, 7])
    assert numbers['training_images'] == len(trained.embeddings.names)
    assert [query['name'] for query in numbers['queries']] == (OFFICE / 'query.txt').read_text(
        'utf-8'
    ).split()
    for query in numbers['queries']:
        assert query['nearest_training_image'] in trained.embeddings.names
        assert len(query['localizer_pose']) == 3
    assert numbers['statement'] in (analysed / 'summary.md').read_text('utf-8')


def test_the_page_shows_thumbnails_of_the_map(analysed):
    page = (analysed / 'animation.html').read_text('utf-8')
    assert page.count('data:image/jpeg;base64,') >= 5 + 10


def test_results_are_replaced_on_request_only(office_network, office_map, tmp_path, capsys):
    (tmp_path / 'analysis.json').write_text('{}', 'utf-8')
    assert analyse(office_network, office_map, tmp_path, '--no-localizer') == 1
    assert 'already holds analysis.json' in capsys.readouterr().err
    assert analyse(office_network, office_map, tmp_path, '--no-localizer', '--overwrite') == 0
    numbers = json.loads((tmp_path / 'analysis.json').read_text('utf-8'))
    assert [query['localizer_pose'] for query in numbers['queries']] == [None] * 5
    assert 'localizes' not in (tmp_path / 'summary.md').read_text('utf-8')


def test_training_images_are_no_queries_unless_asked_for(
    office_network, office_map, tmp_path, capsys
):
    output = tmp_path / 'analysis'
    assert analyse(office_network, office_map, output, '--no-localizer', names='map') == 1
    assert 'none of the 14 queries can be analysed' in capsys.readouterr().err
    options = ('--no-localizer', '--allow-map-images')
    assert analyse(office_network, office_map, output, *options, names='map') == 0
    numbers = json.loads((output / 'analysis.json').read_text('utf-8'))
    trained = load_trained(office_network)
    by_name = {query['name']: query for query in numbers['queries']}
    for name in trained.embeddings.names:
        assert by_name[name]['nearest_training_image'] == name
        assert by_name[name]['stretch'] <= 1.0 + 1e-4


def test_a_network_of_another_map_is_refused(office_network, office_map, tmp_path, capsys):
    other = tmp_path / 'map'
    shutil.copytree(office_map, other, symlinks=True)
    with pytest.raises(SystemExit):
        main(['map', 'remove', str(other), (OFFICE / 'map.txt').read_text('utf-8').split()[0]])
    assert analyse(office_network, other, tmp_path / 'analysis', '--no-localizer') == 1
    assert 'was trained on map' in capsys.readouterr().err


def test_a_network_without_coefficients_of_training_images_is_refused(
    office_network, office_map, tmp_path, capsys
):
    path = tmp_path / 'unfinished.safetensors'
    save_network(path, load_trained(office_network).network, {})
    assert analyse(path, office_map, tmp_path / 'analysis') == 1
    assert 'holds no coefficients of training images' in capsys.readouterr().err
    assert not (tmp_path / 'analysis').exists()
