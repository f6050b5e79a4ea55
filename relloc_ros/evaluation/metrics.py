# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of poses, and the figures that sum them up.

Failures stay in every denominator: a query without a pose has an infinite error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import RigidTransform, log_so3, pose_error
from relloc_ros.structures import PoseEstimate

__all__ = [
    'RECALL_THRESHOLDS',
    'PoseError',
    'error_statistics',
    'latency_statistics',
    'measure_error',
    'normalized_error',
]

PoseError = tuple[float, float]
"""Position error in map units and rotation error in degrees; infinite without a pose."""

RECALL_THRESHOLDS: Mapping[str, PoseError] = {
    '0.05m_5deg': (0.05, 5.0),
    '0.1m_1deg': (0.1, 1.0),
    '0.25m_2deg': (0.25, 2.0),
    '0.5m_5deg': (0.5, 5.0),
    '5m_10deg': (5.0, 10.0),
}

NO_POSE: PoseError = (math.inf, math.inf)


def measure_error(estimate: PoseEstimate | None, truth: RigidTransform) -> PoseError:
    """Compare a pose with the truth; without a pose the error is infinite."""
    if estimate is None:
        return NO_POSE
    distance, angle = pose_error(estimate.map_from_body, truth)
    return distance, math.degrees(angle)


def normalized_error(estimate: PoseEstimate, truth: RigidTransform) -> float:
    """Normalized estimation error squared (NEES): the error weighed by its own covariance.

    Its mean is 6 for covariances that tell the truth, and larger for those too small.
    """
    pose = estimate.map_from_body
    error = np.concatenate(
        [truth.translation - pose.translation, log_so3(truth.rotation @ pose.rotation.T)]
    )
    return float(error @ np.linalg.solve(estimate.covariance, error))


def error_statistics(errors: Sequence[PoseError]) -> dict[str, Any]:
    """Medians and recall over all queries, and medians over the localized ones.

    Medians are None where infinite or of nothing, recall is None of nothing.
    """
    values = np.array(errors, dtype=np.float64).reshape(-1, 2)
    localized = values[np.isfinite(values).all(axis=1)]
    return {
        'median_position_error_m': _median(values[:, 0]),
        'median_rotation_error_deg': _median(values[:, 1]),
        'localized_median_position_error_m': _median(localized[:, 0]),
        'localized_median_rotation_error_deg': _median(localized[:, 1]),
        'recall': {
            name: float((values <= limits).all(axis=1).mean()) if len(values) else None
            for name, limits in RECALL_THRESHOLDS.items()
        },
    }


def latency_statistics(timings_ms: Iterable[Mapping[str, float]]) -> dict[str, Any]:
    """Percentiles of the total, and of each stage over the queries that reached it.

    Args:
        timings_ms: wall milliseconds by stage, with a `total`; empty for what was never processed.
    """
    measured = [timings for timings in timings_ms if 'total' in timings]
    totals = np.array([timings['total'] for timings in measured])
    stages = dict.fromkeys(key for timings in measured for key in timings if key != 'total')
    return {
        'p50': _percentile(totals, 50),
        'p95': _percentile(totals, 95),
        'p99': _percentile(totals, 99),
        'max': _percentile(totals, 100),
        'stages': _stage_percentiles(measured, stages, 50),
        'stages_p95': _stage_percentiles(measured, stages, 95),
    }


def _stage_percentiles(
    measured: Sequence[Mapping[str, float]], stages: Iterable[str], percent: float
) -> dict[str, float | None]:
    """Percentile of each stage over the queries that reached it."""
    return {
        stage: _percentile(np.array([t[stage] for t in measured if stage in t]), percent)
        for stage in stages
    }


def _median(values: NDArray[np.float64]) -> float | None:
    if not len(values):
        return None
    # Averages the two middle ones: infinite as soon as one of them is.
    median = float(np.median(values))
    return median if math.isfinite(median) else None


def _percentile(values: NDArray[np.float64], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 3) if len(values) else None
