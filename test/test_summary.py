# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The content of metrics.json of runs made up for it."""

from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import pytest
from synthetic_runs import S, make_outcome, make_run, shift

from relloc_ros.evaluation.summary import summarize
from relloc_ros.structures import Status

FIRST_KEYS = [
    'localizer',
    'queries',
    'localized',
    'availability',
    'median_position_error_m',
    'median_rotation_error_deg',
    'localized_median_position_error_m',
    'localized_median_rotation_error_deg',
    'recall',
    'latency_ms',
]


def outcome(index, error, **fields):
    """A query at x = index; `error` aside, or None for a failure."""
    pose = None if error is None else shift(index, error)
    timings = {'features': 2.0, 'total': 10.0 + index}
    values = {'timings_ms': timings, **fields}
    return make_outcome(f'{index:04}', index * S, pose, shift(index), **values)


@pytest.fixture
def run():
    outcomes = [outcome(i, 0.01 * (1 + i % 5)) for i in range(20)]
    outcomes[3] = outcome(3, None, failure='matching')
    outcomes[4] = outcome(4, None, failure='matching')
    outcomes[9] = outcome(9, 2.0, failure='geometry')
    return make_run(outcomes, sequence=True)


def test_everything_is_there_and_json(run):
    metrics = summarize(run)
    assert list(metrics)[: len(FIRST_KEYS)] == FIRST_KEYS
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert (metrics['queries'], metrics['localized'], metrics['scored']) == (20, 18, 20)
    assert metrics['availability'] == 0.9
    assert metrics['statuses'] == {'LOCALIZED': 18, 'TOO_FEW_MATCHES': 2}
    assert metrics['failures'] == {
        'input': 0,
        'retrieval': 0,
        'matching': 2,
        'geometry': 1,
        'gate': 0,
    }
    assert metrics['latency_ms']['p99'] == pytest.approx(28.81)


def test_intervals_are_about_their_figures(run):
    metrics = summarize(run)
    intervals = metrics['intervals']
    assert intervals['confidence'] == 0.95
    assert intervals['block_length'] >= 1
    low, high = intervals['median_position_error_m']
    assert 0.0 < low <= metrics['median_position_error_m'] <= high < 0.06
    for name, (low, high) in intervals['recall'].items():
        assert 0.0 <= low <= metrics['recall'][name] <= high <= 1.0
        assert high - low < 0.6


def test_an_interval_may_reach_infinity():
    outcomes = [outcome(i, 0.01 if i % 2 else None) for i in range(21)]
    metrics = summarize(make_run(outcomes))
    assert metrics['median_position_error_m'] is None
    low, high = metrics['intervals']['median_position_error_m']
    assert low == pytest.approx(0.01)
    assert high is None


def test_blocks_are_blocks_in_time(run):
    shuffled = np.random.default_rng(0).permutation(len(run.outcomes))
    other = replace(run, outcomes=tuple(run.outcomes[i] for i in shuffled))
    assert summarize(other) == summarize(run)


def test_waiting_and_trajectory_of_sequences_only(run):
    metrics = summarize(run)
    assert metrics['time_to_first_fix_s'] == 0.0
    assert metrics['longest_gap_s'] == 3.0
    assert metrics['trajectory']['poses'] == 18
    assert metrics['trajectory']['path_length_m'] == pytest.approx(19.0)
    assert metrics['trajectory']['ate']['none']['median_m'] == pytest.approx(0.03)
    assert metrics['trajectory']['rpe_time']['delta_s'] == 1.0
    metrics = summarize(replace(run, sequence=False))
    assert metrics['time_to_first_fix_s'] is metrics['longest_gap_s'] is None
    assert metrics['trajectory'] == {}


def test_negatives_count_for_themselves(run):
    negatives = [
        make_outcome(f'n{i}', (100 + i) * S, shift(0) if i == 0 else None, None, negative=True)
        for i in range(50)
    ]
    metrics = summarize(replace(run, outcomes=(*run.outcomes, *negatives)))
    assert (metrics['negatives'], metrics['false_accepts']) == (50, 1)
    assert metrics['false_accept_rate'] == 0.02
    assert metrics['false_accept_rate_upper_bound'] == pytest.approx(0.0914, abs=1e-3)
    alone = summarize(run)
    for key in ('queries', 'availability', 'statuses', 'recall', 'intervals', 'longest_gap_s'):
        assert metrics[key] == alone[key]
    assert alone['false_accept_rate'] is alone['false_accept_rate_upper_bound'] is None


def test_covariances():
    rng = np.random.default_rng(1)
    outcomes = [
        make_outcome(
            str(i),
            i,
            shift(*rng.normal(size=3)),
            shift(0),
            covariance=np.diag([1.0] * 3 + [1e-4] * 3),
        )
        for i in range(300)
    ]
    figures = summarize(make_run(outcomes))['covariance']
    assert figures['count'] == 300
    assert figures['position']['mean_nees'] == pytest.approx(3.0, rel=0.15)
    assert figures['position']['coverage']['95%'] == pytest.approx(0.95, abs=0.04)
    assert figures['rotation']['mean_nees'] == pytest.approx(0.0, abs=1e-9)


def test_unknown_covariances_and_truths():
    unknown = make_outcome('a', 0, shift(0), shift(0), covariance=np.full((6, 6), np.nan))
    untold = make_outcome('b', 1, shift(0), None)
    metrics = summarize(make_run([unknown, untold]))
    assert (metrics['queries'], metrics['localized'], metrics['scored']) == (2, 2, 1)
    assert metrics['median_nees'] is None
    assert metrics['covariance']['count'] == 0
    assert metrics['intervals']['median_position_error_m'] is None


@pytest.mark.parametrize('sequence', [True, False])
def test_nothing(sequence):
    metrics = summarize(make_run([], sequence=sequence))
    assert metrics['queries'] == 0
    assert metrics['availability'] is None
    assert metrics['intervals']['block_length'] is None
    json.dumps(metrics, allow_nan=False)


def test_nothing_localized():
    outcomes = [
        make_outcome(str(i), i * S, None, shift(i), status=Status.NO_FEATURES) for i in range(5)
    ]
    metrics = summarize(make_run(outcomes, sequence=True))
    assert metrics['availability'] == 0.0
    assert metrics['time_to_first_fix_s'] is None
    assert metrics['longest_gap_s'] == 4.0
    assert metrics['intervals']['median_position_error_m'] == [None, None]
    assert metrics['recall']['5m_10deg'] == 0.0
