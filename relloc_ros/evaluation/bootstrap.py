# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of medians and recalls, honest about correlated frames.

Neighbouring frames of a video fail together, so that a thousand of them tell less than a thousand
photos. Blocks of consecutive queries are resampled instead of single ones (the circular block
bootstrap: Politis and Romano, "A circular block-resampling procedure for stationary data", 1992).
A failed query is an infinite error, and an interval may reach infinity.
"""

from __future__ import annotations

from collections.abc import Iterator
import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
from relloc_ros.evaluation.proportions import CONFIDENCE, binomial_interval
from relloc_ros.geometry import Array

__all__ = [
    'BlockBootstrap',
    'Interval',
    'choose_block_length',
    'correlation_block_length',
    'hits_by_threshold',
    'percentile_interval',
]

Interval = tuple[float, float]

NUM_RESAMPLES = 2000
MIN_COUNT = 3
"""Of fewer values no interval is given."""
MIN_COUNT_OF_SERIES = 10
"""Autocorrelations of fewer values are guesswork; single queries are resampled then."""
CHUNK = 4_000_000
"""Resampled values in memory at a time."""


class BlockBootstrap:
    """Resamples of a series of queries in their order, made once and used for every figure.

    Two runs on the same queries share the resamples: that is what makes a comparison paired.

    Attributes:
        count: of queries.
        block_length: consecutive queries that stay together.
        num_resamples: of the series.
    """

    def __init__(
        self,
        count: int,
        block_length: int,
        *,
        seed: int = 0,
        num_resamples: int = NUM_RESAMPLES,
    ) -> None:
        """Choose the queries of each resample.

        Raises:
            ValueError: no query, or a block length that is not in 1 .. count.
        """
        if not 1 <= block_length <= count:
            raise ValueError(f'block length {block_length} is not in 1 .. {count}')
        self.count = count
        self.block_length = block_length
        self.num_resamples = num_resamples
        generator = np.random.default_rng(seed)
        starts = generator.integers(count, size=(num_resamples, -(-count // block_length)))
        self._starts = starts.astype(np.int32)

    def medians(self, values: Array) -> Array:
        """Medians (num_resamples,) of resampled values (count,), which may be infinite."""
        order = np.argsort(values, kind='stable')
        ranks = np.empty(self.count, dtype=np.int32)
        ranks[order] = np.arange(self.count, dtype=np.int32)
        parts = [middle_of_ranks(ranks[rows], values[order]) for rows in self._rows()]
        return np.concatenate(parts)

    def quantiles(self, values: Array, share: float) -> Array:
        """Quantiles (num_resamples,) of resampled values (count,), which may be infinite.

        Args:
            values: of the series.
            share: part of the values that are no larger, in (0, 1].
        """
        order = np.argsort(values, kind='stable')
        ranks = np.empty(self.count, dtype=np.int32)
        ranks[order] = np.arange(self.count, dtype=np.int32)
        place = math.ceil(share * self.count) - 1
        parts = [np.partition(ranks[rows], place, axis=1)[:, place] for rows in self._rows()]
        quantiles: Array = values[order][np.concatenate(parts)]
        return quantiles

    def shares(self, hits: NDArray[np.bool_]) -> Array:
        """Shares (num_resamples,) of hits (count,) among the resampled."""
        # Hits before each query, twice around: blocks are differences of two of these.
        before = np.concatenate([[0], np.cumsum(np.tile(hits, 2))])
        lengths = np.full(self._starts.shape[1], self.block_length)
        lengths[-1] -= lengths.sum() - self.count
        shares: Array = (before[self._starts + lengths] - before[self._starts]).sum(axis=1)
        return shares / self.count

    def median_interval(self, values: Array) -> Interval | None:
        """Interval of the median, by percentiles; None of fewer than three values."""
        return None if self.count < MIN_COUNT else percentile_interval(self.medians(values))

    def recall_intervals(self, errors: Array) -> dict[str, Interval | None]:
        """Intervals of all recalls of errors (count, 2); None of fewer than three queries.

        Resamples of hits alone are all the same, and say nothing about how rare misses are. So
        the resamples give the number of independent queries that would spread as much, and the
        exact binomial interval is taken of as many (Korn and Graubard, "Confidence intervals for
        proportions with small expected number of positive counts", 1998). Where all hit or all
        miss, that number is taken from the other thresholds. A wider threshold has no lower bound
        below that of a narrower.
        """
        hits = hits_by_threshold(errors)
        if self.count < MIN_COUNT:
            return dict.fromkeys(hits)
        independent = {name: self._independent(each) for name, each in hits.items()}
        known = [number for number in independent.values() if number is not None]
        fallback = min(known, default=self.count / self.block_length)
        lows: dict[str, float] = {}
        intervals: dict[str, Interval | None] = {}
        for name, each in hits.items():
            number = independent[name] or fallback
            low, high = binomial_interval(float(each.mean()) * number, number) or (0.0, 1.0)
            inside = [lows[other] for other in lows if _is_narrower(other, name)]
            lows[name] = max([low, *inside])
            intervals[name] = (lows[name], high)
        return intervals

    def _independent(self, hits: NDArray[np.bool_]) -> float | None:
        """Count the independent queries that spread as much; None where all hit or all miss."""
        share = float(np.mean(hits))
        variance = float(np.var(self.shares(hits)))
        if variance == 0.0:
            return None
        return min(share * (1.0 - share) / variance, self.count)

    def _rows(self) -> Iterator[NDArray[np.int32]]:
        """Give the indices of the resampled queries, some (rows, count) at a time."""
        rows = max(1, CHUNK // self.count)
        steps = np.arange(self.block_length, dtype=np.int32)
        for first in range(0, self.num_resamples, rows):
            starts = self._starts[first : first + rows]
            indices = (starts[:, :, None] + steps) % np.int32(self.count)
            yield indices.reshape(len(starts), -1)[:, : self.count]


def middle_of_ranks(ranks: NDArray[np.int32], ordered: Array) -> Array:
    """Medians (rows,) of values given by their ranks (rows, count) in `ordered`."""
    low, high = (ranks.shape[1] - 1) // 2, ranks.shape[1] // 2
    # Whole numbers are partitioned several times faster than floating point ones.
    partitioned = np.partition(ranks, (low, high), axis=1)
    medians: Array = 0.5 * (ordered[partitioned[:, low]] + ordered[partitioned[:, high]])
    return medians


def percentile_interval(samples: Array, confidence: float = CONFIDENCE) -> Interval:
    """Give the samples at both ends of the middle `confidence`; they may be infinite."""
    ordered = np.sort(samples)
    last = len(ordered) - 1
    tail = (1.0 - confidence) / 2.0
    return float(ordered[math.floor(tail * last)]), float(ordered[math.ceil((1 - tail) * last)])


def hits_by_threshold(errors: Array) -> dict[str, NDArray[np.bool_]]:
    """Which errors (N, 2) in map units and degrees are within each threshold of recall."""
    return {
        name: np.asarray((errors <= limits).all(axis=1), dtype=bool)
        for name, limits in RECALL_THRESHOLDS.items()
    }


def _is_narrower(name: str, other: str) -> bool:
    narrow, wide = RECALL_THRESHOLDS[name], RECALL_THRESHOLDS[other]
    return narrow[0] <= wide[0] and narrow[1] <= wide[1]


def choose_block_length(errors: Array) -> int:
    """Choose a block length for errors (N, 2) in their order; 1 where neighbours tell nothing.

    The longest that the ranks of the errors or the hits of a threshold ask for: medians and
    recalls are means of such series. Ranks, because errors may be infinite.
    """
    if len(errors) < MIN_COUNT_OF_SERIES:
        return 1
    series = [rankdata(errors[:, 0]), rankdata(errors[:, 1])]
    series += [hits.astype(np.float64) for hits in hits_by_threshold(errors).values()]
    return max(correlation_block_length(values) for values in series)


def correlation_block_length(values: Array) -> int:
    """Choose the block length for the mean of a series (N,) by its autocorrelation.

    Politis and White, "Automatic block-length selection for the dependent bootstrap", 2004, with
    the correction of Patton, Politis and White, 2009, for circular blocks. It is 1 where direct
    neighbours are not alike beyond noise: what is left at larger lags is chance then.
    """
    count = len(values)
    covariances = _autocovariances(values)
    if covariances[0] <= 1e-12 * max(float(np.square(values).max()), 1e-300):
        return 1
    lag = _last_significant_lag(covariances / covariances[0], count)
    if lag == 0:
        return 1
    lags = np.arange(1, min(2 * lag, count - 1) + 1)
    # The flat-top window: 1 up to the last lag that counts, falling to 0 at twice that.
    weights = np.clip(2.0 * (1.0 - lags / (2.0 * lag)), 0.0, 1.0)
    spectrum = covariances[0] + 2.0 * float(weights @ covariances[lags])
    slope = 2.0 * float((weights * lags) @ covariances[lags])
    longest = math.ceil(min(3.0 * math.sqrt(count), count / 3.0))
    if spectrum <= 0.0:
        return longest
    length = (1.5 * slope**2 / spectrum**2 * count) ** (1.0 / 3.0)
    return int(np.clip(math.ceil(length), 1, longest))


def _autocovariances(values: Array) -> Array:
    """Autocovariances (N,) at lags 0 .. N-1, divided by N."""
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(values))
    covariances: Array = np.fft.irfft(np.abs(spectrum) ** 2)[: len(values)] / len(values)
    return covariances


def _last_significant_lag(correlations: Array, count: int) -> int:
    """Find the lag after which a run of autocorrelations is within the noise; 0 if all are."""
    limit = 2.0 * math.sqrt(math.log10(count) / count)
    run = max(5, math.ceil(math.sqrt(math.log10(count))))
    last = min(math.ceil(math.sqrt(count)) + run, count - 1)
    significant = np.abs(correlations[1 : last + 1]) >= limit
    if correlations[1] < limit:
        return 0
    for lag in range(1, len(significant) - run + 1):
        if not significant[lag : lag + run].any():
            return lag
    return int(np.flatnonzero(significant)[-1]) + 1
