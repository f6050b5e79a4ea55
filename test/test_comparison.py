# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparisons of runs that are equally good, and of runs that are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from relloc_ros.evaluation.comparison import compare_errors, holm
from relloc_ros.evaluation.pairing import PairedErrors

LABELS = ('a', 'b', 'c')


def paired(*errors):
    return PairedErrors(LABELS[: len(errors)], errors, (0,) * len(errors), 'm')


def correlated(rng, count, correlation=0.8):
    noise = rng.normal(size=(count + 50, 2)) * math.sqrt(1 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], noise, axis=0)[50:]


def runs(rng, count, factor=1.0):
    """Two runs that find the same queries hard; those of the second are larger."""
    hardness = correlated(rng, count)
    first, second = (
        np.exp(hardness + 0.7 * correlated(rng, count)) * [0.05, 2.0] for _ in range(2)
    )
    return first, factor * second


def by_measure(differences):
    return {difference.measure: difference for difference in differences}


def test_equally_good_runs_seldom_differ():
    rng = np.random.default_rng(0)
    found = {'position': 0, 'rotation': 0, '0.1m_1deg': 0}
    repetitions = 60
    for seed in range(repetitions):
        figures = by_measure(compare_errors(paired(*runs(rng, 150)), seed=seed))
        for measure in found:
            found[measure] += bool(figures[measure].better)
    # 5 % of 60 are 3; 8 or more are seen once in 80 times.
    assert max(found.values()) <= 7, found


def test_a_real_difference_is_found():
    rng = np.random.default_rng(1)
    found, inside, repetitions = 0, 0, 20
    for seed in range(repetitions):
        figures = by_measure(compare_errors(paired(*runs(rng, 400, 1.8)), seed=seed))
        found += figures['position'].better == 'a'
        low, high = figures['position'].interval
        inside += low <= 0.05 * 0.8 <= high
    assert found >= 0.85 * repetitions
    assert inside >= 0.8 * repetitions


def test_what_is_paired_shows_smaller_differences_than_what_is_not():
    rng = np.random.default_rng(2)
    hard = np.exp(rng.normal(size=(200, 2)))
    worse = 1.1 * hard
    shuffled = worse[rng.permutation(200)]
    assert by_measure(compare_errors(paired(hard, worse)))['position'].better == 'a'
    assert by_measure(compare_errors(paired(hard, shuffled)))['position'].better == ''


def test_figures_and_signs():
    spread = np.random.default_rng(8).permutation(np.linspace(0.01, 0.09, 50))
    errors = np.column_stack([spread, np.full(50, 0.5)])
    better = errors * [0.5, 1.0]
    figures = by_measure(compare_errors(paired(errors, better)))
    position, recall = figures['position'], figures['0.05m_5deg']
    assert position.values == pytest.approx((0.05, 0.025))
    assert position.difference == pytest.approx(-0.025)
    assert position.interval[0] <= -0.025 <= position.interval[1] < 0.0
    assert position.better == 'b'
    assert recall.values == (0.5, 1.0)
    assert recall.difference == pytest.approx(0.5)
    assert recall.better == 'b'
    assert figures['rotation'].better == ''
    assert figures['rotation'].p_value == 1.0
    assert list(figures) == [
        'position',
        'rotation',
        '0.05m_5deg',
        '0.1m_1deg',
        '0.25m_2deg',
        '0.5m_5deg',
        '5m_10deg',
    ]


def test_a_run_is_no_better_than_itself():
    errors = np.random.default_rng(3).uniform(size=(60, 2))
    for difference in compare_errors(paired(errors, errors.copy())):
        assert (difference.difference, difference.interval) == (0.0, (0.0, 0.0))
        assert difference.better == ''


def test_a_run_that_finds_nothing_is_worse():
    rng = np.random.default_rng(4)
    good = rng.uniform(0.0, 0.01, size=(40, 2))
    figures = by_measure(compare_errors(paired(good, np.full((40, 2), math.inf))))
    assert figures['position'].difference == math.inf
    assert figures['position'].interval == (math.inf, math.inf)
    assert figures['position'].better == 'a'
    assert figures['5m_10deg'].better == 'a'


def test_two_that_find_nothing_are_equal():
    nothing = np.full((40, 2), math.inf)
    figures = by_measure(compare_errors(paired(nothing, nothing)))
    assert figures['position'].difference == 0.0
    assert figures['position'].better == ''


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5])
def test_a_handful_of_queries_proves_nothing(count):
    errors = np.full((count, 2), 0.01)
    for difference in compare_errors(paired(errors, 10 * errors)):
        assert difference.better == ''
        assert (difference.interval is None) == (count < 3)


def test_one_hard_stretch_proves_nothing():
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.0, 0.01, size=(300, 2))
    fails_once = errors.copy()
    fails_once[100:160] = math.inf
    figures = by_measure(compare_errors(paired(errors, fails_once)))
    assert figures['0.05m_5deg'].difference == pytest.approx(-0.2)
    assert figures['0.05m_5deg'].better == ''


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_more_runs_ask_for_more_evidence():
    rng = np.random.default_rng(6)
    first, second = runs(rng, 200, 1.3)
    third, _ = runs(rng, 200)
    alone = by_measure(compare_errors(paired(first, second)))['position']
    among = compare_errors(paired(first, second, third))
    assert alone.adjusted_p_value == alone.p_value
    pairs = [(each.first, each.second) for each in among if each.measure == 'position']
    assert pairs == [('a', 'b'), ('a', 'c'), ('b', 'c')]
    assert all(each.adjusted_p_value >= each.p_value for each in among)
    p_values = [each.p_value for each in among if each.measure == 'position']
    assert [each.adjusted_p_value for each in among if each.measure == 'position'] == holm(
        p_values
    )


def test_the_seed_decides():
    pair = paired(*runs(np.random.default_rng(7), 100))
    assert compare_errors(pair) == compare_errors(pair)
    assert compare_errors(pair) != compare_errors(pair, seed=1)
