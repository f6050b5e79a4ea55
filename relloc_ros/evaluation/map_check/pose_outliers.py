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

__all__ = ['PoseOutlier', 'find_outliers', 'noticeable']

FALSE_ALARMS = 1e-3
"""Of a whole map, were the errors of its poses normal."""
TAILS = 1.5
"""They are not: as if the spread were so much larger."""
MAX_SHARE = 0.2
INFORMATIVE = 0.05
"""Of the information about a pose when its matches say all: directions with less are not known."""


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
    tests = _Tests(adjustment)
    freed: list[int] = []
    while len(freed) < max(2, MAX_SHARE * count):
        scores = {p: tests.of(p, freed)[0] for p in range(count) if p not in freed}
        worst = max(scores, key=lambda place: scores[place])
        if scores[worst] < 1.0:
            break
        freed.append(worst)
    outliers = []
    for place in freed:
        score, change = tests.of(place, [other for other in freed if other != place])
        if score >= 1.0:
            shift, turn = np.linalg.norm(change[3:]), np.linalg.norm(change[:3])
            outliers.append(
                PoseOutlier(adjustment.images[place], float(shift), float(turn), score)
            )
    return sorted(outliers, key=lambda outlier: -outlier.score)


def noticeable(adjustment: Adjustment) -> tuple[float, float]:
    """Shift, map units, and turn, radians, from which on poses with good matches stand out."""
    alarms = FALSE_ALARMS / len(adjustment.images)
    factor = TAILS * float(np.sqrt(chi2.isf(alarms, POSE)))
    return factor * adjustment.shift_std, factor * adjustment.turn_std


class _Tests:
    """Score tests: would the matches agree much better if one pose were anything at all?

    With prior information Q of the errors of poses, their estimates x and covariance C, the
    gradient by such a freedom is Q x, and its covariance Q - Q C Q.
    """

    def __init__(self, adjustment: Adjustment) -> None:
        size = POSE * len(adjustment.images)
        information = adjustment.prior_information
        self.spread = adjustment.prior_std
        self.alarms = FALSE_ALARMS / len(adjustment.images)
        self.information = information
        self.gradient: Array = information @ adjustment.values[:size]
        covariance = adjustment.covariance[:size, :size]
        self.covariance: Array = information - information @ covariance @ information

    def of(self, place: int, freed: list[int]) -> tuple[float, Array]:
        """Score of a pose in units of its limit, and the change (6,) that its matches ask for.

        Args:
            place: of the pose.
            freed: places of others that may be anything.
        """
        own = np.arange(POSE * place, POSE * (place + 1))
        gradient, covariance = self.gradient[own], self.covariance[np.ix_(own, own)]
        if freed:
            others = (POSE * np.array(freed)[:, None] + np.arange(POSE)).ravel()
            across = self.covariance[np.ix_(own, others)]
            gain = across @ np.linalg.pinv(self.covariance[np.ix_(others, others)])
            gradient = gradient - gain @ self.gradient[others]
            covariance = covariance - gain @ across.T
        unit = 1.0 / np.sqrt(np.diag(self.information)[own])
        amounts, axes = np.linalg.eigh(covariance * unit * unit[:, None])
        known = amounts > INFORMATIVE
        if not known.any():
            return 0.0, np.zeros(POSE)
        change = (axes.T @ (unit * gradient))[known] / amounts[known]
        square = float(np.sum(change**2 * amounts[known]))
        limit = TAILS**2 * float(chi2.isf(self.alarms, known.sum()))
        return float(np.sqrt(square / limit)), unit * (axes[:, known] @ change)
