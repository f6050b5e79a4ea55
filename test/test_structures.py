# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pipeline answers: a pose, or a status that says why not, never both."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import Localization, PoseEstimate, Status

POSE = PoseEstimate(
    RigidTransform.from_quat_xyzw((0.0, 0.0, 1.0, 0.0), (1.0, 2.0, 3.0)),
    np.diag([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
)


def test_status_prints_as_its_name() -> None:
    assert f'{Status.TOO_FEW_INLIERS}' == str(Status.TOO_FEW_INLIERS) == 'TOO_FEW_INLIERS'
    assert json.dumps({'status': Status.GATED}) == '{"status": "GATED"}'


def test_localized_and_pose_belong_together() -> None:
    with pytest.raises(ValueError, match='LOCALIZED does not fit camera_pose=None'):
        Localization(Status.LOCALIZED, '', 0, 'essential')
    with pytest.raises(ValueError, match='GATED does not fit'):
        Localization(Status.GATED, 'too uncertain', 0, 'essential', camera_pose=POSE)


def test_dictionary_of_a_pose() -> None:
    result = Localization(
        Status.LOCALIZED,
        '',
        17,
        'essential',
        camera_pose=POSE,
        num_matches=50,
        num_inliers=40,
        confidence=0.98765,
        timings_ms={'features': 12.0, 'total': 20.12345},
    )
    assert result.localized
    fields = json.loads(json.dumps(result.to_dict()))
    assert fields['status'] == 'LOCALIZED'
    assert fields['position'] == [1.0, 2.0, 3.0]
    assert fields['quat_xyzw'] == [0.0, 0.0, 1.0, 0.0]
    assert np.shape(fields['covariance']) == (6, 6)
    assert fields['covariance'][5][5] == 0.6
    assert (fields['stamp_ns'], fields['inliers'], fields['ms']) == (17, 40, 20.123)
    assert fields['confidence'] == 0.9877
    assert result.confidence_text == '0.988'


def test_dictionary_without_a_pose() -> None:
    result = Localization(Status.NO_FEATURES, 'the image is black', 17, 'essential')
    assert not result.localized
    fields = json.loads(json.dumps(result.to_dict()))
    assert fields['position'] is None
    assert fields['confidence'] is None
    assert result.confidence_text == ''
    assert fields['quat_xyzw'] is None
    assert fields['covariance'] is None
    assert fields['reason'] == 'the image is black'
    assert fields['ms'] == 0.0
