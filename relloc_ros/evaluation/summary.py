# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All figures of a run: the content of metrics.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from relloc_ros.evaluation.bootstrap import (
    BlockBootstrap,
    Interval,
    choose_block_length,
)
from relloc_ros.evaluation.failures import FAILURE_STAGES
from relloc_ros.evaluation.metrics import (
    RECALL_THRESHOLDS,
    PoseError,
    error_statistics,
    latency_statistics,
)
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.proportions import CONFIDENCE, binomial_upper_bound
from relloc_ros.evaluation.sequences import longest_gap_s, time_to_first_fix_s
from relloc_ros.evaluation.trajectories import trajectory_statistics
from relloc_ros.evaluation.uncertainty import covariance_statistics, normalized_errors
from relloc_ros.structures import Status

__all__ = ['summarize']


def summarize(run: Run) -> dict[str, Any]:
    """Sum up a run in plain values for JSON.

    None stands for what is infinite, unknown, or of nothing: a median when half of the queries
    failed, the upper bound of its interval, waiting times of images that are no sequence.
    """
    # Blocks of neighbours are blocks in time.
    outcomes = sorted(run.outcomes, key=lambda outcome: outcome.stamp_ns)
    queries = [outcome for outcome in outcomes if not outcome.negative]
    scored = [outcome for outcome in queries if outcome.truth is not None]
    localized = sum(outcome.localized for outcome in queries)
    errors = [outcome.error for outcome in scored if outcome.error is not None]
    nees = [outcome.nees for outcome in scored if outcome.nees is not None]
    statuses = Counter(outcome.status for outcome in queries)
    return {
        'localizer': run.localizer,
        'queries': len(queries),
        'localized': localized,
        'availability': localized / len(queries) if queries else None,
        **error_statistics(errors),
        'latency_ms': latency_statistics(outcome.timings_ms for outcome in queries),
        'scored': len(scored),
        'intervals': _intervals(errors),
        'median_nees': float(np.median(nees)) if nees else None,
        'covariance': _covariance(scored),
        **_false_accepts(run),
        **_waiting(queries if run.sequence else []),
        'trajectory': _trajectory(scored) if run.sequence else {},
        'failures': _failures(queries),
        'statuses': {status.value: statuses[status] for status in Status if statuses[status]},
        'left_out': [{'name': item.name, 'reason': item.reason} for item in run.left_out],
        'body': run.body,
        'map': run.map_path,
        'map_id': run.map_id,
        'units': run.units,
        'config': dict(run.settings),
        'version': run.version,
    }


def _intervals(errors: Sequence[PoseError]) -> dict[str, Any]:
    """95 % intervals; None of fewer than three queries, an end that is None is infinite."""
    values = np.array(errors, dtype=np.float64).reshape(-1, 2)
    bootstrap = BlockBootstrap(len(values), choose_block_length(values)) if errors else None
    position = rotation = None
    recall: dict[str, list[float | None] | None] = dict.fromkeys(RECALL_THRESHOLDS)
    if bootstrap is not None:
        position, rotation = (_finite(bootstrap.median_interval(column)) for column in values.T)
        for name, interval in bootstrap.recall_intervals(values).items():
            recall[name] = _finite(interval)
    return {
        'confidence': CONFIDENCE,
        'block_length': None if bootstrap is None else bootstrap.block_length,
        'median_position_error_m': position,
        'median_rotation_error_deg': rotation,
        'recall': recall,
    }


def _finite(interval: Interval | None) -> list[float | None] | None:
    if interval is None:
        return None
    return [bound if math.isfinite(bound) else None for bound in interval]


def _covariance(scored: Sequence[Outcome]) -> dict[str, Any]:
    pairs = [
        (outcome.estimate, outcome.truth)
        for outcome in scored
        if outcome.estimate is not None and outcome.truth is not None
    ]
    return covariance_statistics(
        normalized_errors([estimate for estimate, _ in pairs], [truth for _, truth in pairs])
    )


def _false_accepts(run: Run) -> dict[str, Any]:
    """Count the images of other places that got a pose, and bound how often that happens."""
    negatives = [outcome for outcome in run.outcomes if outcome.negative]
    count = sum(outcome.localized for outcome in negatives)
    return {
        'negatives': len(negatives),
        'false_accepts': count,
        'false_accept_rate': count / len(negatives) if negatives else None,
        'false_accept_rate_upper_bound': binomial_upper_bound(count, len(negatives)),
    }


def _waiting(queries: Sequence[Outcome]) -> dict[str, float | None]:
    stamps = [outcome.stamp_ns for outcome in queries]
    localized = [outcome.localized for outcome in queries]
    return {
        'time_to_first_fix_s': time_to_first_fix_s(stamps, localized),
        'longest_gap_s': longest_gap_s(stamps, localized),
    }


def _trajectory(scored: Sequence[Outcome]) -> dict[str, Any]:
    known = [(outcome, outcome.truth) for outcome in scored if outcome.truth is not None]
    estimates = [
        None if outcome.estimate is None else outcome.estimate.map_from_body
        for outcome, _ in known
    ]
    stamps = [outcome.stamp_ns for outcome, _ in known]
    return trajectory_statistics(stamps, estimates, [truth for _, truth in known])


def _failures(queries: Sequence[Outcome]) -> dict[str, int]:
    counts = Counter(outcome.failure for outcome in queries if outcome.failure)
    return {stage: counts[stage] for stage in FAILURE_STAGES}
