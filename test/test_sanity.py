# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Baselines beside a run: what is said of it, and that they are not computed twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation import sanity
from relloc_ros.evaluation.queries import FolderQueries
from relloc_ros.evaluation.run import evaluate
from relloc_ros.evaluation.sanity import BASELINES, judge, run_baselines, sanity_check
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.pipeline import Relocalizer

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
COUNT = 40


def run_with(position, rotation, *, localizer='essential', noise=0.1, lost=0, **settings):
    """Errors around a position error (m) and a rotation error (deg)."""
    rng = np.random.default_rng(len(settings))
    outcomes = []
    for i in range(COUNT):
        factor_p, factor_r = np.exp(noise * rng.normal(size=2))
        turn = exp_so3(np.deg2rad([rotation * factor_r, 0, 0]))
        pose = RigidTransform(turn, np.array([position * factor_p + i, 0, 0]))
        outcomes.append(make_outcome(f'{i}.jpg', i, None if i < lost else pose, shift(i)))
    return make_run(outcomes, localizer=localizer, settings=settings)


TOP = run_with(0.2, 10.0, localizer='retrieval', **{'retrieval.interpolation': 'none'})
AFFINE = run_with(0.1, 20.0, localizer='retrieval', **{'retrieval.interpolation': 'affine'})


def test_a_method_that_beats_both():
    lines = sanity_check(run_with(0.01, 0.5), [TOP, AFFINE])
    assert lines[0] == (
        f'sanity check passed: essential beats {TOP.label} and {AFFINE.label} on position and '
        'rotation'
    )
    assert len(lines) == 3
    assert lines[1].startswith(f'against {TOP.label}: position better, median error 1.0')
    assert ' cm against ' in lines[1]
    assert 'rotation better' in lines[2]


def test_that_fusion_knows_more_than_one_image_is_said():
    fused = run_with(0.01, 0.5, fusion='pgo')
    assert fused.label == 'essential + pgo'
    said = 'essential + pgo uses more information than methods that take each image for itself'
    assert sanity_check(fused, [TOP, AFFINE])[-1].startswith(said)
    plain = run_with(0.01, 0.5, fusion='none')
    assert plain.label == 'essential'
    assert 'more information' not in ' '.join(sanity_check(plain, [TOP, AFFINE]))


def test_a_method_that_beats_one_on_one():
    lines = sanity_check(run_with(0.15, 12.0), [TOP, AFFINE])
    assert lines[0].startswith('sanity check NOT passed')
    assert f'{TOP.label} on rotation' in lines[0]
    assert f'{AFFINE.label} on position' in lines[0]
    assert f'{TOP.label} on position' not in lines[0]
    assert f'{AFFINE.label} on rotation' not in lines[0]


def test_half_of_all_lost_is_infinitely_bad():
    run = run_with(0.01, 0.5, lost=COUNT // 2 + 1)
    assert all(verdict.ours == np.inf and not verdict.better for verdict in judge(run, [TOP]))
    lines = sanity_check(run, [TOP])
    assert lines[0].startswith('sanity check NOT passed')
    assert 'median error infinite against ' in lines[1]


def test_a_difference_that_may_be_chance_is_called_so():
    slightly = run_with(0.19, 9.5, noise=1.0, other=1, seed=2)
    noisy = run_with(0.2, 10.0, noise=1.0, localizer='retrieval')
    verdicts = judge(slightly, [noisy])
    assert not any(verdict.more_than_noise for verdict in verdicts)
    assert 'no more than noise' in ' '.join(sanity_check(slightly, [noisy]))


def test_nothing_is_said_without_truth_or_of_a_baseline_alone():
    blind = make_run([make_outcome('1', 1, shift(1.0), None)])
    assert sanity_check(blind, [TOP]) == []
    assert sanity_check(TOP, [TOP]) == []
    assert len(sanity_check(TOP, [TOP, AFFINE])) == 2


@pytest.fixture(scope='module')
def office(office_map):
    with ReferenceMap.open(office_map) as reference_map:
        yield reference_map


@pytest.fixture(scope='module')
def queries():
    return FolderQueries(read_source(OFFICE, list_file=OFFICE / 'query.txt'))


def test_baselines_answer_where_a_robot_would_not(office, queries, tmp_path):
    # Settings that gate everything must not stop a baseline.
    config = make_config(LocalizationConfig, {'max_position_std': 1e-6, 'min_similarity': 0.9})
    relocalizer = Relocalizer(office, config)
    run = evaluate(queries, relocalizer)
    baselines = run_baselines(run, queries, relocalizer, tmp_path)
    assert len(baselines) == len(BASELINES) == 2
    for baseline in baselines:
        assert baseline.localizer == 'retrieval'
        assert all(outcome.localized for outcome in baseline.outcomes)
    assert baselines[0].label != baselines[1].label


def test_baselines_are_read_again_while_nothing_changed(office, queries, tmp_path, monkeypatch):
    relocalizer = Relocalizer(office, LocalizationConfig(localizer='retrieval'))
    run = evaluate(queries, relocalizer)
    first = run_baselines(run, queries, relocalizer, tmp_path)
    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(sanity, 'evaluate', counted)
    again = run_baselines(run, queries, relocalizer, tmp_path)
    assert calls == []
    for one, other in zip(first, again, strict=True):
        assert one.label == other.label
        assert [o.name for o in one.outcomes] == [o.name for o in other.outcomes]
        for a, b in zip(one.outcomes, other.outcomes, strict=True):
            np.testing.assert_array_equal(
                a.estimate.map_from_body.matrix, b.estimate.map_from_body.matrix
            )

    other = Relocalizer(office, LocalizationConfig(top_k=3))
    run_baselines(run, queries, other, tmp_path)
    assert len(calls) == 2
    run_baselines(replace(run, outcomes=run.outcomes[:-1]), queries, other, tmp_path)
    assert len(calls) == 4
    run_baselines(replace(run, map_id='other'), queries, other, tmp_path)
    assert len(calls) == 6
