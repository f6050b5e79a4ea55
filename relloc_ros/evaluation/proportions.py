# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a share counted on few queries may be from the true one."""

from __future__ import annotations

from scipy.stats import beta

__all__ = ['CONFIDENCE', 'binomial_interval', 'binomial_upper_bound']

CONFIDENCE = 0.95
"""Confidence of all intervals and bounds that are reported."""


def binomial_interval(
    successes: float, count: float, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Two-sided interval of a share (Clopper and Pearson, Biometrika 1934).

    Args:
        successes: how many had it; a fraction where the count is one.
        count: how many independent trials; an effective number may be a fraction.
        confidence: of the interval.

    Returns:
        Bounds in [0, 1]; None of nothing.
    """
    if count <= 0:
        return None
    tail = (1.0 - confidence) / 2.0
    failures = count - successes
    low = float(beta.ppf(tail, successes, failures + 1.0)) if successes > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, successes + 1.0, failures)) if failures > 0 else 1.0
    return low, high


def binomial_upper_bound(
    successes: int, count: int, confidence: float = CONFIDENCE
) -> float | None:
    """One-sided upper bound of a share; None of nothing.

    Without any success it is about three divided by the count.
    """
    if count <= 0:
        return None
    if successes >= count:
        return 1.0
    return float(beta.ppf(confidence, successes + 1, count - successes))
