# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc benchmark: scenes in, a table beside published figures out, and back where it stopped."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path
import shutil

from data_set_layouts import write_cambridge, write_seven_scenes
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from relloc_ros.cli.main import make_app
from relloc_ros.config import flatten
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.evaluation.benchmark import (
    DATA_SETS,
    Entrant,
    SceneResult,
    find_scenes,
    parse_entrant,
)
from relloc_ros.evaluation.benchmark_table import format_error, make_table, write_table
from relloc_ros.evaluation.outcomes import read_run
from relloc_ros.evaluation.published import MEAN, MEAN_SCENES
from relloc_ros.geometry import pose_error
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
RESULT = SceneResult((0.1, 1.0), 10, 9)
QUICK = ('--localizer', 'retrieval', '--localizer', 'essential:max_pairs=6')


def read_office(split: str, count: int) -> list[PosedImage]:
    return read_source(OFFICE, list_file=OFFICE / f'{split}.txt')[:count]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one scene of 7-Scenes."""
    folder = tmp_path_factory.mktemp('7scenes')
    write_seven_scenes(folder / 'heads', read_office('map', 8), read_office('query', 2))
    return folder


@pytest.fixture(scope='module')
def output(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first benchmark on it wrote."""
    folder = tmp_path_factory.mktemp('benchmark') / 'results'
    result = run_command(root, folder, *QUICK)
    assert result.exit_code == 0, result.output
    return folder


def run_command(root: Path, output: Path, *options: str) -> Result:
    arguments = ['benchmark', '7scenes', str(root), '--output', str(output), *options]
    return CliRunner().invoke(make_app(), arguments)


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / 'benchmark.csv').open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def test_table_of_a_benchmark(root: Path, output: Path) -> None:
    ours = [row for row in read_csv(output) if row['kind'] == 'ours']
    assert [(row['method'], row['scene']) for row in ours] == [
        ('retrieval', 'heads'),
        ('essential:max_pairs=6', 'heads'),
    ]
    assert {row['queries'] for row in ours} == {'2'}
    retrieval, essential = (float(row['position_m']) for row in ours)
    assert essential < 0.1 < retrieval
    run = read_run(output / 'heads' / 'essential_max_pairs=6')
    errors = [outcome.error or (0.0, 0.0) for outcome in run.scored]
    assert essential == pytest.approx(np.median(errors, axis=0)[0], rel=1e-5)
    assert [outcome.name for outcome in run.outcomes] == [
        image.name for image in read_source(root / 'heads', split='test')
    ]
    with ReferenceMap.open(output / 'heads' / 'map') as reference_map:
        expected = [image.name for image in read_source(root / 'heads', split='train')]
        assert list(reference_map.image_names) == expected


def test_published_rows_stand_beside(output: Path) -> None:
    rows = [row for row in read_csv(output) if row['method'] == 'DSAC++']
    by_scene = {row['scene']: (row['position_m'], row['rotation_deg']) for row in rows}
    assert by_scene['heads'] == ('0.01', '0.8')
    assert by_scene[MEAN] == ('0.04', '1.1')
    text = (output / 'benchmark.md').read_text(encoding='utf-8')
    lines = text.splitlines()
    assert '| method | kind | heads | mean | source |' in lines
    assert any(
        line.startswith('| DSAC++ | 3D | 0.01/0.80 | 0.04/1.10 | Sattler et al.') for line in lines
    )
    assert 'not there: chess, fire, office, pumpkin, redkitchen, stairs' in text


def test_finished_runs_are_used_again(root: Path, output: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(output, tmp_path / 'results', symlinks=True))
    shutil.rmtree(again / 'heads' / 'retrieval')
    before = modification_times(again)
    result = run_command(root, again, *QUICK)
    assert result.exit_code == 0, result.output
    after = modification_times(again)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path.parts[0] for path in changed} == {'heads', 'benchmark.md', 'benchmark.csv'}
    assert {path.parts[1] for path in changed if len(path.parts) > 1} == {'retrieval'}
    assert figures(read_csv(again)) == figures(read_csv(output))


