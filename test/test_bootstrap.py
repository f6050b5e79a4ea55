# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intervals by block bootstrap, tried out on series whose truth is known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from relloc_ros.evaluation.bootstrap import (
    BlockBootstrap,
    choose_block_length,
    correlation_block_length,
    hits_by_threshold,
    percentile_interval,
)
from relloc_ros.evaluation.proportions import binomial_interval


def autoregressive(rng, count, correlation):
    """Standard normal series whose neighbours have this correlation."""
    noise = rng.normal(size=count + 100) * math.sqrt(1 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], noise)[100:]


def coverage(correlation, block_length, *, count=400, runs=120):
    """How often the intervals of median and recall hold the true values."""
    rng = np.random.default_rng(5)
    hit_share = 0.9
    inside = np.zeros(2)
    for seed in range(runs):
        series = autoregressive(rng, count, correlation)
        length = block_length or correlation_block_length(rankdata(series))
        bootstrap = BlockBootstrap(count, length, seed=seed, num_resamples=300)
        median = bootstrap.median_interval(np.exp(series))
        # 5 cm is where nine of ten errors are smaller.
        errors = np.column_stack([0.05 * np.exp(series - norm.ppf(hit_share)), np.zeros(count)])
        recall = bootstrap.recall_intervals(errors)['0.05m_5deg']
        inside += [median[0] <= 1.0 <= median[1], recall[0] <= hit_share <= recall[1]]
    return inside / runs


def test_coverage_of_independent_errors():
    assert coverage(0.0, None) == pytest.approx([0.95, 0.95], abs=0.05)


def test_blocks_keep_the_coverage_of_correlated_errors():
    assert (coverage(0.8, None) > 0.87).all()


def test_without_blocks_correlated_errors_seem_much_surer_than_they_are():
    assert (coverage(0.8, 1) < 0.75).all()


@pytest.mark.parametrize('count', [20, 60, 300])
def test_independent_errors_need_no_blocks(count):
    rng = np.random.default_rng(1)
    errors = np.abs(rng.normal(size=(60, count, 2))) * [0.05, 1.0]
    assert np.mean([choose_block_length(each) > 1 for each in errors]) < 0.08


def test_blocks_grow_with_correlation():
    rng = np.random.default_rng(2)
    medians = [
        np.median([correlation_block_length(autoregressive(rng, 1000, rho)) for _ in range(20)])
        for rho in (0.3, 0.6, 0.9)
    ]
    assert 2 <= medians[0] < medians[1] < medians[2] < 100
    # Politis and White: (2 G² / D)^(1/3) N^(1/3) with G = 2ρ/(1-ρ)² and D = 4/3 ((1+ρ)/(1-ρ))².
    expected = (1.5 * (2 * 0.6 / (1 - 0.6**2)) ** 2 * 1000) ** (1 / 3)
    assert medians[1] == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize('values', [np.zeros(50), np.full(50, 0.3), np.full(50, 1e-300)])
def test_constant_series_need_no_blocks(values):
    assert correlation_block_length(values) == 1


def test_a_burst_of_failures_asks_for_blocks():
    rng = np.random.default_rng(3)
    errors = rng.uniform(0.001, 0.01, size=(600, 2))
    assert choose_block_length(errors) <= 5
    errors[200:230] = math.inf
    assert choose_block_length(errors) >= 15


@pytest.mark.parametrize('count', range(1, 13))
def test_any_number_of_queries_has_a_block_length(count):
    rng = np.random.default_rng(count)
    assert 1 <= choose_block_length(rng.uniform(size=(count, 2))) <= count
    assert choose_block_length(np.full((count, 2), math.inf)) == 1


@pytest.mark.parametrize('count', [1, 2])
def test_no_interval_of_one_or_two(count):
    bootstrap = BlockBootstrap(count, 1)
    assert bootstrap.median_interval(np.ones(count)) is None
    assert set(bootstrap.recall_intervals(np.ones((count, 2))).values()) == {None}


def test_resamples_are_circular_blocks_of_the_same_size():
    bootstrap = BlockBootstrap(10, 4, num_resamples=50)
    rows = np.concatenate(list(bootstrap._rows()))
    assert rows.shape == (50, 10)
    steps = np.diff(rows, axis=1) % 10
    assert (steps[:, [0, 1, 2, 4, 5, 6, 8]] == 1).all()
    assert set(rows[:, 0]) == set(range(10))


