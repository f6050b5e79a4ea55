# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors, medians, recall, NEES and latency against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relloc_ros.evaluation.metrics import (
    error_statistics,
    latency_statistics,
    measure_error,
    normalized_error,
)
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PoseEstimate

INF = (math.inf, math.inf)


def random_pose(rng):
    return RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))


def test_error_is_distance_and_angle_in_degrees():
    truth = RigidTransform.identity()
    pose = RigidTransform(exp_so3(np.array([0.0, math.radians(30.0), 0.0])), np.array([3.0, 4, 0]))
    distance, angle = measure_error(PoseEstimate(pose, np.eye(6)), truth)
    assert distance == pytest.approx(5.0)
    assert angle == pytest.approx(30.0)


def test_no_pose_is_infinitely_wrong():
    assert measure_error(None, RigidTransform.identity()) == INF


@pytest.mark.parametrize('seed', range(10))
def test_errors_do_not_depend_on_the_map_frame(seed):
    rng = np.random.default_rng(seed)
    truth, pose, other_from_map = random_pose(rng), random_pose(rng), random_pose(rng)
    here = measure_error(PoseEstimate(pose, np.eye(6)), truth)
    there = measure_error(PoseEstimate(other_from_map @ pose, np.eye(6)), other_from_map @ truth)
    assert there == pytest.approx(here)


def test_medians_over_all_and_over_the_localized():
    figures = error_statistics([(0.01, 1.0), (0.03, 3.0), (0.02, 2.0), INF])
    assert figures['median_position_error_m'] == pytest.approx(0.025)
    assert figures['median_rotation_error_deg'] == pytest.approx(2.5)
    assert figures['localized_median_position_error_m'] == pytest.approx(0.02)
    assert figures['localized_median_rotation_error_deg'] == pytest.approx(2.0)


def test_the_median_is_null_once_half_of_the_queries_fail():
    figures = error_statistics([(0.01, 1.0), INF])
    assert figures['median_position_error_m'] is None
    assert figures['median_rotation_error_deg'] is None
    assert figures['localized_median_position_error_m'] == pytest.approx(0.01)


def test_recall_needs_both_and_includes_the_threshold():
    figures = error_statistics([(0.05, 5.0), (0.04, 5.1), (0.3, 0.1), (0.01, 0.5), INF])
    assert figures['recall'] == {
        '0.05m_5deg': pytest.approx(2 / 5),
        '0.1m_1deg': pytest.approx(1 / 5),
        '0.25m_2deg': pytest.approx(1 / 5),
        '0.5m_5deg': pytest.approx(3 / 5),
        '5m_10deg': pytest.approx(4 / 5),
    }


@pytest.mark.parametrize('errors', [[], [INF, INF]])
def test_nothing_localized_gives_nulls_not_crashes(errors):
    figures = error_statistics(errors)
    assert figures['median_position_error_m'] is None
    assert figures['localized_median_position_error_m'] is None
    assert set(figures['recall'].values()) == {0.0 if errors else None}


@pytest.mark.parametrize('seed', range(5))
def test_medians_do_not_depend_on_the_order(seed):
    rng = np.random.default_rng(seed)
    errors = [*map(tuple, rng.uniform(size=(8, 2))), INF, INF]
    shuffled = [errors[i] for i in rng.permutation(len(errors))]
    assert error_statistics(errors) == error_statistics(shuffled)


def test_nees_of_a_single_axis():
    covariance = np.diag([0.01, 1.0, 1.0, 1.0, 1.0, 0.04])
    pose = PoseEstimate(RigidTransform.identity(), covariance)
    moved = RigidTransform(np.eye(3), np.array([0.2, 0.0, 0.0]))
    turned = RigidTransform(exp_so3(np.array([0.0, 0.0, 0.4])), np.zeros(3))
    assert normalized_error(pose, moved) == pytest.approx(4.0)
    assert normalized_error(pose, turned) == pytest.approx(4.0)


def test_nees_averages_six_where_the_covariance_is_true():
    rng = np.random.default_rng(1)
    factor = rng.normal(size=(6, 6)) * 0.02
    covariance = factor @ factor.T + 1e-5 * np.eye(6)
    pose = random_pose(rng)
    values = []
    for error in rng.multivariate_normal(np.zeros(6), covariance, size=3000):
        # What Covariance means: true = Exp(error) applied to the estimate.
        truth = RigidTransform(exp_so3(error[3:]) @ pose.rotation, pose.translation + error[:3])
        values.append(normalized_error(PoseEstimate(pose, covariance), truth))
    assert np.mean(values) == pytest.approx(6.0, abs=0.3)


def test_latency_percentiles_leave_out_what_was_never_processed():
    timings = [{'features': float(i), 'total': 10.0 * i} for i in range(1, 6)]
    timings += [{}, {'total': 60.0, 'matching': 5.0}]
    figures = latency_statistics(timings)
    assert figures['p50'] == pytest.approx(35.0)
    assert figures['p95'] == pytest.approx(57.5)
    assert figures['p99'] == pytest.approx(59.5)
    assert figures['max'] == pytest.approx(60.0)
    assert figures['stages'] == {'features': 3.0, 'matching': 5.0}
    assert figures['stages_p95'] == {'features': pytest.approx(4.8), 'matching': 5.0}


def test_latency_of_nothing():
    figures = latency_statistics([])
    assert {key: figures[key] for key in ('p50', 'p95', 'p99', 'max')} == dict.fromkeys(
        ('p50', 'p95', 'p99', 'max')
    )
    assert figures['stages'] == figures['stages_p95'] == {}