def test_runs_of_other_settings_are_made_again(root: Path, output: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(output, tmp_path / 'results', symlinks=True))
    header = again / 'heads' / 'retrieval' / 'run.json'
    stored = json.loads(header.read_text(encoding='utf-8'))
    stored['settings']['top_k'] = 7
    header.write_text(json.dumps(stored), encoding='utf-8')
    assert run_command(root, again, '--localizer', 'retrieval').exit_code == 0
    assert read_run(header.parent).settings['top_k'] != 7


def test_structure_gets_a_triangulated_map(root: Path, output: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(output, tmp_path / 'results', symlinks=True))
    result = run_command(root, again, '--localizer', 'structure')
    assert result.exit_code == 0, result.output
    (ours,) = [row for row in read_csv(again) if row['kind'] == 'ours']
    assert float(ours['position_m']) < 0.1
    with ReferenceMap.open(again / 'heads' / 'map') as reference_map:
        assert reference_map.points is not None
        map_id = reference_map.map_id
    assert read_run(again / 'heads' / 'structure').map_id == map_id


def test_a_map_of_another_data_set_is_not_taken(output: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other'
    write_seven_scenes(other / 'heads', read_office('map', 3), read_office('query', 1))
    again = Path(shutil.copytree(output, tmp_path / 'results', symlinks=True))
    result = run_command(other, again, '--localizer', 'retrieval')
    assert isinstance(result.exception, DataError)
    assert 'was built from' in str(result.exception)
    result = run_command(other, again, '--localizer', 'retrieval', '--overwrite')
    assert result.exit_code == 0, result.output
    assert [row['queries'] for row in read_csv(again) if row['kind'] == 'ours'] == ['1']


def modification_times(folder: Path) -> dict[Path, int]:
    return {
        path.relative_to(folder): os.stat(path).st_mtime_ns
        for path in folder.rglob('*')
        if path.is_file()
    }


def figures(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in rows]


def test_layouts_localize_like_a_colmap_model(tmp_path: Path) -> None:
    map_images, queries = read_office('map', 8), read_office('query', 2)
    scenes = {'7scenes': write_seven_scenes, 'cambridge': write_cambridge}
    for name, write_scene in scenes.items():
        scene = tmp_path / name
        write_scene(scene, map_images, queries)
        model = write_colmap_model(read_source(scene), tmp_path / f'{name}_model')
        names = tmp_path / 'list.txt'
        names.write_text('\n'.join(image.name for image in read_source(scene, split='test')))
        from_scene = read_source(scene, list_file=names)
        from_model = read_source(model, images_dir=scene, list_file=names)
        built = build_map(read_source(scene, split='train'), tmp_path / f'{name}_map')
        with ReferenceMap.open(built) as reference_map:
            relocalizer = Relocalizer(reference_map)
            for one, other in zip(from_scene, from_model, strict=True):
                assert (one.name, one.stamp_ns, one.camera) == (
                    other.name,
                    other.stamp_ns,
                    other.camera,
                )
                assert max(pose_error(one.cam_from_map, other.cam_from_map)) < 1e-9
                results = [relocalizer.process(as_query(image)) for image in (one, other)]
                poses = [result.camera_pose for result in results]
                assert poses[0] is not None
                assert poses[1] is not None
                np.testing.assert_array_equal(
                    poses[0].map_from_body.matrix, poses[1].map_from_body.matrix
                )
                distance, _ = pose_error(poses[0].map_from_body, one.cam_from_map.inverse())
                assert distance < 0.1


def as_query(posed: PosedImage) -> QueryImage:
    return QueryImage(read_image(posed), posed.camera, posed.stamp_ns, name=posed.name)


def write_colmap_model(posed: list[PosedImage], folder: Path) -> Path:
    folder.mkdir()
    cameras, images = [], []
    for i, image in enumerate(posed, start=1):
        camera = image.camera
        params = ' '.join(map(repr, camera.params))
        cameras.append(f'{i} {camera.model} {camera.width} {camera.height} {params}')
        pose = (*image.cam_from_map.quat_wxyz, *image.cam_from_map.translation)
        numbers = ' '.join(repr(float(value)) for value in pose)
        images.append(f'{i} {numbers} {i} {image.name}\n')
    (folder / 'cameras.txt').write_text('\n'.join(cameras) + '\n')
    (folder / 'images.txt').write_text('\n'.join(images) + '\n')
    return folder


def test_entrants() -> None:
    plain = parse_entrant('essential')
    assert (plain.label, plain.folder_name) == ('essential', 'essential')
    assert plain.config.localizer == 'essential'
    assert (plain.config.max_position_std, plain.config.max_orientation_std) == (0, 0)
    tuned = parse_entrant('essential:refinement=none,max_keypoints=900,max_position_std=2')
    values = flatten(tuned.config)
    assert values['essential.refinement'] == 'none'
    assert (values['max_keypoints'], values['max_position_std']) == (900, 2.0)
    assert tuned.folder_name == 'essential_refinement=none,max_keypoints=900,max_position_std=2'
    assert (
        parse_entrant('essential:essential.refinement=none').config.essential.refinement == 'none'
    )
    slashed = Entrant('essential:weights_folder=/a/b', plain.config)
    assert slashed.folder_name == 'essential_weights_folder=_a_b'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('esential', r"unknown localizer 'esential' \(did you mean 'essential'\?\)"),
        ('essential:refinment=none', "unknown setting 'refinment'"),
        ('essential:refinement', "'refinement' in 'essential:refinement' is not of the form"),
        ('essential:max_pairs=0', r'essential\.max_pairs'),
    ],
)
def test_bad_entrants(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_entrant(text)


def test_scenes_are_found_in_their_order(tmp_path: Path) -> None:
    for name in ('ShopFacade', 'KingsCollege', 'other'):
        (tmp_path / name).mkdir()
    found, missing = find_scenes('cambridge', tmp_path)
    assert found == ['KingsCollege', 'ShopFacade']
    assert missing == ['OldHospital', 'StMarysChurch', 'Street', 'GreatCourt']
    assert find_scenes('cambridge', tmp_path, ['Street', 'ShopFacade']) == (
        ['ShopFacade'],
        ['Street'],
    )
    with pytest.raises(DataError, match=r"no scene 'Shop' \(did you mean 'ShopFacade'\?\)"):
        find_scenes('cambridge', tmp_path, ['Shop'])
    with pytest.raises(DataError, match='holds none of the scenes chess'):
        find_scenes('7scenes', tmp_path)


@pytest.mark.parametrize('data_set', DATA_SETS)
def test_mean_needs_the_published_scenes(data_set: str, tmp_path: Path) -> None:
    scenes = MEAN_SCENES[data_set]
    assert set(scenes) <= set(DATA_SETS[data_set])
    results = {'a': dict.fromkeys(scenes, RESULT), 'b': dict.fromkeys(scenes[1:], RESULT)}
    failed = RESULT._replace(median_error=(math.inf, math.inf))
    results['c'] = {**results['a'], scenes[0]: failed}
    table = make_table(data_set, results, scenes, [])
    complete, partial, lost = table.rows[:3]
    assert complete.figures[MEAN] == pytest.approx((0.1, 1.0))
    assert MEAN not in partial.figures
    assert lost.figures[MEAN] == (math.inf, math.inf)
    write_table(table, tmp_path)
    lines = (tmp_path / 'benchmark.md').read_text(encoding='utf-8').splitlines()
    (row,) = [line for line in lines if line.startswith('| c |')]
    assert row.count(' inf ') == 2
    rows = [row for row in read_csv(tmp_path) if row['method'] == 'c' and row['scene'] == MEAN]
    assert [row['position_m'] for row in rows] == ['inf']
    assert [row.kind for row in table.rows[:4]] == ['ours', 'ours', 'ours', 'APR']


def test_errors_are_written_with_honest_decimals() -> None:
    assert format_error((0.0123, 0.456), is_ours=True) == '0.012/0.46'
    assert format_error((0.02, 1.45), is_ours=False) == '0.02/1.45'
    assert format_error((math.inf, math.inf), is_ours=True) == 'inf'
    assert format_error(None, is_ours=True) == '-'
