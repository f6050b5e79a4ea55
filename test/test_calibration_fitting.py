# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale and floors from errors of known covariance."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy.stats import chi2

from relloc_ros.evaluation.calibration.fitting import (
    LEAST_ERRORS,
    fit_camera_scale,
    fit_covariances,
    fit_point_agreement,
)
from relloc_ros.structures import CameraDeviation
from relloc_ros.wrong_camera import CALIBRATION_STD

SCALE, POSITION_FLOOR, ROTATION_FLOOR = 3.0, 0.01, 0.002
UNITS = np.repeat([0.01, 0.002], 3)


def draw(count, seed, outliers=0.0, scale=SCALE, exponent=1.0):
    """Draw errors of covariance scale (100 / inliers)^exponent S + floors, and some outliers.

    Those are ten times larger.

    Returns:
        Errors, the localizer's covariances S, inliers, true covariances.
    """
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(count, 6, 6)) + 2.0 * np.eye(6)
    sizes = np.exp(rng.normal(size=count))
    covariances = (roots @ roots.transpose(0, 2, 1)) * np.outer(UNITS, UNITS) / 10.0
    covariances *= sizes[:, None, None]
    inliers = rng.integers(20, 800, size=count)
    floors = np.diag(np.repeat([POSITION_FLOOR**2, ROTATION_FLOOR**2], 3))
    true = scale * ((100.0 / inliers) ** exponent)[:, None, None] * covariances + floors
    errors = np.einsum('nij,nj->ni', np.linalg.cholesky(true), rng.normal(size=(count, 6)))
    errors[rng.random(count) < outliers] *= 10.0
    return errors, covariances, inliers, true


def calibrated(fit, covariances, inliers):
    floors = np.diag(np.repeat([fit.position_floor**2, fit.rotation_floor**2], 3))
    factors = fit.scale * (100.0 / inliers) ** fit.inlier_exponent
    return factors[:, None, None] * covariances + floors


def nees(errors, covariances):
    return np.einsum('ni,ni->n', errors, np.linalg.solve(covariances, errors[..., None])[..., 0])


@pytest.mark.parametrize('outliers', [0.0, 0.03])
def test_finds_scale_and_floors(outliers):
    fit = fit_covariances(*draw(300, 1, outliers)[:3])
    # Wider than a normal distribution's by what the t distribution's 95 % ask for.
    assert SCALE < fit.scale < 2.2 * SCALE
    assert POSITION_FLOOR < fit.position_floor < 1.5 * POSITION_FLOOR
    assert ROTATION_FLOOR < fit.rotation_floor < 1.5 * ROTATION_FLOOR


@pytest.mark.parametrize('count', [15, 30, 120])
@pytest.mark.parametrize('outliers', [0.0, 0.03])
def test_covers_errors_that_it_has_not_seen(count, outliers):
    inside, medians = [], []
    for seed in range(4):
        fit = fit_covariances(*draw(count, seed, outliers)[:3])
        errors, covariances, inliers, _ = draw(400, 100 + seed)
        found = nees(errors, calibrated(fit, covariances, inliers))
        inside.append(np.mean(found <= chi2.ppf(0.95, 6)))
        medians.append(np.median(found))
    assert np.mean(inside) > 0.93
    assert 2.0 < np.mean(medians) < 6.0


def test_outliers_do_not_inflate():
    clean = fit_covariances(*draw(120, 5)[:3])
    dirty = fit_covariances(*draw(120, 5, outliers=0.05)[:3])
    assert dirty.scale < 2.0 * clean.scale
    assert dirty.position_floor < 2.0 * clean.position_floor


def test_covariances_that_are_too_large_shrink():
    errors, covariances, inliers, _ = draw(200, 2, scale=0.05)
    assert fit_covariances(errors, covariances, inliers).scale < 0.2


def test_without_inliers():
    errors, covariances, inliers, _ = draw(200, 3)
    as_they_are = (100.0 / inliers)[:, None, None] * covariances
    none = np.zeros(len(inliers), dtype=int)
    fit = astuple(fit_covariances(errors, as_they_are, none))
    expected = astuple(fit_covariances(errors, covariances, inliers))
    # Of the second, the power of the inliers is fitted as well.
    np.testing.assert_allclose(fit, expected, rtol=5e-2)


