# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The confidence of a pose rises with all that speaks for it, and says what share is within."""

from itertools import pairwise

import numpy as np
import pytest

from relloc_ros.confidence import RATES, least_confidence, rate, within
from relloc_ros.config import AcceptanceConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

POSE = PoseEstimate(RigidTransform.identity(), np.diag([1e-4] * 3 + [1e-5] * 3))
ANY = AcceptanceConfig()


def confidence(inliers=100, agreement=0.7, pose=POSE, wanted=ANY):
    return rate(agreement, inliers, pose, wanted)


def test_all_that_speaks_for_a_pose_raises_its_confidence():
    for name, values in {
        'inliers': (0, 6, 20, 50, 1000),
        'agreement': (0.0, 0.1, 0.3, 0.6, 1.0),
    }.items():
        confidences = [confidence(**{name: value}) for value in values]
        assert all(a < b for a, b in pairwise(confidences)), name
        assert 0.0 <= confidences[0] < 0.05
        assert confidences[-1] < 1.0


def test_good_support_is_believed():
    assert confidence() > 0.98


@pytest.mark.parametrize('variances', [(1.0, 1.0, 1.0), (4.0, 1.0, 0.25), (9.0, 0.01, 0.01)])
@pytest.mark.parametrize('tolerance', [1.0, 2.0, 4.0])
def test_the_share_within_a_tolerance_is_that_of_drawn_errors(variances, tolerance):
    scale = 0.63
    errors = np.random.default_rng(0).standard_normal((100_000, 3)) * np.sqrt(variances) * scale
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    share = np.mean(np.linalg.norm(errors, axis=1) <= tolerance)
    assert within(turn @ np.diag(variances) @ turn.T, tolerance) == pytest.approx(share, abs=0.015)


def test_no_error_is_within_any_tolerance():
    assert within(np.zeros((3, 3)), 0.1) == 1.0


def test_every_error_is_within_the_largest_tolerance():
    assert within(np.eye(3), 1e308) == 1.0
    assert within(1e-8 * np.eye(3), 1e308) == 1.0


def test_a_tolerance_costs_confidence():
    near = AcceptanceConfig(position_tolerance=0.01)
    far = AcceptanceConfig(position_tolerance=1.0)
    assert confidence(wanted=near) < 0.9 * confidence()
    assert confidence(wanted=far) == pytest.approx(confidence())
    turned = AcceptanceConfig(orientation_tolerance_deg=0.1)
    assert confidence(wanted=turned) < 0.5 * confidence()


def test_a_lower_rate_takes_more_confidence():
    rates, confidences = zip(*RATES, strict=True)
    assert list(rates) == sorted(rates)
    assert list(confidences) == sorted(confidences, reverse=True)
    for false_accepts, least in RATES:
        assert least_confidence(false_accepts) == pytest.approx(least)
    assert least_confidence(1.0) == 0.0
    between = least_confidence(np.sqrt(rates[0] * rates[1]))
    assert between == pytest.approx((confidences[0] + confidences[1]) / 2)
