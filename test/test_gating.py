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


def localization(covariance, translation=(1.0, 2.0, 3.0)):
    pose = PoseEstimate(RigidTransform(np.eye(3), np.array(translation)), covariance)
    return Localization(Status.LOCALIZED, '', 5, 'essential', pose, num_inliers=40)


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
