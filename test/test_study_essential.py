# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The study of essential matrices: its steps, its page made of planted outputs, its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
import importlib
from itertools import pairwise
import json
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, TrainingConfig, make_config, parameters
from relloc_ros.errors import DataError
from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.outcomes import Outcome, Run, write_run
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import PoseEstimate, QueryImage, Status

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'
MODULES = (
    'choice',
    'essential',
    'figures',
    'forecast',
    'methods',
    'page',
    'plan',
    'runs',
    'scales',
    'verdicts',
)
MACHINE = {
    'processor': 'some processor',
    'usable_cores': 2,
    'memory_gib': 8,
    'python': '3.12',
    'numpy': '2.0',
    'opencv': '5.0',
    'opencv_threads': 2,
    'matching': 'compiled',
    'versions': {},
    'gpu': 'some GPU',
}
Errors = Callable[[str, str], PoseError | None]


@pytest.fixture
def study() -> Iterator[Any]:
    """Gives the modules of the study, and that of records."""
    sys.path.insert(0, str(BENCHMARKS))
    before = set(sys.modules)
    modules = {name: importlib.import_module(f'study_{name}') for name in MODULES}
    yield SimpleNamespace(**modules, record=importlib.import_module('record'))
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


def make_plan(study: Any, scale: str = 'cpu', **choice: Any) -> Any:
    values = {'epochs': None, 'backbone': '', 'real': {}, **choice}
    return study.plan.Plan(study.plan.Choice(scale, **values))


def as_in_the_paper(method: str, scene: str) -> PoseError | None:
    """Errors in which all findings are there."""
    kind = 'rooms' if 'room' in scene else 'facades'
    if method.startswith('sift'):
        return 0.01, 0.1
    if method.startswith('nc_5pt'):
        return 0.2, 2.0
    if method.startswith('retrieval'):
        return 0.5, 10.0
    return (0.4, 5.0) if kind in method and 'unseen' not in scene else (1.2, 40.0)


def the_other_way_round(method: str, scene: str) -> PoseError | None:
    """Errors in which none is: regression is best, everywhere the same; features matter."""
    if method.startswith('nc_5pt'):
        return (4.0, 40.0) if 'rooms' in method else (9.0, 90.0)
    return (0.3, 3.0) if method.startswith('sift') else (0.1, 1.0)


def plant(study: Any, plan: Any, results: Path, errors: Errors) -> None:
    """Write a run and its record for each cell that has errors."""
    for step in plan.steps.values():
        if step.sort != 'cell':
            continue
        _, method, scene = step.name.split('/')
        error = errors(method, scene)
        if error is not None:
            write_run(some_run(error), results / step.name)
            write_record(study, plan, results, step.name)


def write_record(study: Any, plan: Any, results: Path, name: str, mark: str = '') -> None:
    record = study.record.Record(
        name,
        list(plan.steps[name].command),
        mark or plan.fingerprints[name],
        'measured',
        date='2026-01-02T03:04:05+00:00',
        revision='abc1234',
        seconds=60.0,
        machine=MACHINE,
    )
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    study.record.write_record(results, record)


def some_run(error: PoseError) -> Run:
    """Three queries: one as asked for, one better, one worse."""
    outcomes = []
    for number, factor in enumerate((1.0, 0.5, 2.0)):
        position, rotation = (factor * value for value in error)
        pose = RigidTransform(
            exp_so3(np.array([0.0, 0.0, np.deg2rad(min(rotation, 170.0))])),
            np.array([position, 0.0, 0.0]),
        )
        found = PoseEstimate(pose, np.eye(6)) if np.isfinite(position) else None
        status = Status.LOCALIZED if found else Status.TOO_FEW_MATCHES
        truth = RigidTransform(np.eye(3), np.zeros(3))
        outcomes.append(Outcome(f'{number}.jpg', number, status, '', found, truth))
    return Run(tuple(outcomes), (), 'camera', 'essential', {}, '', 'abc', 'm', '0.1.0', True)


def lines_of(page: str, start: str) -> list[list[str]]:
    """Give the cells of the lines of tables that begin so."""
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in page.split('\n')
        if line.startswith(start)
    ]


