# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with fusion: what it publishes, and what it says where odometry is missing."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from ros_harness import BASE_FROM_CAM, NS, Harness, values

from relloc_ros.config import TrackingConfig, make_config
from relloc_ros.frames import base_pose, transform_from_message, transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation, Tracker

START_NS = 1_000 * NS
MAP_FROM_ODOM = RigidTransform(exp_so3(np.array([0.0, 0.0, 0.7])), np.array([4.0, 1.0, 0.0]))
NOISE = 0.02
STUB_COVARIANCE = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-4
TRACKING: dict[str, Any] = {
    'fusion': 'pgo',
    'consensus_count': 1,
    'mahalanobis_threshold': 1e12,
}


@pytest.fixture
def gtsam() -> Any:
    return pytest.importorskip('gtsam', reason='extra fusion')


def odom_from_base(index: int) -> RigidTransform:
    return RigidTransform(
        exp_so3(np.array([0.0, 0.0, 0.04 * index])), np.array([0.1 * index, 0.02 * index, 0.0])
    )


def seen(index: int) -> RigidTransform:
    """map_from_base as the images say it: off by 2 cm, each time to the other side."""
    truth = MAP_FROM_ODOM @ odom_from_base(index)
    side = NOISE * (-1) ** index
    return RigidTransform(truth.rotation, truth.translation + np.array([side, side, 0.0]))


def drive(harness: Harness, count: int) -> None:
    """Send images, each with its odometry, to a node that is started."""
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    for index in range(count):
        stamp_ns = START_NS + index * NS // 5
        harness.robot.send_odometry(stamp_ns, odom_from_base(index))
        harness.spin(0.05)
        harness.stub.map_from_cam = seen(index) @ BASE_FROM_CAM
        harness.localize(stamp_ns)


def expected(count: int) -> list[PoseEstimate]:
    """Let a tracker here do what the node's does."""
    tracker, poses = Tracker(make_config(TrackingConfig, TRACKING)), []
    for index in range(count):
        camera_pose = PoseEstimate(seen(index) @ BASE_FROM_CAM, STUB_COVARIANCE)
        pose = base_pose(camera_pose, BASE_FROM_CAM)
        stamp_ns = START_NS + index * NS // 5
        fused = tracker.update(Observation(stamp_ns, pose, odom_from_base(index))).fused
        assert fused is not None
        poses.append(fused)
    return poses


def test_pose_and_map_to_odom_are_those_of_fusion(ros: None, gtsam: Any) -> None:
    with Harness(max_rate=0.0, **TRACKING) as harness:
        drive(harness, 6)
        harness.spin_until(lambda: len(harness.robot.poses) == 6)
        for index, (message, fused) in enumerate(
            zip(harness.robot.poses, expected(6), strict=True)
        ):
            found = transform_from_pose(message.pose.pose)
            assert np.allclose(found.matrix, fused.map_from_body.matrix, atol=1e-7)
            covariance = np.reshape(message.pose.covariance, (6, 6))
            assert np.allclose(covariance, fused.covariance, atol=1e-9)
            assert (np.abs(found.translation - seen(index).translation)[:2].max() > 1e-3) == (
                index > 0
            )
        correction = transform_from_message(harness.robot.corrections[-1].transform)
        wanted = fused.map_from_body @ odom_from_base(5).inverse()
        assert np.allclose(correction.matrix, wanted.matrix, atol=1e-7)


def test_a_robot_on_the_plane_stays_on_it(ros: None, gtsam: Any) -> None:
    with Harness(max_rate=0.0, two_d_mode=True, **TRACKING) as harness:
        drive(harness, 4)
        harness.spin_until(lambda: len(harness.robot.poses) == 4)
        for message in harness.robot.poses:
            position, turn = message.pose.pose.position, message.pose.pose.orientation
            assert (position.z, turn.x, turn.y) == (0.0, 0.0, 0.0)


def test_images_without_odometry_give_no_pose(ros: None, gtsam: Any) -> None:
    with Harness(max_rate=0.0, tf_mode='none', transform_timeout=0.05, **TRACKING) as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.1)
        harness.localize(START_NS)
        said = values(harness.robot.frames[-1].status[0])
        assert said['accepted'] == 'false'
        assert said['reason'] == 'no odometry at its time, which fusion: pgo needs'
        assert harness.robot.poses == []
        harness.spin_until(lambda: 'odom TF missing' in harness.next_diagnostic().message)


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'tf_mode': 'map_to_base'}, 'tf_mode: map_to_base leaves no room'),
        ({'odom_frame_id': ''}, "odom_frame_id '' is no frame of its own"),
        ({'odom_frame_id': 'base_link'}, "odom_frame_id 'base_link' is no frame of its own"),
    ],
)
def test_without_room_for_odometry_it_is_not_configured(
    ros: None, parameters: dict[str, Any], reason: str
) -> None:
    with Harness(**TRACKING, **parameters) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        status = harness.next_diagnostic()
        assert status.level == DiagnosticStatus.ERROR
        assert 'fusion: pgo needs odometry' in status.message
        assert reason in status.message
        assert harness.stub.closed.is_set()


def test_without_gtsam_it_is_not_configured(ros: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'gtsam', None)
    with Harness(**TRACKING) as harness:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert 'pip install gtsam' in harness.next_diagnostic().message
