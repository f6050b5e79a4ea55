# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The study of absolute pose regression: its steps hold together, its page says what was run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import importlib
import json
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.evaluation.outcomes import Outcome, Run, write_run
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.synthetic.ways import read_way

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'
MODULES = ('page', 'plan', 'figures', 'verdicts', 'drawing', 'scales')
REAL = ('fr1_rpy', 'redkitchen')
OFF_LINE_M = 2.0


@pytest.fixture
def study() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    before = set(sys.modules)
    modules = {name: importlib.import_module(f'study_apr_{name}') for name in MODULES}
    shared = {name: importlib.import_module(f'study_{name}') for name in ('choice', 'runs')}
    yield SimpleNamespace(
        **modules,
        **shared,
        command=importlib.import_module('study_apr'),
        judging=importlib.import_module('study_verdicts'),
        record=importlib.import_module('record'),
    )
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


def make_plan(study: Any, scale: str = 'tiny', real: tuple[str, ...] = ()) -> Any:
    return study.plan.AprPlan(study.plan.AprChoice(scale, real))


def note(study: Any, plan: Any, results: Path, name: str, mark: str = '') -> None:
    record = study.record.Record(
        name,
        list(plan.steps[name].command),
        mark or plan.fingerprints[name],
        'measured',
        date='2026-01-02T03:04:05+00:00',
        revision='abc1234',
        seconds=60.0,
        machine={},
    )
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    study.record.write_record(results, record)


def run_off_by(position: float, rotation_deg: float = 0.0) -> Run:
    """Queries beside a line, and estimates so far from them towards it."""
    outcomes = []
    for number in range(3):
        true = np.array([float(number), OFF_LINE_M, 0.0])
        turned = exp_so3(np.array([0.0, 0.0, np.deg2rad(rotation_deg)]))
        pose = RigidTransform(turned, true - [0.0, position, 0.0])
        found = PoseEstimate(pose, np.eye(6))
        truth = RigidTransform(np.eye(3), true)
        name = f'{number}.jpg'
        outcomes.append(Outcome(name, number, Status.LOCALIZED, '', found, truth))
    return Run(tuple(outcomes), (), 'camera', 'retrieval', {}, '', '', 'm', '1', sequence=False)


def plant(
    study: Any, plan: Any, results: Path, errors: Callable[[str, str], tuple[float, float] | None]
) -> None:
    for step in plan.steps.values():
        if step.sort == 'cell':
            _, method, name = step.name.split('/')
            error = errors(method, name)
            if error is not None:
                write_run(run_off_by(*error), results / step.name)
                note(study, plan, results, step.name)


def as_in_the_paper(method: str, name: str) -> tuple[float, float]:
    if method in ('structure', 'essential'):
        return 0.01, 0.1
    if method.startswith('retrieval'):
        return (0.9, 3.0) if name.startswith('dense') else (1.1, 3.0)
    return (1.0, 4.0) if name.startswith('dense') else (1.95, 4.0)


def the_other_way_round(method: str, name: str) -> tuple[float, float]:
    if method in ('structure', 'essential'):
        return 0.3, 3.0
    if method.startswith('retrieval'):
        return (0.9, 5.0) if name == 'general' else (1.0, 5.0)
    return (0.25, 1.0) if name.startswith('dense') else (0.2, 1.0)


def page_of(study: Any, plan: Any, results: Path) -> str:
    pytest.importorskip('jinja2')
    pytest.importorskip('matplotlib')
    study.page.write_page(plan, results, results / 'page' / 'study_apr.md')
    return (results / 'page' / 'study_apr.md').read_text('utf-8')


def row_of(page: str, begin: str, number: int = 0) -> list[str]:
    lines = [line for line in page.splitlines() if line.startswith(f'| {begin} |')]
    return [cell.strip() for cell in lines[number].split('|')[2:-1]]


