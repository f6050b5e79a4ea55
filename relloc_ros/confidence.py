# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How probable it is that a pose is right.

Wrong is a pose that is further from the truth than five standard deviations of its covariance or,
where a tolerance is set, than that. The probability rises with the inliers, of which each counts
as much as the share of all matches that agree with the pose, and with how much of the covariance
lies within the tolerance. It is fitted to images with known poses and to images of other places,
by benchmarks/fit_confidence.py; docs/acceptance.md says how well that holds on sets that the fit
has not seen.
"""

from __future__ import annotations

import math

import numpy as np

from relloc_ros.config import AcceptanceConfig
from relloc_ros.geometry import Array
from relloc_ros.structures import PoseEstimate

__all__ = ['RATES', 'least_confidence', 'rate', 'within']


CEILING = 0.9977
"""Of the confidence, however much supports a pose."""
HALF = 4.33
"""Inliers times agreement of a pose that is as often wrong as right."""
STEEPNESS = 2.09
"""Exponent with which the odds rise with them."""

ERROR_SCALE = 0.63
"""Errors are smaller than calibrated standard deviations: these have to cover the largest, too."""

RATES = ((0.001, 0.985), (0.002, 0.87), (0.005, 0.65), (0.01, 0.0))
"""False-accept rates, and the least confidence that keeps to them."""


def rate(
    agreement: float, num_inliers: int, pose: PoseEstimate, wanted: AcceptanceConfig
) -> float:
    """Give the probability, 0 to 1, that a pose is right.

    Args:
        agreement: as in `Localization`.
        num_inliers: distinct query keypoints that support it.
        pose: with calibrated covariance.
        wanted: how near to the truth it has to be.
    """
    odds = (num_inliers * agreement / HALF) ** STEEPNESS
    probability = CEILING * odds / (1.0 + odds)
    if wanted.position_tolerance:
        probability *= within(pose.covariance[:3, :3], wanted.position_tolerance)
    if wanted.orientation_tolerance_deg:
        tolerance = math.radians(wanted.orientation_tolerance_deg)
        probability *= within(pose.covariance[3:, 3:], tolerance)
    return probability


def within(covariance: Array, tolerance: float) -> float:
    """Give the probability that an error (3,) of a covariance (3, 3) is shorter than a tolerance.

    The squared length has the mean and the variance of a multiple of a chi-squared variable, not
    always of a whole number of degrees of freedom; its cube root is nearly normal (Wilson and
    Hilferty 1931).
    """
    variances = np.linalg.eigvalsh(covariance) * ERROR_SCALE**2
    total, squares = float(variances.sum()), float((variances**2).sum())
    if total <= 0.0:
        return 1.0
    spread = 2.0 / 9.0 * squares / total**2
    # The square of a large tolerance is no number any more.
    root = (tolerance / math.sqrt(total)) ** (2.0 / 3.0)
    deviation = (root - (1.0 - spread)) / math.sqrt(spread)
    return 0.5 * (1.0 + math.erf(deviation / math.sqrt(2.0)))


def least_confidence(false_accept_rate: float) -> float:
    """Give the confidence that keeps to a false-accept rate, between those that were measured.

    Args:
        false_accept_rate: share of all queries, whether they show the place or not.
    """
    rates, confidences = zip(*RATES, strict=True)
    return float(np.interp(math.log(false_accept_rate), np.log(rates), confidences))
