# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NEES and coverage of covariances that are true, too small and too large."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relloc_ros.evaluation.metrics import normalized_error
from relloc_ros.evaluation.uncertainty import (
    covariance_statistics,
    normalized_errors,
    reliability_curve,
)
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PoseEstimate

COUNT = 2000


def sampled(scale=1.0, seed=0):
    """Poses whose covariance is `scale` times the true one."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(6, 6)) * 0.03
    covariance = factor @ factor.T + 1e-5 * np.eye(6)
    estimates, truths = [], []
    for error in rng.multivariate_normal(np.zeros(6), covariance, size=COUNT):
        pose = RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))
        estimates.append(PoseEstimate(pose, scale * covariance))
        truths.append(
            RigidTransform(exp_so3(error[3:]) @ pose.rotation, pose.translation + error[:3])
        )
    return normalized_errors(estimates, truths)


@pytest.fixture(scope='module')
def true_errors():
    return sampled()


def test_a_true_covariance_has_the_mean_of_its_degrees_of_freedom(true_errors):
    statistics = covariance_statistics(true_errors)
    assert statistics['count'] == COUNT
    for part, freedom in (('pose', 6), ('position', 3), ('rotation', 3)):
        assert statistics[part]['degrees_of_freedom'] == freedom
        assert statistics[part]['mean_nees'] == pytest.approx(freedom, rel=0.06)


def test_a_true_covariance_covers_what_it_says(true_errors):
    statistics = covariance_statistics(true_errors)
    for part in ('pose', 'position', 'rotation'):
        assert list(statistics[part]['coverage']) == ['50%', '90%', '95%', '99%']
        for level, expected in (('50%', 0.5), ('90%', 0.9), ('95%', 0.95), ('99%', 0.99)):
            assert statistics[part]['coverage'][level] == pytest.approx(expected, abs=0.035)
            low, high = statistics[part]['coverage_intervals'][level]
            assert low - 0.01 <= expected <= high + 0.01
            assert low < statistics[part]['coverage'][level] < high


@pytest.mark.parametrize(('scale', 'sign'), [(0.25, -1), (4.0, 1)])
def test_wrong_covariances_are_found_out(scale, sign):
    errors = sampled(scale)
    statistics = covariance_statistics(errors)
    assert statistics['pose']['mean_nees'] == pytest.approx(6 / scale, rel=0.06)
    for part, freedom in (('pose', 6), ('position', 3), ('rotation', 3)):
        assert sign * (statistics[part]['coverage']['50%'] - 0.5) > 0.2
        curve = reliability_curve(errors.parts()[part][0], freedom)
        assert (sign * (curve.observed - curve.expected) > -0.01).all()


def test_the_curve_of_a_true_covariance_is_the_diagonal(true_errors):
    for values, freedom in true_errors.parts().values():
        curve = reliability_curve(values, freedom)
        assert np.abs(curve.observed - curve.expected).max() < 0.04
        assert (np.diff(curve.expected) > 0).all()
        assert (np.diff(curve.observed) >= 0).all()


def test_parts_know_only_their_block():
    covariance = np.eye(6)
    covariance[0, 3] = covariance[3, 0] = 0.5
    estimate = PoseEstimate(RigidTransform.identity(), covariance)
    truth = RigidTransform(exp_so3(np.array([0.0, 0.3, 0.0])), np.array([2.0, 0.0, 0.0]))
    errors = normalized_errors([estimate], [truth])
    assert errors.position == pytest.approx([4.0])
    assert errors.rotation == pytest.approx([0.09])
    assert errors.pose[0] == pytest.approx(normalized_error(estimate, truth))
    assert errors.pose[0] == pytest.approx(4.0 / 0.75 + 0.09)


def test_poses_without_covariance_are_left_out():
    known = PoseEstimate(RigidTransform.identity(), np.eye(6))
    unknown = PoseEstimate(RigidTransform.identity(), np.full((6, 6), np.nan))
    errors = normalized_errors([known, unknown], [RigidTransform.identity()] * 2)
    assert len(errors.pose) == 1


def test_nothing():
    errors = normalized_errors([], [])
    statistics = covariance_statistics(errors)
    assert statistics['count'] == 0
    assert statistics['pose']['mean_nees'] is None
    assert set(statistics['pose']['coverage'].values()) == {None}
    assert reliability_curve(errors.pose, 6) is None
    json.dumps(statistics, allow_nan=False)
