# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether covariances tell the truth: NEES, coverage and reliability curve.

The normalized estimation error squared (NEES) of a true covariance follows a chi-squared
distribution with as many degrees of freedom as the error has parts (Bar-Shalom, Li and
Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, section 5.4). The
share of errors inside the region that should hold 95 % of them is its coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from relloc_ros.evaluation.proportions import binomial_interval
from relloc_ros.geometry import Array, RigidTransform, log_so3
from relloc_ros.structures import PoseEstimate

__all__ = [
    'COVERAGE_LEVELS',
    'NormalizedErrors',
    'ReliabilityCurve',
    'covariance_statistics',
    'normalized_errors',
    'reliability_curve',
]

COVERAGE_LEVELS = (0.5, 0.9, 0.95, 0.99)
CURVE_LEVELS = np.concatenate([np.linspace(0.0, 1.0, 51)[1:-1], [0.99, 0.995]])


@dataclass(frozen=True, slots=True, eq=False)
class NormalizedErrors:
    """NEES of poses: of the whole error, and of its parts by their blocks of the covariance.

    Attributes:
        pose: (N,) float64, 6 degrees of freedom.
        position: (N,) float64, 3.
        rotation: (N,) float64, 3.
    """

    pose: Array
    position: Array
    rotation: Array

    def parts(self) -> dict[str, tuple[Array, int]]:
        """Give values and degrees of freedom by name."""
        return {
            'pose': (self.pose, 6),
            'position': (self.position, 3),
            'rotation': (self.rotation, 3),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """How many errors are inside the regions that should hold a given share of them.

    Attributes:
        expected: (K,) shares in (0, 1), rising.
        observed: (K,) shares found. Below `expected`, the covariance is too small.
    """

    expected: Array
    observed: Array


def normalized_errors(
    estimates: Sequence[PoseEstimate], truths: Sequence[RigidTransform]
) -> NormalizedErrors:
    """Weigh the errors of poses by their covariances.

    Args:
        estimates: poses with covariance; those without one (not finite) are left out.
        truths: true map_from_body of each.
    """
    rows = [
        _normalized(estimate, truth)
        for estimate, truth in zip(estimates, truths, strict=True)
        if np.isfinite(estimate.covariance).all()
    ]
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return NormalizedErrors(values[:, 0], values[:, 1], values[:, 2])


def covariance_statistics(errors: NormalizedErrors) -> dict[str, Any]:
    """Sum up for metrics.json; None where there is no pose with covariance.

    Intervals are those of independent errors: neighbouring frames make them wider.
    """
    return {
        'count': len(errors.pose),
        **{
            name: {
                'degrees_of_freedom': freedom,
                'mean_nees': float(values.mean()) if len(values) else None,
                'median_nees': float(np.median(values)) if len(values) else None,
                'coverage': {
                    f'{level:.0%}': _share(values, freedom, level) for level in COVERAGE_LEVELS
                },
                'coverage_intervals': {
                    f'{level:.0%}': _interval(values, freedom, level) for level in COVERAGE_LEVELS
                },
            }
            for name, (values, freedom) in errors.parts().items()
        },
    }


def reliability_curve(values: Array, degrees_of_freedom: int) -> ReliabilityCurve | None:
    """Compare the distribution of NEES values (N,) with chi-squared; None of nothing."""
    if not len(values):
        return None
    limits = chi2.ppf(CURVE_LEVELS, degrees_of_freedom)
    observed = np.searchsorted(np.sort(values), limits, side='right') / len(values)
    return ReliabilityCurve(CURVE_LEVELS.copy(), observed)


def _normalized(estimate: PoseEstimate, truth: RigidTransform) -> tuple[float, float, float]:
    pose, covariance = estimate.map_from_body, estimate.covariance
    position = truth.translation - pose.translation
    rotation = log_so3(truth.rotation @ pose.rotation.T)
    error = np.concatenate([position, rotation])
    return (
        float(error @ np.linalg.solve(covariance, error)),
        float(position @ np.linalg.solve(covariance[:3, :3], position)),
        float(rotation @ np.linalg.solve(covariance[3:, 3:], rotation)),
    )


def _inside(values: Array, freedom: int, level: float) -> int:
    return int((values <= chi2.ppf(level, freedom)).sum())


def _share(values: Array, freedom: int, level: float) -> float | None:
    return _inside(values, freedom, level) / len(values) if len(values) else None


def _interval(values: Array, freedom: int, level: float) -> list[float] | None:
    interval = binomial_interval(_inside(values, freedom, level), len(values))
    return None if interval is None else list(interval)