def test_medians_are_those_of_the_resampled_values():
    rng = np.random.default_rng(6)
    for count in (9, 10):
        values = rng.uniform(size=count)
        values[3] = math.inf
        values[5] = values[6]
        bootstrap = BlockBootstrap(count, 3, num_resamples=100)
        rows = np.concatenate(list(bootstrap._rows()))
        np.testing.assert_array_equal(bootstrap.medians(values), np.median(values[rows], axis=1))


def test_shares_are_those_of_the_resampled_hits():
    hits = np.random.default_rng(7).uniform(size=11) < 0.7
    for block_length in (1, 3, 11):
        bootstrap = BlockBootstrap(11, block_length, num_resamples=100)
        rows = np.concatenate(list(bootstrap._rows()))
        np.testing.assert_allclose(bootstrap.shares(hits), hits[rows].mean(axis=1))


def test_intervals_reach_infinity_where_half_may_fail():
    values = np.array([*np.linspace(0.01, 0.02, 11), *[math.inf] * 9])
    low, high = BlockBootstrap(20, 1).median_interval(values)
    assert 0.01 <= low < 0.02
    assert high == math.inf
    assert BlockBootstrap(20, 1).median_interval(np.full(20, math.inf)) == (math.inf, math.inf)


def test_recall_of_hits_alone_is_not_certain():
    intervals = BlockBootstrap(20, 1).recall_intervals(np.zeros((20, 2)))
    assert intervals['0.05m_5deg'] == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    intervals = BlockBootstrap(20, 10).recall_intervals(np.zeros((20, 2)))
    assert intervals['0.05m_5deg'] == (pytest.approx(0.025 ** (1 / 2)), 1.0)
    intervals = BlockBootstrap(20, 1).recall_intervals(np.full((20, 2), math.inf))
    assert intervals['5m_10deg'] == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))


def test_wider_thresholds_are_no_less_certain():
    rng = np.random.default_rng(10)
    for _ in range(20):
        series = autoregressive(rng, 300, 0.9)
        errors = np.column_stack([0.02 * np.exp(series), np.full(300, 0.5)])
        bootstrap = BlockBootstrap(300, choose_block_length(errors), num_resamples=300)
        intervals = bootstrap.recall_intervals(errors)
        lows = [low for low, _ in intervals.values()]
        assert lows == sorted(lows)
        for name, hits in hits_by_threshold(errors).items():
            low, high = intervals[name]
            assert low <= hits.mean() <= high


def test_independent_recalls_have_the_exact_interval():
    rng = np.random.default_rng(11)
    errors = np.column_stack([np.where(rng.uniform(size=400) < 0.2, 1.0, 0.0), np.zeros(400)])
    share = float((errors[:, 0] == 0).mean())
    expected = binomial_interval(share * 400, 400)
    found = BlockBootstrap(400, 1).recall_intervals(errors)['0.05m_5deg']
    assert found == pytest.approx(expected, abs=0.01)


def test_the_seed_decides():
    values = np.random.default_rng(8).uniform(size=50)
    intervals = [BlockBootstrap(50, 5, seed=seed).median_interval(values) for seed in (0, 0, 1)]
    assert intervals[0] == intervals[1] != intervals[2]


@pytest.mark.parametrize('block_length', [0, 6])
def test_impossible_block_lengths(block_length):
    with pytest.raises(ValueError, match=f'block length {block_length} is not in 1 .. 5'):
        BlockBootstrap(5, block_length)


def test_percentiles_take_samples_not_what_lies_between():
    samples = np.array([-math.inf, *range(99), math.inf])
    assert percentile_interval(samples) == (1.0, 97.0)
    assert percentile_interval(np.array([1.0, math.inf])) == (1.0, math.inf)


def test_five_thousand_queries_are_quick():
    rng = np.random.default_rng(9)
    errors = np.exp(np.column_stack([autoregressive(rng, 5000, 0.9) for _ in range(2)])) * 0.05
    start = time.process_time()
    bootstrap = BlockBootstrap(5000, choose_block_length(errors))
    bootstrap.median_interval(errors[:, 0])
    bootstrap.median_interval(errors[:, 1])
    bootstrap.recall_intervals(errors)
    assert time.process_time() - start < 2.0