def verdicts(study: Any, source: Any) -> dict[str, str]:
    found = study.verdicts.FINDINGS
    return {each.letter: study.verdicts.verdict(list(each.compare(source))) for each in found}


def test_figures_of_the_paper_pass_its_own_findings(study: Any) -> None:
    found = verdicts(study, study.figures.Published())
    assert {letter: text.split(':')[0] for letter, text in found.items()} == dict.fromkeys(
        'abcd', 'reached'
    )
    assert found['a'] == 'reached: 4 of 4 comparisons'


def test_page_shows_planted_figures_beside_published_ones(study: Any, tmp_path: Path) -> None:
    pytest.importorskip('jinja2')
    plan = make_plan(study)
    plant(study, plan, tmp_path, as_in_the_paper)
    page = study.page.make_page(plan, tmp_path)
    cells = sum(step.sort == 'cell' for step in plan.steps.values())
    assert f'{cells} of {cells} cells were run, with {3 * cells} queries in all' in page
    for letter in 'abcd':
        (finding,) = lines_of(page, f'| ({letter})')
        assert finding[2].startswith('reached: ')
        assert finding[3].startswith('reached: ')
    ours = ['0.400/5.00'] * 6
    assert lines_of(page, '| E | EssNet |') == [
        ['E', 'EssNet', 'the same scenes', *ours, '1.08/3.41', '0.22/8.03']
    ]
    unseen = ['1.200/40.00', '1.200/40.00']
    assert ['EssNet', 'rooms', '0.400/5.00', *[unseen[0]] * 3, '10.36/85.75', '0.22/8.03'] in (
        lines_of(page, '| EssNet | rooms |')
    )
    (spread,) = lines_of(page, '| EssNet | E regressed | (MegaDepth) |')
    assert spread[4:] == ['', '', '', '', '0.98/1.40', '0.20/4.70']
    assert 'some processor' in page
    assert 'GPU some GPU' in page
    assert 'begin with random weights' in page
    (random,) = lines_of(page, '| E | random features + NCM')
    assert random[3:] == ['0.200/2.00'] * 6 + ['', ''], 'the paper has no such features'


def test_page_says_where_findings_do_not_come_out(study: Any, tmp_path: Path) -> None:
    pytest.importorskip('jinja2')
    plan = make_plan(study)
    plant(study, plan, tmp_path, the_other_way_round)
    page = study.page.make_page(plan, tmp_path)
    for letter in 'abcd':
        (finding,) = lines_of(page, f'| ({letter})')
        assert finding[2].startswith('reached: ')
        assert finding[3].startswith('not reached' if letter in 'abd' else 'reached in part')
    assert '| reached |' not in page.split('### (b)')[0].split('### (a)')[1]


def test_cells_that_were_not_run_stay_empty(study: Any, tmp_path: Path) -> None:
    pytest.importorskip('jinja2')
    plan = make_plan(study)
    page = study.page.make_page(plan, tmp_path)
    assert 'A cell that was not run is empty' in page
    for letter in 'abcd':
        assert lines_of(page, f'| ({letter})')[0][3] == 'not run'
    assert lines_of(page, '| E | SIFT + 5pt |')[0][2:] == ['', *[''] * 6, '0.47/0.88', '0.08/1.99']

    def one_scene(method: str, scene: str) -> PoseError | None:
        return (0.02, 0.3) if (method, scene) == ('sift_5pt-none', 'room_1') else None

    plant(study, plan, tmp_path, one_scene)
    page = study.page.make_page(plan, tmp_path)
    row = lines_of(page, '| E | SIFT + 5pt |')[0]
    assert row[3:9] == ['0.020/0.30', '', '', '', '', ''], 'a mean of half of the scenes is none'
    assert '1 of ' in page


def test_figures_of_other_settings_are_not_shown(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study)
    step = 'cell/retrieval/room_1'
    write_run(some_run((0.5, 10.0)), tmp_path / step)
    column = replace(plan.columns[0], scenes=('room_1',))
    write_record(study, plan, tmp_path, step, mark='another-settings')
    assert study.figures.Ours(plan, tmp_path).error('retrieval', column) is None
    write_record(study, plan, tmp_path, step)
    found = study.figures.Ours(plan, tmp_path).error('retrieval', column)
    assert found == pytest.approx((0.5, 10.0))


