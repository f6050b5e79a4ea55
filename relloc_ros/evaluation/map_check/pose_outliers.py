# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses that are further off than the errors of the others let expect.

Each pose is compared with the one that its matches ask for. The difference is as large as the
spread of the poses and the precision of the matches let expect, or the pose is an outlier. The
worst is freed, so that it does not bend its neighbours, and so on until nobody stands out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from relloc_ros.evaluation.map_check.adjustment import Adjustment
from relloc_ros.evaluation.map_check.linearized_pairs import POSE
from relloc_ros.geometry import Array

__all__ = ['PoseOutlier', 'find_outliers']

FALSE_ALARMS = 1e-3
"""Of a whole map, were the errors of its poses normal."""
TAILS = 2.0
"""They are not: as if the spread were so much larger."""
MAX_SHARE = 0.2
INFORMATIVE = 0.05
"""Of the information in the spread of the poses: directions with less are not known."""
FREED = 1e6


@dataclass(frozen=True, slots=True)
class PoseOutlier:
    """A pose that its matches contradict.

    Attributes:
        index: of the image in the map.
        distance: from the position in the map to the one asked for, map units.
        angle: between both rotations, radians.
        score: how many times as far as usual.
    """

    index: int
    distance: float
    angle: float
    score: float


def find_outliers(adjustment: Adjustment) -> list[PoseOutlier]:
    """Free the worst pose until none stands out; worst first."""
    count = len(adjustment.images)
    values, covariance = adjustment.values, adjustment.covariance
    freed: list[int] = []
    while len(freed) < max(2, MAX_SHARE * count):
        tests = [_Test.of(adjustment, values, covariance, place, freed) for place in range(count)]
        worst = max((p for p in range(count) if p not in freed), key=lambda p: tests[p].score)
        if tests[worst].score < 1.0:
            break
        freed.append(worst)
        values, covariance = _without_prior(adjustment, values, covariance, worst)
    tests = [_Test.of(adjustment, values, covariance, place, freed) for place in freed]
    outliers = [
        PoseOutlier(
            adjustment.images[place],
            float(np.linalg.norm(test.change[3:])),
            float(np.linalg.norm(test.change[:3])),
            test.score,
        )
        for place, test in zip(freed, tests, strict=True)
        if test.score >= 1.0
    ]
    return sorted(outliers, key=lambda outlier: -outlier.score)


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """How a pose compares with what its matches ask for.

    Attributes:
        score: root of the squared standardized difference, in units of its limit.
        change: (6,) what the matches ask for, as far as they know.
    """

    score: float
    change: Array

    @classmethod
    def of(
        cls, adjustment: Adjustment, values: Array, covariance: Array, place: int, freed: list[int]
    ) -> _Test:
        part = slice(POSE * place, POSE * (place + 1))
        spread = adjustment.prior_std
        information = np.linalg.inv(covariance[part, part] / spread / spread[:, None])
        asked = information @ (values[part] / spread)
        own = 1.0 / FREED if place in freed else 1.0
        amounts, axes = np.linalg.eigh(information - own * np.eye(POSE))
        known = amounts > INFORMATIVE
        if not known.any():
            return cls(0.0, np.zeros(POSE))
        amounts, axes = amounts[known], axes[:, known]
        change = (axes.T @ asked) / amounts
        square = float(np.sum(change**2 / (TAILS**2 + 1.0 / amounts)))
        alarms = FALSE_ALARMS / len(adjustment.images)
        limit = float(chi2.isf(alarms, known.sum()))
        return cls(np.sqrt(square / limit), spread * (axes @ change))


def _without_prior(
    adjustment: Adjustment, values: Array, covariance: Array, place: int
) -> tuple[Array, Array]:
    """Let a pose be as wrong as it likes (the identity of Woodbury)."""
    part = slice(POSE * place, POSE * (place + 1))
    removed = (1.0 - 1.0 / FREED) / adjustment.prior_std**2
    inner = np.linalg.inv(np.diag(1.0 / removed) - covariance[part, part])
    gain = covariance[:, part] @ inner
    return values + gain @ values[part], covariance + gain @ covariance[part]
