# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TF and poses beyond the plain case: slow corrections, the plane, silence, a parked robot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from ros_harness import BASE_FROM_CAM, NS, Harness, now_ns, values

from relloc_ros.frames import stamp_to_ns, transform_from_message, transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error


def planar(x: float, y: float, heading: float) -> RigidTransform:
    return RigidTransform(exp_so3(np.array([0.0, 0.0, heading])), np.array([x, y, 0.0]))


@contextmanager
def active(**parameters: Any) -> Iterator[Harness]:
    """An active node that takes every pose, with odometry that says the robot stands still."""
    with Harness(
        max_rate=0.0,
        transform_timeout=0.05,
        consensus_count=1,
        mahalanobis_threshold=1e6,
        **parameters,
    ) as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.1)
        yield harness


def see(harness: Harness, map_from_base: RigidTransform, odom_from_base: RigidTransform) -> int:
    """Let the camera see the robot somewhere; returns the stamp of the image."""
    harness.stub.map_from_cam = map_from_base @ BASE_FROM_CAM
    stamp_ns = now_ns()
    harness.robot.send_odometry(stamp_ns - NS // 100, odom_from_base)
    harness.robot.send_odometry(stamp_ns + NS // 100, odom_from_base)
    harness.spin(0.1)
    harness.localize(stamp_ns)
    return stamp_ns


def map_from_base(harness: Harness, odom_from_base: RigidTransform) -> RigidTransform:
    """Where TF says the robot is."""
    return transform_from_message(harness.robot.corrections[-1].transform) @ odom_from_base


ODOM = planar(30.0, -40.0, 2.0)


def test_stamps_are_those_of_now_and_the_tolerance(ros: None) -> None:
    with active(transform_tolerance=0.5) as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.robot.corrections.clear()
        harness.spin_until(lambda: len(harness.robot.corrections) >= 3)
        ahead_s = (stamp_to_ns(harness.robot.corrections[-1].header.stamp) - now_ns()) / NS
        assert 0.2 < ahead_s <= 0.5


def test_a_limited_correction_takes_its_time(ros: None) -> None:
    with active(correction_speed=0.5, correction_turn_rate=0.5, tf_publish_rate=50.0) as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.spin_until(lambda: harness.robot.corrections)
        assert pose_error(map_from_base(harness, ODOM), planar(1.0, 2.0, 0.3))[0] < 1e-6
        harness.robot.corrections.clear()
        start_s = time.monotonic()
        see(harness, planar(1.3, 2.4, 0.3), ODOM)
        harness.spin_until(
            lambda: pose_error(map_from_base(harness, ODOM), planar(1.3, 2.4, 0.3))[0] < 1e-6
        )
        assert time.monotonic() - start_s > 0.8
        places = [
            (transform_from_message(item.transform) @ ODOM).translation
            for item in harness.robot.corrections
        ]
        on_the_way = [p for p in places if 1.0 + 1e-6 < p[0] < 1.3 - 1e-6]
        assert len(on_the_way) >= 5
        for place in on_the_way:
            assert (place[1] - 2.0) / (place[0] - 1.0) == pytest.approx(4.0 / 3.0, abs=1e-6)


def test_without_limits_a_correction_is_taken_at_once(ros: None) -> None:
    with active() as harness:
        for x in (1.0, 1.4):
            see(harness, planar(x, 2.0, 0.3), ODOM)
        places = {
            round(float((transform_from_message(item.transform) @ ODOM).translation[0]), 6)
            for item in harness.robot.corrections
        }
        assert places == {1.0, 1.4}


def test_broadcast_ends_when_there_is_no_fix_for_long_and_comes_back(ros: None) -> None:
    with active(tf_lost_timeout=0.3) as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.spin_until(lambda: harness.robot.corrections)
        harness.spin(0.6)
        harness.robot.corrections.clear()
        harness.spin(0.3)
        assert not harness.robot.corrections
        status = harness.next_diagnostic()
        assert 'tf_lost_timeout' in status.message
        assert values(status)['tf'] == 'map -> odom stopped'
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.spin_until(lambda: harness.robot.corrections)


def test_broadcast_goes_on_by_default(ros: None) -> None:
    with active() as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.spin(0.6)
        harness.robot.corrections.clear()
        harness.spin_until(lambda: len(harness.robot.corrections) > 3)


def test_pose_and_transform_on_the_plane(ros: None) -> None:
    tilted = planar(1.0, 2.0, 0.3) @ RigidTransform(
        exp_so3(np.array([0.03, -0.02, 0.0])), np.array([0.0, 0.0, 0.1])
    )
    with active(two_d_mode=True) as harness:
        see(harness, tilted, ODOM)
        harness.spin_until(lambda: harness.robot.poses and harness.robot.corrections)
        pose = transform_from_pose(harness.robot.poses[-1].pose.pose)
        assert pose.translation[2] == 0.0
        assert np.allclose(pose.rotation[2], [0.0, 0.0, 1.0])
        moved = map_from_base(harness, ODOM)
        assert abs(moved.translation[2]) < 1e-9
        assert np.allclose(moved.rotation[2], [0.0, 0.0, 1.0])


def test_a_robot_that_cannot_stand_is_not_put_onto_the_plane(ros: None) -> None:
    lying = RigidTransform(exp_so3(np.array([1.5, 0.0, 0.0])), np.zeros(3))
    with active(two_d_mode=True) as harness:
        see(harness, lying, ODOM)
        (status,) = harness.robot.frames[-1].status
        assert 'two_d_mode' in status.message
        harness.spin(0.2)
        assert not harness.robot.poses
        assert not harness.robot.corrections


def test_pose_for_rtabmap_names_the_base_as_sensor(ros: None) -> None:
    with active() as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        harness.spin_until(lambda: harness.robot.poses and harness.robot.global_poses)
        pose, global_pose = harness.robot.poses[-1], harness.robot.global_poses[-1]
        assert (pose.header.frame_id, global_pose.header.frame_id) == ('map', 'base_link')
        assert pose.header.stamp == global_pose.header.stamp
        assert pose.pose == global_pose.pose


def test_a_parked_robot_is_not_localized_again(ros: None) -> None:
    with active(update_min_d=0.2, update_min_a=0.2) as harness:
        see(harness, planar(1.0, 2.0, 0.3), ODOM)
        for _ in range(3):
            harness.robot.send_odometry(now_ns() + NS // 20, ODOM)
            harness.robot.send_image(now_ns())
            harness.spin(0.3)
        assert len(harness.robot.frames) == 1
        figures = values(harness.next_diagnostic())
        assert figures['images_skipped'] == '3'
        assert figures['state'] == 'LOCALIZED'
        for moved in (planar(0.25, 0.0, 0.0), planar(0.0, 0.0, 0.25)):
            see(harness, planar(1.0, 2.0, 0.3) @ moved, ODOM @ moved)
        assert len(harness.robot.frames) == 3


@pytest.mark.parametrize('limits', [{'update_min_d': 0.2}, {'update_min_a': 0.2}])
def test_one_limit_alone_leaves_nothing_out(ros: None, limits: dict[str, float]) -> None:
    with active(**limits) as harness:
        for _ in range(2):
            see(harness, planar(1.0, 2.0, 0.3), ODOM)
        assert len(harness.robot.frames) == 2