def test_queries_without_a_pose_are_no_figure_to_divide_by(study: Any, tmp_path: Path) -> None:
    pytest.importorskip('jinja2')
    plan = make_plan(study, 'tiny')

    def no_sift(method: str, scene: str) -> PoseError | None:
        lost = (float('inf'), float('inf'))
        return lost if method.startswith('sift') else as_in_the_paper(method, scene)

    plant(study, plan, tmp_path, no_sift)
    assert verdicts(study, study.figures.Ours(plan, tmp_path))['a'].startswith('cannot be told')
    assert '| no pose |' in study.page.make_page(plan, tmp_path)


def test_a_network_that_has_learned_nothing_is_marked(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study)

    def bad_networks(method: str, scene: str) -> PoseError | None:
        return as_in_the_paper(method, scene) if '5pt' in method else (2.0, 30.0)

    plant(study, plan, tmp_path, bad_networks)
    ours = study.figures.Ours(plan, tmp_path)
    texts = [each.what for each in study.verdicts.regression_fails_elsewhere(ours)]
    assert texts
    assert all('does not beat retrieval there' in text for text in texts)


@pytest.mark.parametrize('scale', ['tiny', 'cpu', 'gpu'])
def test_steps_come_after_what_they_need_and_have_valid_settings(study: Any, scale: str) -> None:
    pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
    from relloc_ros.networks.network_config import NcEssNetConfig

    plan = make_plan(study, scale, real={'redkitchen': 480, 'castle_p30': 2048})
    seen: set[str] = set()
    known = {**parameters(TrainingConfig), **parameters(NcEssNetConfig)}
    for step in plan.steps.values():
        assert seen.issuperset(step.needs)
        seen.add(step.name)
        command = [*step.command, *step.limit]
        settings = [value for option, value in pairwise(command) if option == '--set']
        values = dict(each.split('=') for each in settings)
        if step.sort == 'cell':
            make_config(LocalizationConfig, values)
        else:
            assert known.keys() >= values.keys()
    assert {'scene', 'map', 'train', 'initial', 'cell'} == {name.split('/')[0] for name in seen}
    seeds = [scene.seed for scene in plan.scenes if scene.kind != 'real']
    assert len(seeds) == len(set(seeds))
    assert not any(
        f'/{scene.name}' in name
        for scene in plan.scenes
        if scene.lot == 'unrelated'
        for name in seen
        if name.startswith('cell')
    )


def test_learned_matches_have_the_threshold_of_the_paper_in_cells(study: Any) -> None:
    def threshold(scale: str, cell: str) -> float:
        settings = make_plan(study, scale).steps[f'cell/nc_5pt-initial/{cell}'].command
        (value,) = (each for each in settings if 'learned_threshold_px' in each)
        return float(value.split('=')[1])

    assert threshold('gpu', 'room_1') == 5.5
    assert threshold('gpu', 'facade_1') == 4.0
    # Cells of 8 pixels in images of 160, which were 240.
    assert threshold('cpu', 'room_1') == pytest.approx(5.5 / 32 * 12, abs=1e-3)


def test_some_steps_are_chosen_with_all_that_they_need(study: Any) -> None:
    plan = make_plan(study, 'tiny')
    chosen = [step.name for step in plan.with_needs(plan.named(['train/nc_matching']))]
    assert chosen == [
        *('scene/unrelated_room_1', 'map/unrelated_room_1'),
        *('train/essnet-unrelated', 'train/nc_matching-unrelated'),
    ]
    assert plan.named(['rpr-rooms']) == {
        *('train/rpr-rooms', 'cell/rpr-rooms/room_1', 'cell/rpr-rooms/unseen_room_1')
    }
    assert plan.named([]) == set(plan.steps)
    with pytest.raises(KeyError, match='posenet'):
        plan.named(['posenet'])


