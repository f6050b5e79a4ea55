# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Input that no driver should send: the node says what is wrong, and goes on as if nothing was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import signal
import subprocess
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from driving_robot import INPUTS, NODE_NAME, NS, DrivingRobot, Operator
from lifecycle_msgs.msg import Transition
from ros_process import check_log, end, parameters, running_node
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage

from relloc_ros.geometry import RigidTransform, pose_error
from relloc_ros.ros.conversions import transform_message

MAX_ERROR_M = 0.03
HOUR_NS = 3600 * NS


class Victim:
    """A localized robot whose node is attacked."""

    def __init__(self, robot: DrivingRobot, process: subprocess.Popen[bytes], log: Path) -> None:
        self.robot, self.process, self.log = robot, process, log
        self.operator = Operator(robot)

    def recovers(self, timeout_s: float = 20.0) -> None:
        """Wait for a fix of a new image; all fixes must be true."""
        robot = self.robot
        since_ns = robot.now_ns
        robot.live(
            lambda: (
                self.process.poll() is not None
                or sum(stamp_ns > since_ns for stamp_ns in robot.fixes) >= 2
            ),
            timeout_s,
        )
        assert self.process.poll() is None, self.log.read_text()
        for stamp_ns, map_from_base in robot.fixes.items():
            assert stamp_ns in robot.truth, f'pose of an image stamped {stamp_ns}'
            assert pose_error(map_from_base, robot.truth[stamp_ns])[0] < MAX_ERROR_M

    def says(self, words: str) -> None:
        """Wait for a diagnostic."""
        self.robot.live(
            lambda: any(words in status.message for status in self.robot.diagnostics), 20.0
        )


@pytest.fixture(scope='module')
def victim(
    module_ros: None, room_map: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Victim]:
    robot = DrivingRobot(ticks_per_image=5)
    log = tmp_path_factory.mktemp('hostile') / 'log'
    arguments = parameters(
        map_path=room_map,
        autostart=True,
        image_transport='compressed',
        max_rate=0.0,
        transform_timeout=0.05,
        lost_timeout=5.0,
    )
    robot.has_calibration = False
    with running_node(*INPUTS, *arguments, log=log) as process:
        robot.meet(process)
        yield Victim(robot, process, log)
        assert end(process, signal.SIGINT) == 0
    check_log(log)
    assert log.read_text().count('\n') < 150
    robot.close()


def test_camera_info_late(victim: Victim) -> None:
    robot = victim.robot
    robot.live_for(3.0)
    assert not robot.fixes
    found = robot.next_diagnostic()
    assert found['state'] == 'WAITING'
    assert 'WAITING for camera_info on /camera/camera_info' in found['message']
    robot.has_calibration = True
    victim.recovers()
    assert robot.next_diagnostic()['state'] == 'LOCALIZED'


def jpeg(width: int, height: int) -> bytes:
    return cv2.imencode('.jpg', np.zeros((height, width), np.uint8))[1].tobytes()


def png_that_claims(width: int, height: int) -> bytes:
    size = width.to_bytes(4, 'big') + height.to_bytes(4, 'big')
    return b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR' + size + b'\x08\x06\x00\x00\x00' + bytes(100)


IMAGES: dict[str, Callable[[], bytes]] = {
    'empty': lambda: b'',
    'one byte': lambda: b'\xff',
    'garbage': lambda: np.random.default_rng(0).bytes(5000),
    'one pixel': lambda: jpeg(1, 1),
    'black': lambda: jpeg(479, 361),
    'cut off': lambda: jpeg(479, 361)[:200],
    'gigabytes by its header': lambda: png_that_claims(60000, 60000),
    '50 MB': lambda: b'\xff\xd8\xff' + bytes(50_000_000),
}


def test_unusable_images(victim: Victim) -> None:
    robot = victim.robot
    for make in IMAGES.values():
        robot.send_image(robot.now_ns + 1, make())
        robot.live_for(0.1)
    victim.recovers()
    assert victim.operator.ask() < 2.0


def test_absurd_stamps(victim: Victim) -> None:
    robot = victim.robot
    for stamp_ns in (0, 1, -5 * NS, 2**31 * NS - NS):
        for _ in range(2):
            robot.send_image(stamp_ns)
            robot.live_for(0.05)
    victim.recovers()


def test_stamps_an_hour_ahead_for_a_while(victim: Victim) -> None:
    robot = victim.robot
    robot.image_offset_ns = HOUR_NS
    robot.live_for(1.0)
    robot.image_offset_ns = 0
    victim.recovers()


