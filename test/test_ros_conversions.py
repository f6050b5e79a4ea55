# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages: stamps, frames, order of quaternion and covariance."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.frames import stamp_to_ns, transform_from_message, transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.conversions import (
    diagnostic_message,
    pose_message,
    time_message,
    transform_message,
)
from relloc_ros.structures import PoseEstimate

TRANSFORM = RigidTransform(exp_so3(np.array([0.3, -0.2, 0.5])), np.array([1.0, 2.0, 3.0]))
STAMP_NS = 1_341_847_983_738_736_001


def test_stamps_keep_their_nanoseconds() -> None:
    assert stamp_to_ns(time_message(STAMP_NS)) == STAMP_NS


def test_pose_and_covariance() -> None:
    covariance = np.arange(36.0).reshape(6, 6)
    message = pose_message(PoseEstimate(TRANSFORM, covariance), STAMP_NS, 'map')
    assert message.header.frame_id == 'map'
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert np.allclose(transform_from_pose(message.pose.pose).matrix, TRANSFORM.matrix)
    assert np.array_equal(np.reshape(message.pose.covariance, (6, 6)), covariance)


def test_transform() -> None:
    message = transform_message('map', 'odom', STAMP_NS, TRANSFORM)
    assert (message.header.frame_id, message.child_frame_id) == ('map', 'odom')
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert np.allclose(transform_from_message(message.transform).matrix, TRANSFORM.matrix)


def test_diagnostic() -> None:
    message = diagnostic_message(STAMP_NS, 'node: frame', DiagnosticStatus.WARN, 'so', {'n': 3})
    (status,) = message.status
    assert (status.name, status.level, status.message) == ('node: frame', b'\x01', 'so')
    assert [(item.key, item.value) for item in status.values] == [('n', '3')]
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