def test_more_epochs_go_on_and_other_settings_begin_anew(study: Any) -> None:
    short, long = make_plan(study), make_plan(study, epochs=50)
    other = make_plan(study, backbone='resnet18.pth')
    train, cell, sift = (
        *('train/essnet-rooms', 'cell/essnet-rooms/room_1'),
        'cell/sift_5pt-none/room_1',
    )
    for name in (train, cell):
        begun, ended = short.fingerprints[name].split('-')
        assert long.fingerprints[name].split('-')[0] == begun
        assert long.fingerprints[name].split('-')[1] != ended
        assert other.fingerprints[name].split('-')[0] != begun
    assert short.fingerprints[sift] == long.fingerprints[sift] == other.fingerprints[sift]


def test_choices_that_contradict_what_is_there_are_refused(study: Any, tmp_path: Path) -> None:
    choose = study.essential.choose
    choice = choose(tmp_path, 'tiny', None, None, 3)
    study.essential.prepare(study.plan.Plan(choice), study.runs.Places(tmp_path))
    assert choose(tmp_path, None, None, None, None) == choice
    assert choose(tmp_path, 'tiny', None, None, 7).epochs == 7
    with pytest.raises(DataError, match=r'scale tiny with random weights.*another folder'):
        choose(tmp_path, 'cpu', None, None, None)
    with pytest.raises(DataError, match="unknown scale 'huge'; scales: tiny, cpu, gpu"):
        choose(tmp_path / 'new', 'huge', None, None, None)
    with pytest.raises(DataError, match='none of the sets redkitchen'):
        choose(tmp_path, None, tmp_path, None, None)
    (tmp_path / 'study.json').write_text('{"scale": 3, "colour": 1}')
    with pytest.raises(DataError, match='damaged'):
        choose(tmp_path, None, None, None, None)


