# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`relloc replay`: content, timing, QoS, /clock, and what it cannot play."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

import bag_messages as bag
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_process import spin_until
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Qos, QosDurability, QosReliability
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from relloc_ros.bags.new_bag import FOREVER
from relloc_ros.frames import stamp_to_ns, transform_from_message
from relloc_ros.ros.playback import message_type, offered_qos

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
S = bag.S

MESSAGES = [
    bag.tf(99.0, 'base_link', 'cam', 0.1, static=True),
    bag.tf(99.0, 'base_link', 'laser', 0.2, static=True),
    bag.info(100.0),
    *(bag.image(100.0 + 0.5 * i) for i in range(4)),
    *(bag.tf(100.0 + 0.5 * i, 'odom', 'base_link', float(i)) for i in range(4)),
]


class Listener(Node):
    """Keeps what is played."""

    def __init__(self) -> None:
        super().__init__('listener')
        self.images: list[tuple[float, Image]] = []
        self.infos: list[CameraInfo] = []
        self.transforms: list[Any] = []
        self.static_transforms: list[Any] = []
        self.clock_ns: list[int] = []
        self.clock_heard_s: list[float] = []
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        listen = self.create_subscription
        listen(Image, '/cam/image_raw', self._on_image, 10)
        listen(CameraInfo, '/cam/camera_info', self.infos.append, 10)
        listen(TFMessage, '/tf', lambda m: self.transforms.extend(m.transforms), 100)
        listen(
            TFMessage,
            '/tf_static',
            lambda m: self.static_transforms.extend(m.transforms),
            LATCHED,
        )
        listen(Clock, '/clock', self._on_clock, BEST_EFFORT)

    def _on_image(self, message: Image) -> None:
        self.images.append((time.monotonic(), message))

    def _on_clock(self, message: Clock) -> None:
        self.clock_ns.append(stamp_to_ns(message.clock))
        self.clock_heard_s.append(time.monotonic())


@pytest.fixture
def listener(ros: None) -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.executor_.shutdown()
    listener.destroy_node()


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, '-c', 'from relloc_ros.cli.main import main; main()', 'replay']
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def play(listener: Listener, *arguments: str | Path) -> str:
    """Play to the end; returns what was printed."""
    player = start(*arguments)
    spin_until(listener.executor_, lambda: player.poll() is not None)
    spin_until(listener.executor_, lambda: len(listener.images) >= 4)
    for _ in range(10):
        listener.executor_.spin_once(timeout_sec=0.02)
    assert player.stderr is not None
    text = player.stderr.read()
    assert player.returncode == 0, text
    return text


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
def test_content(listener: Listener, tmp_path: Path, kind: bag.Kind) -> None:
    text = play(listener, bag.write(tmp_path / 'bag', MESSAGES, kind), '--rate', '10')
    assert f'{len(MESSAGES)} messages' in text
    stamps = [stamp_to_ns(message.header.stamp) for _, message in listener.images]
    assert stamps == [100 * S + i * S // 2 for i in range(4)]
    first = listener.images[0][1]
    assert (first.header.frame_id, first.encoding) == ('cam', 'bgr8')
    assert np.array_equal(np.array(first.data).reshape(bag.IMAGE.shape), bag.IMAGE)
    (info,) = listener.infos
    assert (info.width, info.height, info.k[0]) == (10, 6, 9.0)
    assert [transform_from_message(item.transform).translation[0] for item in listener.transforms]
    assert {item.child_frame_id for item in listener.static_transforms} == {'cam', 'laser'}
    assert listener.clock_ns == []


def test_timing_and_clock(listener: Listener, tmp_path: Path) -> None:
    play(listener, bag.write(tmp_path / 'bag', MESSAGES), '--rate', '2', '--clock')
    clock_ns = np.array(listener.clock_ns)
    # Single messages may come late on a busy machine: the quickest of each half tell the rate.
    late_s = np.array(listener.clock_heard_s) - (clock_ns - clock_ns[0]) / S / 2
    halves = np.array_split(late_s, 2)
    assert abs(halves[1].min() - halves[0].min()) < 0.25
    first_s, *_, last_s = [time_s for time_s, _ in listener.images]
    assert last_s - first_s > 0.25
    assert (np.diff(clock_ns) > 0).all()
    assert 99 * S <= clock_ns[0] < 99.5 * S
    assert clock_ns[-1] == 101.5 * S
    assert np.median(np.diff(clock_ns)) < 0.05 * S


def test_types_that_are_not_installed_are_named_and_left_out(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found before the real package, and without its messages.
    (tmp_path / 'shadow' / 'nav_msgs').mkdir(parents=True)
    (tmp_path / 'shadow' / 'nav_msgs' / '__init__.py').touch()
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'shadow'))
    odometry = bag.odometry(100.1, 1.0, '/odom', 'odom', 'base_link')
    path = bag.write(tmp_path / 'bag', [*MESSAGES, odometry])
    text = play(listener, path, '--rate', '10')
    assert '/odom is left out: nav_msgs/msg/Odometry is not installed' in text


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_without_a_traceback(
    listener: Listener, tmp_path: Path, signal_number: signal.Signals
) -> None:
    path = bag.write(tmp_path / 'bag', MESSAGES)
    player = start(path, '--rate', '0.01')
    spin_until(listener.executor_, lambda: listener.static_transforms)
    player.send_signal(signal_number)
    assert player.wait(10.0) in (0, 130)
    assert player.stderr is not None
    assert 'Traceback' not in player.stderr.read()


def test_missing_bag(ros_environment: None, tmp_path: Path) -> None:
    player = start(tmp_path / 'nowhere')
    assert player.wait(30.0) == 1
    assert player.stderr is not None
    text = player.stderr.read()
    assert 'nowhere does not exist' in text
    assert 'Traceback' not in text


def connection(
    topic: str, durability: QosDurability, reliability: QosReliability, msgcount: int = 3
) -> Connection:
    profile = Qos(
        1,
        1,
        reliability,
        durability,
        FOREVER,
        FOREVER,
        1,
        FOREVER,
        False,  # type: ignore[arg-type]
    )
    extension = ConnectionExtRosbag2('cdr', [profile])
    return Connection(1, topic, 'tf2_msgs/msg/TFMessage', None, '', msgcount, extension, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('durability', 'reliability', 'expected'),
    [
        (QosDurability.VOLATILE, QosReliability.BEST_EFFORT, (False, False)),
        (QosDurability.VOLATILE, QosReliability.RELIABLE, (False, True)),
        (QosDurability.TRANSIENT_LOCAL, QosReliability.RELIABLE, (True, True)),
    ],
)
def test_recorded_qos_is_offered(
    durability: QosDurability, reliability: QosReliability, expected: tuple[bool, bool]
) -> None:
    qos = offered_qos([connection('/topic', durability, reliability)])
    assert expected == (
        qos.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        qos.reliability == ReliabilityPolicy.RELIABLE,
    )


def test_latched_topic_remembers_all_its_messages() -> None:
    recorded = [connection('/tf_static', QosDurability.VOLATILE, QosReliability.RELIABLE, 20)] * 2
    qos = offered_qos(recorded)
    assert qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert qos.depth == 40


def test_message_types() -> None:
    assert message_type('sensor_msgs/msg/Image') is Image
    assert message_type('tf/msg/tfMessage') is TFMessage
    assert message_type('sensor_msgs/msg/Imagine') is None
    assert message_type('nowhere_msgs/msg/Image') is None
