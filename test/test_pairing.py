# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which queries of several runs are the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic_runs import S, make_outcome, make_run, shift

from relloc_ros.errors import DataError
from relloc_ros.evaluation.comparison import compare_errors
from relloc_ros.evaluation.pairing import pair_runs


def run(*entries, **fields):
    """A run of (name, stamp, error); None is a failure."""
    outcomes = [
        make_outcome(name, stamp * S, None if error is None else shift(stamp, error), shift(stamp))
        for name, stamp, error in entries
    ]
    return make_run(outcomes, **fields)


def test_common_queries_in_order_of_time():
    first = run(('c', 3, 0.3), ('a', 1, 0.1), ('b', 2, None), ('x', 9, 0.0))
    second = run(('b', 2, 0.5), ('a', 1, 0.4), ('c', 3, 0.6))
    paired = pair_runs({'one': first, 'other': second})
    assert paired.labels == ('one', 'other')
    assert paired.count == 3
    assert paired.left_out == (1, 0)
    np.testing.assert_allclose(paired.errors[0][:, 0], [0.1, math.inf, 0.3])
    np.testing.assert_allclose(paired.errors[1][:, 0], [0.4, 0.5, 0.6])


def test_failures_stay_in_and_queries_without_truth_do_not():
    first = run(('a', 1, None), ('b', 2, 0.1))
    unknown = make_outcome('c', 3 * S, shift(0), None)
    negative = make_outcome('d', 4 * S, shift(0), None, negative=True)
    second = make_run([*first.outcomes, unknown, negative])
    paired = pair_runs({'one': first, 'other': second})
    assert paired.count == 2
    assert paired.left_out == (0, 0)


def test_the_same_name_twice_is_two_queries():
    first = run(('a', 1, 0.1), ('a', 1, 0.2))
    second = run(('a', 1, 0.3), ('a', 1, 0.4), ('a', 1, 0.5))
    paired = pair_runs({'one': first, 'other': second})
    np.testing.assert_allclose(paired.errors[1][:, 0], [0.3, 0.4])
    assert paired.left_out == (0, 1)


def test_blocks_are_as_long_as_any_run_asks_for():
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.0, 0.04, size=200)
    correlated = np.repeat(rng.uniform(0.0, 0.04, size=10), 20)
    runs = [run(*((str(i), i, e) for i, e in enumerate(each))) for each in (errors, correlated)]
    assert pair_runs({'a': runs[0], 'b': runs[0]}).block_length == 1
    assert pair_runs({'a': runs[0], 'b': runs[1]}).block_length > 10


def test_enough_blocks_are_left_to_tell_a_large_difference():
    smooth = 0.02 + 0.01 * np.sin(np.arange(180) / 60.0)
    better, worse = (
        run(*((str(i), i, e) for i, e in enumerate(factor * smooth))) for factor in (1.0, 30.0)
    )
    paired = pair_runs({'better': better, 'worse': worse})
    assert paired.block_length == 18
    position = next(d for d in compare_errors(paired) if d.measure == 'position')
    assert position.better == 'better'


def test_rounded_truths_are_the_same_and_others_are_not():
    first = make_run([make_outcome('a', 0, shift(0), shift(0))])
    rounded = make_run([make_outcome('a', 0, shift(0), shift(4e-4))])
    moved = make_run([make_outcome('a', 0, shift(0), shift(2e-3))])
    pair_runs({'one': first, 'other': rounded})
    with pytest.raises(DataError, match=r'different true poses of a, 0\.002 and 0° apart'):
        pair_runs({'one': first, 'other': moved})


def test_nothing_in_common():
    with pytest.raises(DataError, match="one begins with 'a', other has none"):
        pair_runs({'one': run(('a', 1, 0.1)), 'other': run()})
