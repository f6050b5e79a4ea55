# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corrupted inputs end in an error, a status or a right pose; some of benchmarks/fuzz.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
import importlib
from pathlib import Path
import shutil
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

ROOT = Path(__file__).parents[1]
CASES, SEED = 160, 7000
CASE_S = 60.0
"""Of processor time none takes half a second; a machine may have other things to do."""

WRONG_GEOMETRY = (
    *('image/sheared', 'image/wobbling', 'image/torn', 'image/zoomed', 'image/stretched'),
    *('image/shifted', 'image/turned', 'camera_info/distortion', 'camera_info/focal lengths'),
    *('camera_info/one focal length', 'camera_info/principal point', 'camera_info/swapped'),
)
"""What is a little wrong in these cannot be told from an image; docs/fuzzing.md says how much."""


@pytest.fixture(scope='module')
def fuzz() -> Iterator[Any]:
    """Imports a module of the benchmark by its name."""
    folder = str(ROOT / 'benchmarks')
    sys.path.insert(0, folder)
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    sys.path.remove(folder)
    for name in set(sys.modules) - before:
        if folder in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


@pytest.fixture(scope='module')
def stage(fuzz: Any, office_points_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Calibrate a copy of the sample's map, and give it to play on."""
    path = tmp_path_factory.mktemp('fuzz') / 'map'
    shutil.copytree(office_points_map, path, symlinks=True)
    calibrate_map(path, [LocalizationConfig()])
    split = fuzz('hard_queries').read_sets(ROOT / 'examples')['fr3_office']
    return fuzz('fuzz_world').Stage(path, tuple(split.queries), tuple(split.mapped))


def test_nothing_corrupted_crashes_hangs_or_gives_a_wrong_pose(fuzz: Any, stage: Any) -> None:
    cases = fuzz('fuzz_kinds').choose_cases(CASES, first_seed=SEED)
    assert len(cases) >= 150
    played = list(fuzz('fuzz_workers').play_cases(cases, stage, processes=2, limit_s=CASE_S))
    assert Counter(case for case, _ in played) == Counter(cases)
    bad = {
        str(case): f'{outcome.verdict}: {outcome.detail}'
        for case, outcome in played
        if outcome.verdict not in ('refused', 'right', 'other')
        and not (outcome.verdict == 'wrong' and case.kind in WRONG_GEOMETRY)
    }
    assert not bad
    verdicts = Counter(outcome.verdict for _, outcome in played)
    assert verdicts['refused'] > 40
    assert verdicts['right'] > 40


def test_a_case_is_the_same_each_time_it_is_played(fuzz: Any, stage: Any) -> None:
    kinds, fuzz_world = fuzz('fuzz_kinds').KINDS, fuzz('fuzz_world')
    with fuzz_world.World(stage) as world:
        for name in ('image/noise', 'message/jpeg', 'tf/shuffled', 'settings/values', 'map/bits'):
            case = fuzz_world.Case(name, 3)
            first, second = (world.play(case, kinds[name]) for _ in range(2))
            assert (first.verdict, first.detail) == (second.verdict, second.detail)


PLANTED = """
import os, signal, time
import numpy as np
from fuzz_world import Kind

def sleep(world, rng):
    time.sleep(3600)

def die(world, rng):
    os.kill(os.getpid(), signal.SIGSEGV)

def hoard(world, rng):
    world.kept['hoard'] = np.ones(2**25)
    return []

def fail(world, rng):
    raise ValueError('planted')

def fine(world, rng):
    return []

KINDS = {each.__name__: Kind(each) for each in (sleep, die, hoard, fail, fine)}
"""


def test_what_ends_or_stops_a_process_is_found(
    fuzz: Any, stage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'fuzz_kinds.py').write_text(PLANTED)
    case_of = fuzz('fuzz_world').Case
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ('fuzz_kinds', 'fuzz_workers'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    workers = fuzz('fuzz_workers')
    monkeypatch.setattr(workers, 'slowness', lambda: 1.0)
    names = ('fine', 'sleep', 'die', 'fail', 'hoard', 'fine')
    cases = [case_of(name, seed) for seed, name in enumerate(names)]
    small = replace(stage, memory=2**20)
    played = {case.kind: one for case, one in workers.play_cases(cases, small, 1, 20.0)}
    assert {kind: outcome.verdict for kind, outcome in played.items()} == {
        'fine': 'refused',
        'sleep': 'hang',
        'die': 'crash',
        'fail': 'crash',
        'hoard': 'memory',
    }
    assert 'time.sleep' in played['sleep'].detail or 'in sleep' in played['sleep'].detail
    assert 'ended with -11' in played['die'].detail
    assert 'Segmentation fault' in played['die'].detail
    assert 'planted' in played['fail'].detail


def test_verdicts_follow_from_the_distance_to_the_truth(fuzz: Any) -> None:
    fuzz_world = fuzz('fuzz_world')
    truth = RigidTransform.identity()
    pose = PoseEstimate(RigidTransform(np.eye(3), np.array([1.0, 0.0, 0.0])), np.eye(6))
    elsewhere = RigidTransform(np.eye(3), np.array([9.0, 0.0, 0.0]))

    def verdict(*answers: Any) -> str:
        kind = fuzz_world.Kind(lambda world, rng: answers)
        return str(fuzz_world.World.play(None, fuzz_world.Case('any', 0), kind).verdict)

    answer = fuzz_world.Answer
    assert verdict(answer(pose, truth)) == 'right'
    assert verdict(answer(None, truth, 'no pose')) == 'refused'
    assert verdict(answer(pose, elsewhere)) == 'wrong'
    assert verdict(answer(pose, elsewhere, shown=truth)) == 'other'
    assert verdict(answer(pose, truth), answer(pose, elsewhere)) == 'wrong'
    assert verdict(answer(None, truth, 'unexpected KeyError (this is a defect)')) == 'crash'
    assert verdict() == 'refused'