@pytest.mark.parametrize('exponent', [0.7, 1.0, 1.4])
def test_finds_the_power_of_the_inliers(exponent):
    fit = fit_covariances(*draw(300, 6, exponent=exponent)[:3])
    assert fit.inlier_exponent == pytest.approx(exponent, abs=0.15)


def test_few_images_do_not_tell_the_power_of_the_inliers():
    for seed in range(5):
        fit = fit_covariances(*draw(10, seed)[:3])
        assert fit.inlier_exponent == pytest.approx(1.0, abs=0.3)


def test_without_inliers_the_power_is_one():
    errors, covariances, inliers, _ = draw(50, 3)
    fit = fit_covariances(errors, covariances, np.zeros(len(inliers), dtype=int))
    assert fit.inlier_exponent == pytest.approx(1.0, abs=0.01)


def test_too_few():
    with pytest.raises(ValueError, match='5 errors, 6 are needed'):
        fit_covariances(*draw(5, 4)[:3])


def deviations_of(scale, count, seed, outliers=0.0):
    """Draw what images say of a camera that is as well calibrated as `CALIBRATION_STD` says."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        root = 0.01 * np.exp(rng.normal()) * (rng.normal(size=(6, 6)) + 2.0 * np.eye(6))
        covariance = root @ root.T
        true = scale * covariance + CALIBRATION_STD**2 * np.eye(6)
        values = np.linalg.cholesky(true) @ rng.normal(size=6)
        values *= 10.0 if rng.random() < outliers else 1.0
        shift = np.zeros(6), np.zeros((6, 6))
        found.append(CameraDeviation(values, covariance, 300, 0.1, *shift, 400, 300))
    return found


@pytest.mark.parametrize('scale', [0.03, 0.5, 4.0])
@pytest.mark.parametrize('outliers', [0.0, 0.03])
def test_finds_the_scale_of_what_images_say_of_their_camera(scale, outliers):
    assert fit_camera_scale(deviations_of(scale, 200, 3, outliers)) == pytest.approx(
        scale, rel=0.3
    )


def test_few_images_say_nothing_of_that_scale():
    assert fit_camera_scale(deviations_of(1.0, LEAST_ERRORS - 1, 4)) == 0.0
    assert fit_camera_scale(deviations_of(1.0, LEAST_ERRORS, 4)) > 0.0


def test_agreement_of_images_held_out():
    rng = np.random.default_rng(5)
    alike = deviations_of(1.0, 101, 5)
    assert fit_point_agreement(alike) == pytest.approx((np.log(301 / 101), 0.3))
    log_odds = rng.normal(1.0, 0.8, 101)
    log_odds[:10] = -20.0
    different = [
        replace(each, num_seen=100_000, num_agreeing=round(100_000 / (1.0 + np.exp(-value))))
        for each, value in zip(alike, log_odds, strict=True)
    ]
    median, std = fit_point_agreement(different)
    assert median == pytest.approx(np.median(log_odds), abs=0.01)
    assert std == pytest.approx(0.85, abs=0.2)
    assert fit_point_agreement(alike[: LEAST_ERRORS - 1]) == (0.0, 0.0)


def test_what_a_doubted_camera_adds_is_not_scaled():
    errors, covariances, inliers = draw(300, 8)[:3]
    widenings = np.zeros_like(covariances)
    rows = np.arange(0, 300, 4)
    widenings[rows] = np.diag(100.0 * np.repeat([POSITION_FLOOR**2, ROTATION_FLOOR**2], 3))
    more = np.random.default_rng(9).normal(size=(len(rows), 6))
    errors[rows] += 10.0 * np.repeat([POSITION_FLOOR, ROTATION_FLOOR], 3) * more
    with_them = fit_covariances(errors, covariances, inliers, widenings)
    without = fit_covariances(errors, covariances, inliers)
    assert POSITION_FLOOR < with_them.position_floor < 1.5 * POSITION_FLOOR
    assert without.position_floor > 1.5 * with_them.position_floor
