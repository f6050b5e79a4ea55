# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A pose that is not sure enough is not a pose."""

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.gating import gate
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import Localization, PoseEstimate, Status

SURE = np.diag([1e-4] * 3 + [1e-5] * 3)


def localization(covariance, translation=(1.0, 2.0, 3.0), agreement=None):
    pose = PoseEstimate(RigidTransform(np.eye(3), np.array(translation)), covariance)
    return Localization(
        Status.LOCALIZED, '', 5, 'essential', pose, num_inliers=40, agreement=agreement
    )


def test_a_sure_pose_passes_with_its_covariance_scaled():
    config = make_config(LocalizationConfig, {'covariance_scale': 4.0})
    result = gate(localization(SURE), config)
    assert result.localized
    np.testing.assert_allclose(result.camera_pose.covariance, 4.0 * SURE)
    assert result.num_inliers == 40


@pytest.mark.parametrize(
    ('index', 'value', 'setting'),
    [(1, 1.1, 'max_position_std'), (5, 0.05, 'max_orientation_std')],
)
def test_an_unsure_axis_is_gated(index, value, setting):
    covariance = SURE.copy()
    covariance[index, index] = value
    result = gate(localization(covariance), LocalizationConfig())
    assert result.status is Status.GATED
    assert result.camera_pose is None
    assert setting in result.reason
    assert gate(localization(covariance), make_config(LocalizationConfig, {setting: 0})).localized


def test_the_scale_counts_before_the_gate():
    config = make_config(LocalizationConfig, {'covariance_scale': 1e5})
    assert gate(localization(SURE), config).status is Status.GATED


@pytest.mark.parametrize(
    'covariance',
    [
        np.zeros((6, 6)),
        np.full((6, 6), np.nan),
        np.diag([1e-4] * 5 + [-1e-5]),
        np.diag([np.inf] * 6),
    ],
)
def test_a_covariance_that_is_none_is_gated(covariance):
    assert gate(localization(covariance), LocalizationConfig()).status is Status.GATED


def test_a_pose_that_is_not_finite_is_gated():
    result = gate(localization(SURE, (np.nan, 0.0, 0.0)), LocalizationConfig())
    assert result.status is Status.GATED


def test_failures_stay_as_they_are():
    failure = Localization(Status.NO_FEATURES, 'dark', 5, 'essential')
    assert gate(failure, LocalizationConfig()) is failure


def test_a_pose_gets_its_confidence():
    result = gate(localization(SURE, agreement=0.8), LocalizationConfig())
    assert result.localized
    assert 0.95 < result.confidence < 1.0


def test_a_doubtful_pose_is_gated_at_a_low_false_accept_rate_only():
    doubtful = localization(SURE, agreement=0.08)
    result = gate(doubtful, LocalizationConfig())
    assert result.status is Status.GATED
    assert result.camera_pose is None
    assert f'confidence {result.confidence:.3f}' in result.reason
    assert 'acceptance.max_false_accept_rate 0.002' in result.reason
    lenient = make_config(LocalizationConfig, {'acceptance.max_false_accept_rate': 1})
    assert gate(doubtful, lenient).localized
    assert gate(doubtful, lenient).confidence == result.confidence


def test_a_tolerance_that_the_covariance_does_not_promise_gates():
    sure = localization(SURE, agreement=0.8)
    wide = make_config(LocalizationConfig, {'acceptance.position_tolerance': 0.05})
    narrow = make_config(LocalizationConfig, {'acceptance.position_tolerance': 0.01})
    assert gate(sure, wide).localized
    assert gate(sure, narrow).status is Status.GATED
    assert gate(sure, narrow).confidence < gate(sure, wide).confidence
    turned = make_config(LocalizationConfig, {'acceptance.orientation_tolerance_deg': 0.1})
    assert gate(sure, turned).status is Status.GATED


def test_a_pose_without_agreement_has_no_confidence():
    result = gate(localization(SURE), LocalizationConfig())
    assert result.localized
    assert result.confidence is None