def with_lines(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all maps have the same images along a line."""
    line = np.stack([np.linspace(0.0, 2.0, 41), np.zeros(41), np.zeros(41)], axis=1)
    monkeypatch.setattr(study.figures.OursApr, 'training', lambda *_: line)


@pytest.mark.parametrize('scale', ['tiny', 'cpu', 'gpu'])
def test_steps_come_after_what_they_need_and_name_what_there_is(study: Any, scale: str) -> None:
    plan = make_plan(study, scale, REAL)
    seen: set[str] = set()
    for step in plan.steps.values():
        assert seen.issuperset(step.needs), step.name
        seen.add(step.name)
        assert step.sort in study.runs.COMPLETE
    assert len(set(plan.fingerprints.values())) == len(plan.steps)
    for ways in (*study.plan.WAYS.values(), *study.plan.DENSE.values()):
        assert [str(read_way(way)) for way in ways] == list(ways)


def test_fingerprints_do_not_change_with_the_real_sets(study: Any) -> None:
    alone, more = make_plan(study).fingerprints, make_plan(study, real=REAL).fingerprints
    assert more.items() > alone.items()
    assert {name for name in more if name.endswith(REAL)} == more.keys() - alone.keys()


def test_structure_works_on_a_map_with_points(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study, real=REAL)
    step = plan.steps['cell/structure/line']
    assert step.needs == ('points/line',)
    argv = study.runs.argv_of(step, study.runs.Places(tmp_path))
    assert f'{tmp_path}/points/line' in argv
    assert not any(name.startswith('points/dense') for name in plan.steps)
    real = study.runs.argv_of(
        plan.steps['cell/mapnet/redkitchen'], study.runs.Places(tmp_path, tmp_path / 'sets')
    )
    assert f'{tmp_path}/sets/redkitchen' in real
    assert f'{tmp_path}/queries/redkitchen.txt' in real


def test_variants_and_settings_are_those_of_the_package(study: Any) -> None:
    pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
    from relloc_ros.networks.apr import VARIANTS

    for scale in study.scales.SCALES.values():
        assert set(scale.variants) <= set(VARIANTS)
    assert set(study.figures.NETWORKS) == set(study.scales.SCALES['cpu'].variants)


def test_an_experiment_is_chosen_by_its_name(study: Any) -> None:
    plan = make_plan(study)
    chosen = plan.named(['line'])
    assert {'scene/line', 'train/mapnet-line', 'cell/structure/line'} < chosen
    assert not any('lines' in name for name in chosen)
    assert plan.named(['map/', 'line']) == chosen | plan.named(['map/'])
    assert plan.named([]) == set(plan.steps)
    with pytest.raises(KeyError):
        plan.named(['nothing'])


def test_results_remember_scale_and_real_sets(study: Any, tmp_path: Path) -> None:
    results, data = tmp_path / 'results', tmp_path / 'data'
    choose = study.command.choose
    assert choose(results, None, None).scale == 'cpu'
    (data / 'fr1_rpy').mkdir(parents=True)
    (data / 'fr1_rpy' / 'query.txt').write_text('\n'.join('abcdefgh'))
    choice = choose(results, 'tiny', data)
    assert choice.real == ('fr1_rpy',)
    study.choice.keep_choice(choice, choice.real, study.runs.Places(results, data), 4)
    assert (results / 'queries' / 'fr1_rpy.txt').read_text().split() == list('aceg')
    assert choose(results, None, None) == choice
    with pytest.raises(DataError, match='holds a study of scale tiny'):
        choose(results, 'cpu', None)
    with pytest.raises(DataError, match="unknown scale 'huge'; scales: tiny, cpu, gpu"):
        choose(tmp_path / 'other', 'huge', None)
    with pytest.raises(DataError, match='none of the sets fr1_rpy'):
        choose(tmp_path / 'other', None, tmp_path)


def test_what_was_not_run_stays_empty(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study)
    page = page_of(study, plan, tmp_path)
    for method in plan.methods:
        assert row_of(page, method) == [''] * 3
    assert f'0 of {sum(step.sort == "cell" for step in plan.steps.values())} cells' in page
    for letter in 'abcde':
        assert row_of(page, f'({letter})')[-1] == 'not run'
    assert row_of(page, 'PoseNet, learned weights')[:2] == ['1.19/6.88', '1.02/6.48']
    assert not (tmp_path / 'page' / 'images').exists()


def test_figures_of_the_paper_pass_its_own_findings(study: Any) -> None:
    published = study.figures.AprPublished()
    found = {
        each.letter: study.judging.verdict(list(each.compare(published)))
        for each in study.verdicts.FINDINGS
    }
    assert found['a'] == 'not run', 'the paper has no figures of it'
    assert found['b'] == 'reached: 12 of 12 comparisons'
    assert found['c'] == 'reached: 6 of 6 comparisons'
    assert found['d'] == found['e'] == 'reached in part: 42 of 43 comparisons'


@pytest.mark.parametrize(
    ('errors', 'reached'), [(as_in_the_paper, True), (the_other_way_round, False)]
)
def test_findings_follow_the_figures(
    study: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: Callable[[str, str], tuple[float, float]],
    reached: bool,
) -> None:
    with_lines(study, monkeypatch)
    plan = make_plan(study, real=REAL)
    plant(study, plan, tmp_path, errors)
    ours = study.figures.OursApr(plan, tmp_path)
    for finding in study.verdicts.FINDINGS:
        comparisons = list(finding.compare(ours))
        assert comparisons
        assert {each.holds for each in comparisons} == {reached}, finding.letter


def test_page_shows_medians_and_figures(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lines(study, monkeypatch)
    plan = make_plan(study, real=REAL)
    plant(study, plan, tmp_path, as_in_the_paper)
    page = page_of(study, plan, tmp_path)
    assert row_of(page, 'posenet_learned') == ['1.950/4.00'] * 3
    assert row_of(page, 'structure') == ['0.010/0.10'] * 3
    assert row_of(page, 'mapnet', 1) == ['0.05'] * 3, 'off the training positions'
    assert row_of(page, '*the queries, truly*') == ['2.00'] * 3
    for name in study.plan.WAYS:
        assert f'](images/study_apr/{name}.png)' in page
        picture = (tmp_path / 'page' / 'images' / 'study_apr' / f'{name}.png').read_bytes()
        assert picture.startswith(b'\x89PNG')
        assert len(picture) < 150_000


def test_only_cells_of_this_plan_are_shown(study: Any, tmp_path: Path) -> None:
    plan = make_plan(study)
    cell, analysis = 'cell/retrieval/lines', 'analysis/mapnet-line'
    write_run(run_off_by(0.5), tmp_path / cell)
    note(study, plan, tmp_path, cell, mark='another-plan')
    assert row_of(page_of(study, plan, tmp_path), 'retrieval') == [''] * 3
    note(study, plan, tmp_path, cell)
    (tmp_path / analysis).mkdir(parents=True)
    values = {'statement': 'It cannot leave.', 'queries': [{'outside': True}, {'outside': False}]}
    (tmp_path / analysis / 'analysis.json').write_text(json.dumps(values))
    note(study, plan, tmp_path, analysis)
    page = page_of(study, plan, tmp_path)
    assert row_of(page, 'retrieval') == ['', '0.500/0.00', '']
    assert '| mapnet | line | It cannot leave. | 1 of 2 |' in page
