# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with several cameras: topics, sets of images, silent cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rig_stub import RigStub
from ros_harness import HEIGHT, NS, WIDTH, Harness, now_ns, values
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from relloc_ros.frames import transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.conversions import time_message, transform_message

pytestmark = pytest.mark.usefixtures('ros')

BASE_FROM = {
    'front': RigidTransform(exp_so3(np.array([0.1, 0.2, 0.3])), np.array([0.3, 0.0, 0.2])),
    'back': RigidTransform(exp_so3(np.array([0.0, 0.0, 3.0])), np.array([-0.3, 0.0, 0.2])),
}
MS = 1_000_000


class RigRobot:
    """A robot with two cameras beside the node."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.robot = harness.robot
        create = self.robot.create_publisher
        self.images = {name: create(Image, f'{name}/image', 10) for name in BASE_FROM}
        self.compressed = {
            name: create(CompressedImage, f'{name}/image/compressed', 10) for name in BASE_FROM
        }
        self.infos = {name: create(CameraInfo, f'{name}/camera_info', 10) for name in BASE_FROM}

    def start(self) -> None:
        """Activate the node, and tell it what it needs."""
        node = self.harness.node
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        publishers = [*self.infos.values(), self.robot.static_tf]
        self.harness.spin_until(
            lambda: (
                all(publisher.get_subscription_count() for publisher in publishers)
                and all(
                    self.images[name].get_subscription_count()
                    + self.compressed[name].get_subscription_count()
                    for name in BASE_FROM
                )
                and self.robot.count_publishers('/localization_node/pose')
            )
        )
        self.harness.spin(0.1)
        for publisher in self.infos.values():
            publisher.publish(_camera_info())
        self.harness.spin(0.2)

    def send_extrinsics(self, *names: str) -> None:
        transforms = [transform_message('base_link', name, 0, BASE_FROM[name]) for name in names]
        self.robot.static_tf.publish(TFMessage(transforms=transforms))
        self.harness.spin(0.1)

    def send(self, name: str, stamp_ns: int) -> None:
        message = Image(width=WIDTH, height=HEIGHT, step=WIDTH, encoding='mono8')
        message.header.frame_id = name
        message.header.stamp = time_message(stamp_ns)
        message.data = bytes(WIDTH * HEIGHT)
        self.images[name].publish(message)
        # DDS keeps the order of one publisher only.
        self.harness.spin(0.05)

    def spin_until_status_of(self, stamp_ns: int) -> None:
        stamp = time_message(stamp_ns)
        self.harness.spin_until(
            lambda: any(frame.header.stamp == stamp for frame in self.robot.frames)
        )
        self.harness.spin(0.05)

    def spin_until_frames(self, count: int) -> None:
        self.harness.spin_until(lambda: len(self.robot.frames) >= count)
        self.harness.spin(0.05)


def _camera_info() -> CameraInfo:
    message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model='plumb_bob')
    message.d = [0.0] * 5
    message.k = [30.0, 0.0, 16.0, 0.0, 30.0, 12.0, 0.0, 0.0, 1.0]
    return message


@contextmanager
def rig(**parameters: Any) -> Iterator[RigRobot]:
    settings = {'cameras': ['front', 'back'], 'tf_mode': 'map_to_base', 'max_rate': 0.0}
    with Harness(RigStub(), **{**settings, **parameters}) as harness:
        yield RigRobot(harness)


def views_of(robot: RigRobot) -> list[int]:
    stub = robot.harness.stub
    assert isinstance(stub, RigStub)
    return [len(views) for views in stub.views]


def test_images_of_two_cameras_give_one_pose() -> None:
    with rig() as robot:
        robot.start()
        robot.send_extrinsics('front', 'back')
        start_ns = now_ns()
        for number in range(3):
            robot.send('front', start_ns + number * NS)
            robot.send('back', start_ns + number * NS + 10 * MS)
        robot.spin_until_frames(3)
        assert views_of(robot) == [2, 2, 2]
        stamps = [frame.header.stamp for frame in robot.robot.frames]
        assert stamps == [time_message(start_ns + n * NS + 10 * MS) for n in range(3)]
        # The pose of the stub is that of the camera with the newest image.
        pose = transform_from_pose(robot.robot.poses[-1].pose.pose)
        expected = robot.harness.stub.map_from_cam @ BASE_FROM['back'].inverse()
        np.testing.assert_allclose(pose.matrix, expected.matrix, atol=1e-9)
        counts = values(robot.harness.next_diagnostic())
        # Images that are localized together count as one.
        assert counts['images_received'] == counts['images_processed'] == '3'
        assert counts['state'] == 'LOCALIZED'


def test_a_silent_camera_is_named_and_holds_nobody_up() -> None:
    with rig(image_timeout=30.0) as robot:
        robot.start()
        robot.send_extrinsics('front', 'back')
        start_ns = now_ns()
        for number in range(6):
            robot.send('front', start_ns + number * NS)
        robot.spin_until_status_of(start_ns + 5 * NS)
        assert set(views_of(robot)) == {1}
        status = robot.harness.next_diagnostic()
        assert 'no image of camera back' in status.message
        assert 'nothing comes on /back/image' in status.message
        assert status.level == DiagnosticStatus.WARN
        # It comes back.
        for number in range(6, 8):
            robot.send('front', start_ns + number * NS)
            robot.send('back', start_ns + number * NS)
        robot.harness.spin_until(lambda: views_of(robot)[-1] == 2)
        robot.harness.spin_until(
            lambda: 'camera back' not in robot.harness.next_diagnostic().message
        )


def test_a_camera_that_is_silent_for_long_does_not_make_the_node_wait() -> None:
    with rig(image_timeout=3.0) as robot:
        robot.start()
        robot.send_extrinsics('front', 'back')
        start_ns = now_ns()
        for number in range(5):
            robot.send('front', start_ns + number * NS)
        robot.spin_until_status_of(start_ns + 4 * NS)

        def diagnose() -> DiagnosticStatus:
            robot.send('front', now_ns() + 10 * NS)
            return robot.harness.next_diagnostic()

        robot.harness.spin_until(lambda: 'no images in' in diagnose().message, 20.0)
        status = diagnose()
        assert '/back/image' in status.message
        assert values(status)['state'] == 'LOCALIZED'


def test_cameras_out_of_step_are_told() -> None:
    with rig(image_timeout=30.0) as robot:
        robot.start()
        robot.send_extrinsics('front', 'back')
        start_ns = now_ns()
        for number in range(6):
            robot.send('front', start_ns + number * NS)
            robot.send('back', start_ns + number * NS + 300 * MS)
        robot.spin_until_frames(9)
        assert set(views_of(robot)) == {1}
        assert 'raise rig_slop' in robot.harness.next_diagnostic().message


def test_a_camera_without_a_place_is_named_and_the_other_works() -> None:
    with rig() as robot:
        robot.start()
        robot.send_extrinsics('front')
        start_ns = now_ns()
        robot.send('back', start_ns)
        robot.send('front', start_ns)
        robot.spin_until_frames(1)
        assert len(robot.robot.poses) == 1
        status = robot.harness.next_diagnostic()
        assert 'TF base_link <- back' in status.message
        assert values(status)['state'] == 'LOCALIZED'


def test_compressed_images() -> None:
    with rig(image_transport='compressed') as robot:
        robot.start()
        assert all(p.get_subscription_count() == 1 for p in robot.compressed.values())
        assert all(p.get_subscription_count() == 0 for p in robot.images.values())


def test_deactivation_forgets_images_that_wait() -> None:
    with rig() as robot:
        robot.start()
        robot.send_extrinsics('front', 'back')
        start_ns = now_ns()
        robot.send('front', start_ns)
        robot.harness.node.trigger_deactivate()
        robot.harness.node.trigger_activate()
        robot.harness.spin_until(
            lambda: all(p.get_subscription_count() for p in robot.infos.values())
        )
        robot.harness.spin(0.2)
        for publisher in robot.infos.values():
            publisher.publish(_camera_info())
        robot.harness.spin(0.2)
        robot.send('back', start_ns + 5 * MS)
        robot.send('front', start_ns + 5 * MS)
        robot.spin_until_frames(1)
        assert views_of(robot) == [2]
        assert robot.robot.frames[0].header.stamp == time_message(start_ns + 5 * MS)


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'camera_frame': 'optical'}, 'camera_frame'),
        ({'virtual_rig_size': 2}, 'virtual_rig_size'),
        ({'cameras': ['front', 'front']}, 'name of its own'),
    ],
)
def test_settings_that_do_not_go_together_fail_configure(
    parameters: dict[str, Any], reason: str
) -> None:
    with rig(**parameters) as robot:
        assert robot.harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert reason in robot.harness.next_diagnostic().message


def test_a_virtual_rig() -> None:
    stub = RigStub(enough=2)
    with Harness(stub, virtual_rig_size=3, max_rate=0.0, consensus_count=1) as harness:
        harness.start()
        robot = harness.robot
        robot.send_camera_info()
        robot.send_extrinsics()
        start_ns = now_ns()
        for number in range(20):
            x = RigidTransform(np.eye(3), np.array([0.1 * number, 0.0, 0.0]))
            robot.send_odometry(start_ns + number * NS // 10, x)
        harness.spin(0.3)
        harness.localize(start_ns)
        assert not robot.poses
        harness.localize(start_ns + NS)
        harness.spin_until(lambda: robot.poses)
        views = stub.views[-1]
        np.testing.assert_allclose(np.linalg.norm(views[1].body_from_cam.translation), 1.0)
        # Searched anew, the robot may have been carried: no image of before counts.
        harness.node._session.reset_tracking()
        count = len(robot.poses)
        harness.localize(start_ns + 3 * NS // 2)
        assert len(robot.poses) == count
