# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale, exponent and floors under which errors and covariances fit together.

Maximum likelihood under a multivariate t distribution, as which errors of a pose come: a few are
much larger than their neighbours, and would inflate all covariances under a normal distribution.
What is given to others is a covariance, which they take for a normal distribution's: it is made so
wide that its region of 95 % holds 95 % of the t distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import chi2, f, median_abs_deviation

from relloc_ros.geometry import Array
from relloc_ros.map.calibration import INLIERS
from relloc_ros.structures import CameraDeviation
from relloc_ros.wrong_camera import CALIBRATION_STD, FREEDOM, point_agreement

__all__ = ['LEAST_ERRORS', 'Fit', 'fit_camera_scale', 'fit_covariances', 'fit_point_agreement']

DIMENSIONS = 6
LEAST_ERRORS = 6
"""A scale and two floors cannot be told from fewer poses."""

LEVEL = 0.95
SCALE_DOUBT = 2.0
"""Standard deviation of the prior of the scale's logarithm."""
FLOOR_SHARE, FLOOR_DOUBT = 0.3, 0.7
"""The floors' prior: this share of the median error, with this doubt of its logarithm. A few
images that all have few inliers do not tell a floor, which those with many would need."""
EXPONENT_DOUBT = 0.15
"""Standard deviation of the exponent's prior, about the 1 of independent keypoints."""
STARTS = ((-2.0, 0.05), (1.0, 0.05), (-2.0, 0.5), (1.0, 0.5))
CAMERA_SCALES = (-14.0, 6.0)
"""Logarithms between which it is looked for."""
LEAST_AGREEMENT_STD = 0.3
"""Of the log odds: images held out that are much alike say little of others."""
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class Fit:
    """Scale, exponent and floors as in `relloc_ros.map.calibration.Calibration`."""

    scale: float
    inlier_exponent: float
    position_floor: float
    rotation_floor: float


def fit_covariances(
    errors: Array,
    covariances: Array,
    num_inliers: NDArray[np.intp],
    widenings: Array | None = None,
) -> Fit:
    """Find the scale, the exponent and the floors that make errors most likely.

    The scale counts for a pose with 100 inliers. Errors shrink with the number of inliers about as
    those of independent keypoints do, which the covariances of the localizers, for good reasons of
    their own, do not. With which power of the inliers is fitted, too.

    Covariances that fit few poses are too small for others. They are made wider by
    (N + p) / (N - p) for p parameters, as the final prediction error is (Akaike, "Fitting
    autoregressive models for prediction", 1969).

    Args:
        errors: (N, 6) position and rotation, as in `structures.PoseEstimate`.
        covariances: (N, 6, 6) of the localizer.
        num_inliers: (N,); zeros where it counts none.
        widenings: (N, 6, 6) added to them, whatever the scale, see `wrong_camera.widening`; None
            is nothing.

    Raises:
        ValueError: fewer than `LEAST_ERRORS`.
    """
    count = len(errors)
    if count < LEAST_ERRORS:
        raise ValueError(f'{count} errors, {LEAST_ERRORS} are needed')
    logs_of_shares = np.log(INLIERS / np.where(num_inliers > 0, num_inliers, INLIERS))
    if widenings is None:
        widenings = np.zeros_like(covariances)
    sizes = np.array(
        [np.median(np.linalg.norm(part, axis=1)) for part in (errors[:, :3], errors[:, 3:])]
    )
    logs = np.log(np.maximum(sizes, SMALLEST))

    def cost(parameters: Array) -> float:
        factors = np.exp(parameters[0] + parameters[1] * logs_of_shares)
        floors = np.diag(np.repeat(np.exp(2.0 * parameters[2:]), 3))
        matrices = factors[:, None, None] * covariances + floors + widenings
        return _surprise(errors, matrices) + _prior(parameters, logs)

    solutions = [
        minimize(
            cost,
            np.concatenate([[scale, 1.0], logs + np.log(share)]),
            method='Nelder-Mead',
            options={'maxiter': 3000, 'xatol': 1e-3, 'fatol': 1e-4},
        )
        for scale, share in STARTS
    ]
    scale, exponent, *floors = min(solutions, key=lambda solution: float(solution.fun)).x
    num_parameters = 4 if logs_of_shares.any() else 3
    widening = DIMENSIONS * f.ppf(LEVEL, DIMENSIONS, FREEDOM) / chi2.ppf(LEVEL, DIMENSIONS)
    widening *= (count + num_parameters) / (count - num_parameters)
    position, rotation = np.exp(floors) * np.sqrt(widening)
    return Fit(float(np.exp(scale) * widening), float(exponent), float(position), float(rotation))


def fit_camera_scale(deviations: Sequence[CameraDeviation]) -> float:
    """Find the scale that makes what images say of their camera most likely, 0 if they are few.

    The calibration of the map's own camera is taken for right up to `CALIBRATION_STD`.
    """
    if len(deviations) < LEAST_ERRORS:
        return 0.0
    values = np.array([each.values for each in deviations])
    covariances = np.array([each.covariance for each in deviations])
    floor = CALIBRATION_STD**2 * np.eye(values.shape[1])

    def cost(logarithm: float) -> float:
        scaled = np.exp(logarithm) * covariances + floor
        return _surprise(values, scaled) + 0.5 * (logarithm / SCALE_DOUBT) ** 2

    best = minimize_scalar(cost, bounds=CAMERA_SCALES, method='bounded')
    count = len(deviations)
    return float(np.exp(best.x) * (count + 1) / (count - 1))


def fit_point_agreement(deviations: Sequence[CameraDeviation]) -> tuple[float, float]:
    """Median and standard deviation of `wrong_camera.point_agreement`, both 0 if images are few.

    The standard deviation is that of a normal distribution with the median absolute deviation.
    """
    if len(deviations) < LEAST_ERRORS:
        return 0.0, 0.0
    values = np.array([point_agreement(each) for each in deviations])
    spread = float(median_abs_deviation(values, scale='normal'))
    return float(np.median(values)), max(spread, LEAST_AGREEMENT_STD)


def _surprise(errors: Array, matrices: Array) -> float:
    """Negative logarithm of the likelihood of errors (N, 6), but for a constant."""
    _, log_determinants = np.linalg.slogdet(matrices)
    solved = np.linalg.solve(matrices, errors[:, :, None])[:, :, 0]
    squares = np.einsum('ni,ni->n', errors, solved)
    tails = (FREEDOM + DIMENSIONS) * np.log1p(squares / FREEDOM)
    return 0.5 * float((log_determinants + tails).sum())


def _prior(parameters: Array, logs: Array) -> float:
    deviations = np.concatenate(
        [
            [parameters[0] / SCALE_DOUBT, (parameters[1] - 1.0) / EXPONENT_DOUBT],
            (parameters[2:] - logs - np.log(FLOOR_SHARE)) / FLOOR_DOUBT,
        ]
    )
    return 0.5 * float(deviations @ deviations)