def test_checks_that_the_paper_does_not_have_are_taken_out(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = importlib.import_module('study_evaluate')
    for module, name, _ in evaluate.REFUSALS:
        monkeypatch.setattr(module, name, getattr(module, name))
    evaluate.answer_always()
    from relloc_ros.geometry import skew
    from relloc_ros.vision.pose_from_pairs import estimate_pose_from_pairs

    # With so much noise, the directions to a far place may be parallel.
    centres = np.array([[x, 0.0, 0.0] for x in (0.0, 1.0, 2.1, 3.0)])
    maps_from_ref = [RigidTransform(np.eye(3), centre) for centre in centres]
    directions = np.array([1.0, 0.5, 15.0]) - centres
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    directions += np.random.default_rng(3).normal(0.0, 0.06, directions.shape)
    essentials = [skew(-direction) for direction in directions]
    found = estimate_pose_from_pairs(essentials, maps_from_ref, max_angle=0.3)
    assert found is not None
    monkeypatch.undo()
    assert estimate_pose_from_pairs(essentials, maps_from_ref, max_angle=0.3) is None


@pytest.mark.parametrize('localizer', ['essential', 'structure'])
def test_mirrored_images_are_asked_as_others(
    study: Any, monkeypatch: pytest.MonkeyPatch, office_points_map: Path, localizer: str
) -> None:
    evaluate = importlib.import_module('study_evaluate')
    image = read_source(OFFICE, list_file=OFFICE / 'query.txt')[0]
    query = QueryImage(
        np.ascontiguousarray(read_image(image)[:, ::-1]), image.camera, image.stamp_ns
    )
    with ReferenceMap.open(office_points_map) as reference_map:
        settings = {**study.methods.EVERY_QUERY, 'localizer': localizer}
        relocalizer = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
        assert 'mirrored' in relocalizer.process(query).reason
        for module, name, _ in evaluate.REFUSALS:
            monkeypatch.setattr(module, name, getattr(module, name))
        evaluate.answer_always()
        assert 'mirrored' not in relocalizer.process(query).reason


def test_queries_are_spread_over_a_list(study: Any) -> None:
    assert study.choice.spread(list('abcdefgh'), 4) == list('aceg')
    assert study.choice.spread(list('ab'), 4) == list('ab')


def test_dry_run_of_a_training_is_understood(study: Any) -> None:
    text = (
        'network  rpr, 1,000 weights to train\na step   16 pairs, 0.125 s\n'
        'an epoch  40 steps, 5 s and validation\nepochs  at most 2, 10 s'
    )
    assert study.forecast.read_dry_run(text) == (0.125, 40)
    assert study.forecast.read_dry_run(text.replace('0.125 s', '2.5 min')) == (150.0, 40)
    assert study.forecast.read_dry_run('something else') is None


def test_steps_run_once_and_failures_stop_what_needs_them(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(study, 'tiny')
    steps = plan.with_needs(plan.named(['map/', 'train/essnet-rooms', 'train/rpr-rooms']))
    started: list[str] = []
    broken = {'map/unseen_room_1', 'train/essnet-rooms'}

    def stand_in(step: Any, places: Any, *, resumes: bool = False) -> list[str]:
        started.append(f'{step.name}{" again" if resumes else ""}')
        folder = places.results / step.name
        is_broken = step.name in broken
        file = folder / ('run.yaml' if is_broken else study.runs.COMPLETE[step.sort])
        code = (
            f'import pathlib; p = pathlib.Path({str(file)!r}); p.parent.mkdir(exist_ok=True); '
            f'p.touch(); raise SystemExit({3 if is_broken else 0})'
        )
        return [sys.executable, '-S', '-c', code]

    monkeypatch.setattr(study.runs, 'argv_of', stand_in)
    places = study.runs.Places(tmp_path)
    failed = study.runs.run_steps(plan, steps, places, jobs=4)
    assert set(failed) == broken
    assert 'exit code 3' in failed['train/essnet-rooms']
    assert sorted(started) == sorted(step.name for step in steps)
    record = json.loads((tmp_path / 'map/room_1.run.json').read_text())
    assert record['outcome'] == 'measured'

    started.clear()
    broken.clear()
    assert study.runs.run_steps(plan, steps, places, jobs=1) == {}
    assert started == ['map/unseen_room_1', 'train/essnet-rooms again'], 'trainings go on'
    started.clear()
    study.runs.run_steps(plan, steps, places, jobs=1, again={'train/rpr-rooms'})
    assert started == ['train/rpr-rooms']


def test_what_needs_a_failed_step_is_not_run(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(study, 'tiny', real={'redkitchen': 480})
    broken = [sys.executable, '-S', '-c', 'raise SystemExit(1)']
    monkeypatch.setattr(study.runs, 'argv_of', lambda *_, **__: broken)
    steps = plan.with_needs(plan.named(['train/rpr-rooms', 'map/redkitchen']))
    failed = study.runs.run_steps(plan, steps, study.runs.Places(tmp_path), jobs=1)
    assert failed['map/room_1'] == 'needs scene/room_1'
    assert failed['train/rpr-rooms'] == 'needs map/room_1'
    assert failed['map/redkitchen'] == 'reads real images: give --data'
    assert 'exit code 1' in failed['scene/room_1']


def test_an_interrupted_training_is_noted_and_goes_on(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(study, 'tiny')
    name = 'train/rpr-rooms'
    for step in plan.with_needs({name})[:-1]:
        write_record(study, plan, tmp_path, step.name)
    resumed: list[bool] = []

    def interrupts(step: Any, places: Any, *, resumes: bool = False) -> list[str]:
        resumed.append(resumes)
        code = (
            'import os, pathlib, signal, time; '
            f'p = pathlib.Path({str(places.results / step.name)!r}); p.mkdir(exist_ok=True); '
            '(p / "run.yaml").touch(); os.kill(os.getppid(), signal.SIGINT); time.sleep(300)'
        )
        return [sys.executable, '-S', '-c', code]

    monkeypatch.setattr(study.runs, 'argv_of', interrupts)
    steps = plan.with_needs({name})
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study.runs.run_steps(plan, steps, study.runs.Places(tmp_path), jobs=1)
        assert study.record.read_record(tmp_path, name).outcome == 'interrupted'
    assert resumed == [False, True]


def test_commands_name_files_where_they_are(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study, 'tiny', real={'redkitchen': 480})
    places = study.runs.Places(tmp_path / 'out', tmp_path / 'sets')
    argv = study.runs.argv_of(plan.steps['cell/nc_5pt-essnet-real/redkitchen'], places)
    assert f'{tmp_path}/sets/redkitchen' in argv
    assert f'{tmp_path}/out/queries/redkitchen.txt' in argv
    weights = f'{tmp_path}/out/train/essnet-real/best.safetensors'
    assert f'essential.network={weights}' in argv
    assert not any('RESULTS' in each or 'DATA/' in each for each in argv)
