# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of several runs on the same queries is better, and is that more than noise?

Two questions, two resamplings, both of blocks of consecutive queries. How large is the difference?
The paired block bootstrap gives its interval. Could it be chance? If two methods were equally
good, swapping their answers on some of the blocks would change nothing: the share of such swaps
with a difference as large is the p-value (Good, "Permutation, Parametric and Bootstrap Tests of
Hypotheses", 2005, chapter 3). With few independent stretches it cannot become small, whatever the
figures are. Where several runs are compared, Holm's correction keeps the number of pairs from
finding something by itself ("A simple sequentially rejective multiple test procedure", 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from relloc_ros.evaluation.bootstrap import (
    BlockBootstrap,
    Interval,
    hits_by_threshold,
    middle_of_ranks,
    percentile_interval,
)
from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
from relloc_ros.evaluation.pairing import PairedErrors
from relloc_ros.geometry import Array

__all__ = ['Difference', 'compare_errors', 'holm']

SIGNIFICANCE = 0.05
MIN_COUNT = 3
MIN_SWAPS = 1000
SWAPS_PER_PAIR = 30
"""Holm's correction multiplies p-values by the number of pairs, and none is below 1 / swaps."""
CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two runs.

    Attributes:
        first: label of a run.
        second: label of another.
        measure: `position`, `rotation`, or the name of a recall threshold.
        values: median error, or recall, of both.
        difference: of the second from the first; infinite where one has no finite median.
        interval: 95 % of the difference; None of fewer than three queries.
        p_value: how often chance makes as large a difference.
        adjusted_p_value: the same, allowing for the number of pairs compared.
    """

    first: str
    second: str
    measure: str
    values: tuple[float, float]
    difference: float
    interval: Interval | None
    p_value: float
    adjusted_p_value: float

    @property
    def more_than_noise(self) -> bool:
        """Whether neither the p-value nor the interval allows for no difference."""
        if self.interval is None or self.adjusted_p_value > SIGNIFICANCE:
            return False
        low, high = self.interval
        return low > 0.0 or high < 0.0

    @property
    def better(self) -> str:
        """Label of the run that is better by more than noise, or ''."""
        if not self.more_than_noise:
            return ''
        larger_is_better = self.measure in RECALL_THRESHOLDS
        return self.second if (self.difference > 0.0) == larger_is_better else self.first


def compare_errors(paired: PairedErrors, *, seed: int = 0) -> tuple[Difference, ...]:
    """Compare each two runs by median position and rotation error and by all recalls."""
    block_length = paired.block_length
    bootstrap = BlockBootstrap(paired.count, block_length, seed=seed)
    pairs = list(combinations(range(len(paired.labels)), 2))
    num_swaps = max(SWAPS_PER_PAIR * len(pairs), MIN_SWAPS)
    swaps = _Swaps(paired.count, block_length, num_swaps, seed)
    figures = [_Figures(errors, bootstrap) for errors in paired.errors]
    differences = [
        difference
        for i, j in pairs
        for difference in _compare(
            (paired.labels[i], paired.labels[j]), figures[i], figures[j], swaps
        )
    ]
    return _adjusted(differences)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number by Holm's method."""
    count = len(p_values)
    adjusted = [1.0] * count
    largest = 0.0
    for position, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - position) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _adjusted(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    p_values: dict[str, list[float]] = {}
    for difference in differences:
        p_values.setdefault(difference.measure, []).append(difference.p_value)
    adjusted = {measure: iter(holm(values)) for measure, values in p_values.items()}
    return tuple(
        replace(difference, adjusted_p_value=next(adjusted[difference.measure]))
        for difference in differences
    )


class _Figures:
    """Errors of one run, its figures, and the same of all resamples."""

    def __init__(self, errors: Array, bootstrap: BlockBootstrap) -> None:
        self.errors = errors
        self.hits = hits_by_threshold(errors)
        self.medians = np.median(errors, axis=0)
        self.sampled_medians = [bootstrap.medians(errors[:, column]) for column in (0, 1)]
        self.sampled_recalls = {name: bootstrap.shares(hits) for name, hits in self.hits.items()}


class _Swaps:
    """Which blocks of two runs are exchanged, each time."""

    def __init__(self, count: int, block_length: int, num_swaps: int, seed: int) -> None:
        generator = np.random.default_rng([seed, 1])
        self.num_blocks = -(-count // block_length)
        self.block_of_query = np.arange(count) // block_length
        shape = (num_swaps, self.num_blocks)
        self.exchanged = generator.integers(2, size=shape).astype(bool)

    def p_value_of_medians(self, first: Array, second: Array) -> float:
        """Share of swaps whose medians differ by as much as those of errors (N,) and (N,).

        By as much in ranks among all errors: infinite medians would all differ by as much.
        """
        both = np.concatenate([first, second])
        order = np.argsort(both, kind='stable')
        places = np.empty(len(both), dtype=np.int32)
        places[order] = np.arange(len(both), dtype=np.int32)
        ranks = rankdata(both)[order]
        a, b = np.split(places, 2)
        rows = max(1, CHUNK // len(first))
        differences = []
        for start in range(0, len(self.exchanged), rows):
            swapped = self.exchanged[start : start + rows][:, self.block_of_query]
            medians = [
                middle_of_ranks(np.where(swapped, x, y), ranks) for x, y in ((a, b), (b, a))
            ]
            differences.append(medians[0] - medians[1])
        medians = [middle_of_ranks(x[np.newaxis], ranks) for x in (a, b)]
        return self._p_value(np.concatenate(differences), float((medians[1] - medians[0])[0]))

    def p_value_of_shares(self, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
        """Share of swaps whose shares differ by as much as those of hits (N,) and (N,)."""
        gained = second.astype(np.float64) - first
        by_block = np.bincount(self.block_of_query, gained, minlength=self.num_blocks)
        differences = (1.0 - 2.0 * self.exchanged) @ by_block
        return self._p_value(differences, float(by_block.sum()))

    def _p_value(self, differences: Array, observed: float) -> float:
        # What happened is one of the possible swaps: a p-value is never 0.
        as_large = np.abs(differences) >= abs(observed) * (1.0 - 1e-12)
        return float(1 + as_large.sum()) / (1 + len(differences))


def _compare(
    labels: tuple[str, str], first: _Figures, second: _Figures, swaps: _Swaps
) -> list[Difference]:
    result = []
    for column, measure in enumerate(('position', 'rotation')):
        samples = _subtract(second.sampled_medians[column], first.sampled_medians[column])
        p_value = swaps.p_value_of_medians(first.errors[:, column], second.errors[:, column])
        values = (float(first.medians[column]), float(second.medians[column]))
        result.append(_difference(labels, measure, values, samples, p_value, len(first.errors)))
    for name, hits in first.hits.items():
        samples = second.sampled_recalls[name] - first.sampled_recalls[name]
        p_value = swaps.p_value_of_shares(hits, second.hits[name])
        values = (float(hits.mean()), float(second.hits[name].mean()))
        result.append(_difference(labels, name, values, samples, p_value, len(hits)))
    return result


def _difference(
    labels: tuple[str, str],
    measure: str,
    values: tuple[float, float],
    samples: Array,
    p_value: float,
    count: int,
) -> Difference:
    difference = float(_subtract(np.array(values[1]), np.array(values[0])))
    interval = None if count < MIN_COUNT else percentile_interval(samples)
    return Difference(*labels, measure, values, difference, interval, p_value, p_value)


def _subtract(minuend: Array, subtrahend: Array) -> Array:
    """Subtract medians; two infinite ones are equally bad."""
    with np.errstate(invalid='ignore'):
        difference: Array = np.asarray(minuend - subtrahend)
    return np.where(np.isnan(difference), 0.0, difference)
