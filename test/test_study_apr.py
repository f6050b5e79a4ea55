# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The study of absolute pose regression: its steps hold together, its page says what was run."""

from __future__ import annotations

from collections.abc import Iterator
import importlib
import json
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.evaluation.outcomes import Outcome, Run, write_run
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.synthetic.ways import read_way

BENCHMARKS = Path(__file__).parents[1] / 'benchmarks'


@pytest.fixture
def study() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    before = set(sys.modules)
    modules = {name: importlib.import_module(f'study_apr_{name}') for name in ('plan', 'page')}
    yield SimpleNamespace(**modules, record=importlib.import_module('record'))
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


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


def run_off_by(position: float) -> Run:
    pose = RigidTransform(np.eye(3), np.array([position, 0.0, 0.0]))
    found = PoseEstimate(pose, np.eye(6))
    truth = RigidTransform(np.eye(3), np.zeros(3))
    outcome = Outcome('0.jpg', 0, Status.LOCALIZED, '', found, truth)
    return Run((outcome,), (), 'camera', 'retrieval', {}, '', '', 'm', '1', sequence=False)


def row_of(page: str, begin: str, number: int = 0) -> list[str]:
    lines = [line for line in page.splitlines() if line.startswith(f'| {begin} |')]
    return [cell.strip() for cell in lines[number].split('|')[2:-1]]


@pytest.mark.parametrize('scale', ['tiny', 'cpu'])
def test_steps_come_after_what_they_need_and_name_what_there_is(study: Any, scale: str) -> None:
    plan = study.plan.AprPlan(scale)
    seen: set[str] = set()
    for step in plan.steps.values():
        assert seen.issuperset(step.needs), step.name
        seen.add(step.name)
    assert len(set(plan.fingerprints.values())) == len(plan.steps)
    for ways in study.plan.EXPERIMENTS.values():
        assert [str(read_way(way)) for way in ways] == list(ways)


def test_variants_are_those_of_the_table(study: Any) -> None:
    pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
    from relloc_ros.networks.apr import VARIANTS

    for scale in study.plan.SCALES.values():
        assert set(scale.variants) <= set(VARIANTS)


def test_what_was_not_run_stays_empty(study: Any, tmp_path: Path) -> None:
    plan = study.plan.AprPlan('tiny')
    page = study.page.make_page(plan, tmp_path)
    for method in plan.methods:
        assert row_of(page, method) == [''] * 3
    assert row_of(page, 'PoseNet')[0] == '1.19 / 6.88'
    assert all(len(cells) == 10 for cells in study.page.TABLE_1.values())


def test_figures_are_those_of_raw_outputs(study: Any, tmp_path: Path) -> None:
    plan = study.plan.AprPlan('tiny')
    cell, analysis = 'cell/retrieval/lines', 'analysis/mapnet-line'
    write_run(run_off_by(0.5), tmp_path / cell)
    note(study, plan, tmp_path, cell, mark='another-plan')
    assert row_of(study.page.make_page(plan, tmp_path), 'retrieval') == [''] * 3
    note(study, plan, tmp_path, cell)
    (tmp_path / analysis).mkdir(parents=True)
    values = {'statement': 'It cannot leave.', 'queries': [{'outside': True}, {'outside': False}]}
    (tmp_path / analysis / 'analysis.json').write_text(json.dumps(values))
    note(study, plan, tmp_path, analysis)
    page = study.page.make_page(plan, tmp_path)
    assert row_of(page, 'retrieval') == ['', '0.50 / 0.00', '']
    assert '| mapnet | line | It cannot leave. | 1 of 2 taken outside |' in page
