# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gates of continuous integration: what they read, and that nothing unknown passes."""

import pytest
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.errors import ConfigError
from relloc_ros.evaluation.gates import check_gates, known_metrics, parse_gates
from relloc_ros.evaluation.summary import summarize

METRICS = {
    'localizer': 'essential',
    'queries': 20,
    'availability': 0.95,
    'median_position_error_m': 0.012,
    'median_rotation_error_deg': None,
    'recall': {'0.25m_2deg': 0.9, '0.05m_5deg': 0.5},
    'latency_ms': {'p50': 40.0, 'p95': 80.0, 'stages': {}},
    'negatives': 5,
    'false_accepts': 0,
    'trajectory': {},
    'left_out': [],
    'broken': float('nan'),
}


def failures(*expressions, metrics=METRICS):
    return check_gates(parse_gates(expressions, METRICS), metrics)


@pytest.mark.parametrize(
    'expression',
    [
        'recall[0.25m_2deg]<0.91',
        'recall[0.25m_2deg]<=0.9',
        'recall[0.25m_2deg] < 91%',
        'latency_ms.p95>79.9',
        'latency_ms[p95]>=80',
        ' latency_ms.p95 > 79ms ',
        'median_position_error_m>1.1e-2',
        'median_position_error_m>.011m',
        'availability<96%',
        'false_accepts<1',
        'false_accepts>-1',
        'queries<+21',
    ],
)
def test_fails(expression):
    (line,) = failures(expression)
    assert line.split()[0] == expression.strip().split('<')[0].split('>')[0].strip()
    assert '\n' not in line


@pytest.mark.parametrize(
    'expression',
    [
        'recall[0.25m_2deg]<0.9',
        'recall[0.05m_5deg]<50%',
        'latency_ms.p95>80',
        'median_position_error_m>0.05',
        'false_accepts>0',
        'availability<=0.949',
    ],
)
def test_passes(expression):
    assert failures(expression) == []


def test_a_line_says_value_and_condition():
    assert failures('recall[0.25m_2deg]<0.95') == [
        'recall[0.25m_2deg] is 0.9 (recall[0.25m_2deg]<0.95)'
    ]


def test_every_failed_gate_has_its_line():
    lines = failures('queries<100', 'availability<0.5', 'false_accepts>=0')
    assert [line.split()[0] for line in lines] == ['queries', 'false_accepts']


@pytest.mark.parametrize('comparison', ['<0', '>0', '<=1000', '>=1000'])
@pytest.mark.parametrize(
    'name', ['median_rotation_error_deg', 'broken', 'latency_ms.stages.matching']
)
def test_what_is_not_known_never_passes(name, comparison):
    (line,) = failures(f'{name}{comparison}')
    assert 'infinite or unknown' in line


def test_a_metric_that_went_missing_does_not_pass():
    assert len(failures('recall[0.25m_2deg]<0.9', metrics={'recall': None})) == 1
    assert len(failures('latency_ms.p95>1e9', metrics={})) == 1


@pytest.mark.parametrize(
    ('expression', 'nearest'),
    [
        ('recal[0.25m_2deg]<0.9', 'recall[0.25m_2deg]'),
        ('recall[0.25m_3deg]<0.9', 'recall[0.25m_2deg]'),
        ('median_position_eror_m>1', 'median_position_error_m'),
        ('latency.p95>1', 'latency_ms.p95'),
        ('availability.p95<1', 'availability'),
    ],
)
def test_an_unknown_metric_names_the_nearest(expression, nearest):
    with pytest.raises(ConfigError) as caught:
        parse_gates([expression], METRICS)
    assert f"did you mean '{nearest}'" in str(caught.value)


@pytest.mark.parametrize(
    'expression',
    [
        '',
        'availability',
        'availability<',
        'availability<x',
        'availability=0.9',
        'availability==0.9',
        'availability<nan',
        'availability<inf',
        '0.9>availability',
        'availability<0.9<1',
        'availability<0.9 or 1',
        'recall[[0.25m_2deg]]<1',
        '__import__("os").getcwd()<1',
    ],
)
def test_malformed(expression):
    with pytest.raises(ConfigError, match=r'gate|no metric'):
        parse_gates([expression], METRICS)


@pytest.mark.parametrize(
    ('expression', 'message'),
    [
        ('recall<0.9', r'several metrics: name one, as recall\[0.25m_2deg\]'),
        ('latency_ms.stages<1', 'several metrics: name one$'),
        ('localizer<1', 'not a number'),
        ('left_out>0', 'not a number'),
        ('median_position_error_m>5cm', 'is in m, not in cm'),
        ('latency_ms.p95>1s', 'is in ms, not in s'),
        ('trajectory.ate.se3.rmse_m>1s', 'is in m, not in s'),
        ('median_position_error_m>5%', 'is in m, not in %'),
        ('availability<0.9m', 'a plain number or %'),
    ],
)
def test_what_cannot_be_compared(expression, message):
    with pytest.raises(ConfigError, match=message):
        parse_gates([expression], METRICS)


RUN = make_run(
    [
        *(make_outcome(f'{i}', i, shift(0.01), shift(0.0)) for i in range(9)),
        make_outcome('lost', 10, None, shift(1.0), failure='matching'),
    ]
)


@pytest.mark.parametrize(
    ('expression', 'fails'),
    [
        ('recall[0.25m_2deg]<0.9', False),
        ('recall[0.25m_2deg]<0.91', True),
        ('recall[5m_10deg]<95%', True),
        ('availability<90%', False),
        ('median_position_error_m>0.005', True),
        ('failures.matching>0', True),
        ('failures.gate>0', False),
        ('statuses.TOO_FEW_MATCHES>0', True),
        ('statuses.GATED>0', False),
        ('covariance.pose.coverage[95%]<0.5', False),
        # There were no queries of another place: nothing is known.
        ('false_accepts>0', True),
        ('latency_ms.p95>200', True),
        ('trajectory.ate.none.rmse_m>1', True),
    ],
)
def test_the_metrics_of_a_run(expression, fails):
    gates = parse_gates([expression], known_metrics())
    assert bool(check_gates(gates, summarize(RUN))) == fails


def test_negatives_that_were_refused_pass():
    negative = make_outcome('elsewhere', 11, None, None, negative=True)
    run = make_run([*RUN.outcomes, negative])
    gates = parse_gates(['false_accepts>0'], known_metrics())
    assert check_gates(gates, summarize(run)) == []


@pytest.mark.parametrize('name', ['intervals.recall', 'statuses.GATD', 'config.top_k', 'recal'])
def test_names_that_runs_do_not_have(name):
    with pytest.raises(ConfigError, match=r'no metric|several'):
        parse_gates([f'{name}>0'], known_metrics())
