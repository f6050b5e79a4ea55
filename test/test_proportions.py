# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bounds of shares, against the binomial distribution itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from relloc_ros.evaluation.proportions import binomial_interval, binomial_upper_bound


@pytest.mark.parametrize(('successes', 'count'), [(3, 20), (19, 20), (50, 100)])
def test_bounds_are_where_the_count_becomes_unlikely(successes, count):
    low, high = binomial_interval(successes, count)
    assert binom.sf(successes - 1, count, low) == pytest.approx(0.025)
    assert binom.cdf(successes, count, high) == pytest.approx(0.025)


def test_ends():
    assert binomial_interval(0, 10)[0] == 0.0
    assert binomial_interval(0, 10)[1] == pytest.approx(1 - 0.025 ** (1 / 10))
    assert binomial_interval(10, 10)[1] == 1.0
    assert binomial_interval(0, 0) is None


def test_fewer_independent_trials_are_wider():
    low, high = binomial_interval(90, 100)
    lower, higher = binomial_interval(9.0, 10.0)
    assert lower < low < 0.9 < high < higher


def test_the_upper_bound_without_a_success_is_three_in_n():
    assert binomial_upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert binomial_upper_bound(0, 1) == pytest.approx(0.95)


def test_the_upper_bound_is_where_so_few_become_unlikely():
    assert binom.cdf(2, 30, binomial_upper_bound(2, 30)) == pytest.approx(0.05)


def test_upper_bounds_of_everything_and_of_nothing():
    assert binomial_upper_bound(5, 5) == 1.0
    assert binomial_upper_bound(0, 0) is None


def test_coverage():
    rng = np.random.default_rng(0)
    inside = 0
    for successes in rng.binomial(40, 0.1, size=500):
        low, high = binomial_interval(int(successes), 40)
        inside += low <= 0.1 <= high
    assert 0.94 <= inside / 500 <= 1.0