NAN = float('nan')
TRANSFORMS = {
    'not a number': {'translation': (NAN, 0.0, 0.0)},
    'infinite': {'translation': (float('inf'), 0.0, 0.0)},
    'no rotation': {'rotation': (0.0, 0.0, 0.0, 0.0)},
    'rotation not a number': {'rotation': (NAN, NAN, NAN, NAN)},
    'rotation of length 2': {'rotation': (0.0, 0.0, 0.0, 2.0)},
    'own parent': {'child': 'odom'},
    'no name': {'child': ''},
}


def transform(stamp_ns: int, changes: dict[str, Any]) -> TFMessage:
    message = transform_message('odom', 'base_link', stamp_ns, RigidTransform.identity())
    for name, values in changes.items():
        if name == 'child':
            message.child_frame_id = values
            continue
        part = getattr(message.transform, name)
        for axis, value in zip('xyzw', values, strict=False):
            setattr(part, axis, value)
    return TFMessage(transforms=[message])


def test_unusable_transforms(victim: Victim) -> None:
    robot = victim.robot
    for changes in TRANSFORMS.values():
        for moment in range(5):
            robot.tf.publish(transform(robot.now_ns + moment, changes))
            robot.static_tf.publish(transform(0, {**changes, 'child': 'elsewhere'}))
        robot.live_for(0.1)
    # What is latched is so many messages, of whatever use.
    robot.send_extrinsics()
    victim.recovers()


def test_odometry_stamped_in_the_future_once(victim: Victim) -> None:
    robot = victim.robot
    robot.tf.publish(transform(robot.now_ns + HOUR_NS, {}))
    robot.live_for(0.5)
    robot.corrections.clear()
    robot.speed = 1
    robot.live_for(1.0)
    robot.speed = 0
    victim.recovers()
    stamp_ns, map_from_base = max(robot.fixes.items())
    expected = map_from_base @ robot.odometry[stamp_ns].inverse()
    assert np.abs(robot.corrections[-1][1].matrix - expected.matrix).max() < 0.1


def test_odometry_restarts_at_zero(victim: Victim) -> None:
    victim.robot.restart_odometry()
    victim.recovers()


@pytest.mark.parametrize('what', ['zeros', 'not a number'])
def test_unusable_calibration(victim: Victim, what: str) -> None:
    robot = victim.robot
    robot.has_calibration = False
    message = CameraInfo(width=479, height=361, distortion_model='plumb_bob')
    message.k = [400.0, 0.0, 240.0, 0.0, 400.0, 180.0, 0.0, 0.0, 1.0]
    message.d = [0.0] * 5
    if what == 'zeros':
        message.k = [0.0] * 9
    else:
        message.d = [NAN] * 5
    robot.infos.publish(message)
    victim.says('camera_info on topic /camera/camera_info cannot be used')
    robot.has_calibration = True
    victim.recovers()


def test_frames_of_images(victim: Victim) -> None:
    robot = victim.robot
    robot.image_frame_id = '/camera'
    victim.recovers()
    for frame_id in ('', 'nowhere', 'ca mera\n\x01'):
        robot.image_frame_id = frame_id
        robot.live_for(0.3)
    count = len(robot.fixes)
    robot.live_for(0.3)
    assert len(robot.fixes) == count
    robot.image_frame_id = 'camera'
    victim.recovers()


def test_somebody_else_publishes_map_to_odom(victim: Victim) -> None:
    robot = victim.robot

    def disturbed() -> bool:
        stranger = transform_message('map', 'odom', robot.now_ns, RigidTransform.identity())
        robot.tf.publish(TFMessage(transforms=[stranger]))
        robot.live_for(0.1)
        return any('a second publisher of map -> odom' in s.message for s in robot.diagnostics)

    robot.diagnostics.clear()
    robot.live(disturbed)
    victim.recovers()


def test_requests_all_at_once(victim: Victim) -> None:
    """Whatever is asked while the node changes its state, each answer comes."""
    robot, operator = victim.robot, victim.operator
    clients = [
        (robot.create_client(Trigger, f'{NODE_NAME}/relocalize'), Trigger.Request()),
        (robot.create_client(Trigger, f'{NODE_NAME}/reload_map'), Trigger.Request()),
        (robot.create_client(SetBool, f'{NODE_NAME}/set_enabled'), SetBool.Request(data=False)),
        (robot.create_client(SetBool, f'{NODE_NAME}/set_enabled'), SetBool.Request(data=True)),
    ]
    robot.live(lambda: all(client.service_is_ready() for client, _ in clients))
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        answers = [client.call_async(request) for client, request in clients]
        operator.change(transition)
        answers += [client.call_async(request) for client, request in clients]
        robot.live(lambda waiting=answers: all(answer.done() for answer in waiting))
    # Two clients have no order: the last word may have been to disable.
    operator.call(clients[-1][0], SetBool.Request(data=True))
    victim.recovers()
