# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the messages of a bag with their own timing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import importlib
import logging
from pathlib import Path
import signal
import time

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, QosDurability, QosReliability
from rosbags.serde import SerdeError
from rosgraph_msgs.msg import Clock

from relloc_ros.bags.storage import BagFile, ros2_types
from relloc_ros.errors import DataError
from relloc_ros.ros.conversions import time_message

__all__ = ['message_type', 'offered_qos', 'play']

logger = logging.getLogger(__name__)

NODE_NAME = 'relloc_replay'
CLOCK_PERIOD_S = 0.01
CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
MIN_DEPTH = 10
DISCOVERY_PERIOD_S = 0.05
SETTLE_S = 1.0
"""After the listeners are found, they are given this long to find the publishers."""

RENAMED_TYPES = {'tf/msg/tfMessage': 'tf2_msgs/msg/TFMessage'}
STATIC_TF_NAME = 'tf_static'
AWAITED_TYPES = (
    'sensor_msgs/msg/CameraInfo',
    'sensor_msgs/msg/CompressedImage',
    'sensor_msgs/msg/Image',
    'tf2_msgs/msg/TFMessage',
)

Progress = Callable[[int, int], None]


def play(
    bag: Path, *, rate: float, with_clock: bool, wait_s: float, progress: Progress | None = None
) -> int:
    """Publish a bag.

    Args:
        bag: of ROS 1 or 2.
        rate: speed.
        with_clock: publish /clock.
        wait_s: how long to wait for a listener before the first message, at most.
        progress: called with the number of messages published, and of all.

    Returns:
        Number of messages published; fewer than the bag has if ROS was shut down.

    Raises:
        DataError: no bag, damaged, or without a message of an installed type.
    """
    with BagFile(bag) as file:
        # See main of the node about the order.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        rclpy.init(args=[])
        try:
            node = Node(NODE_NAME, start_parameter_services=False, enable_rosout=False)
            player = _Player(node, file, rate, with_clock)
            player.wait_for_listeners(wait_s)
            count = player.play(progress)
            node.destroy_node()
            return count
        finally:
            rclpy.try_shutdown()


class _Player:
    """Publishers for the topics of a bag, and the clock that runs as in the bag."""

    def __init__(self, node: Node, bag: BagFile, rate: float, with_clock: bool) -> None:
        self._bag = bag
        self._rate = rate
        self._publishers = _make_publishers(node, bag.connections)
        if not self._publishers:
            raise DataError(f'bag {bag.path} has no messages of installed types')
        self._connections = [item for item in bag.connections if item.topic in self._publishers]
        self._types = {item.topic: item.msgtype for item in self._connections}
        self._clock = node.create_publisher(Clock, '/clock', CLOCK_QOS) if with_clock else None
        self._start_s = time.monotonic()
        self._start_ns = 0
        self._clock_ns = -1
        self._unconvertible: set[str] = set()

    def wait_for_listeners(self, timeout_s: float) -> None:
        """Wait until somebody listens to all that a localizer needs of this bag.

        A listener's subscriptions are discovered one by one, seconds apart on a busy machine:
        one of them does not tell that the others are there.
        """
        awaited = [
            publisher
            for topic, publisher in self._publishers.items()
            if self._types[topic] in AWAITED_TYPES
        ] or list(self._publishers.values())
        deadline = time.monotonic() + timeout_s
        while rclpy.ok() and time.monotonic() < deadline:
            if all(publisher.get_subscription_count() for publisher in awaited):
                time.sleep(SETTLE_S)
                return
            time.sleep(DISCOVERY_PERIOD_S)
        if timeout_s and not any(publisher.get_subscription_count() for publisher in awaited):
            topics = ', '.join(sorted(publisher.topic_name for publisher in awaited))
            logger.warning('nobody listens to %s: played all the same', topics)

    def play(self, progress: Progress | None) -> int:
        total = sum(connection.msgcount for connection in self._connections)
        count = 0
        for connection, time_ns, raw in self._bag.raw_messages(self._connections):
            if count == 0:
                self._start_s, self._start_ns = time.monotonic(), time_ns
            if not self._wait_until(time_ns):
                return count
            data = self._to_cdr(connection, raw)
            if data is None:
                continue
            self._publishers[connection.topic].publish(data)
            count += 1
            if progress is not None:
                progress(count, total)
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=1))
        return count

    def _to_cdr(self, connection: Connection, raw: bytes) -> bytes | None:
        if not self._bag.is_ros1:
            return bytes(raw)
        # By the types of ROS 2: their Header has no `seq`, and this is left out.
        name = RENAMED_TYPES.get(connection.msgtype, connection.msgtype)
        try:
            return bytes(ros2_types().ros1_to_cdr(raw, name))
        except (SerdeError, KeyError) as error:
            if connection.topic not in self._unconvertible:
                logger.warning('%s is left out: not as in ROS 2 (%s)', connection.topic, error)
            self._unconvertible.add(connection.topic)
            return None

    def _wait_until(self, time_ns: int) -> bool:
        """Sleep until it is this time in the bag, with the clock running; False at shutdown."""
        due_s = self._start_s + (time_ns - self._start_ns) * 1e-9 / self._rate
        while rclpy.ok() and (remaining_s := due_s - time.monotonic()) > 0.0:
            self._tick(self._bag_time())
            time.sleep(min(remaining_s, CLOCK_PERIOD_S))
        self._tick(time_ns)
        return rclpy.ok()

    def _bag_time(self) -> int:
        return self._start_ns + round((time.monotonic() - self._start_s) * self._rate * 1e9)

    def _tick(self, time_ns: int) -> None:
        if self._clock is not None and rclpy.ok() and time_ns > self._clock_ns:
            self._clock.publish(Clock(clock=time_message(time_ns)))
            self._clock_ns = time_ns


def message_type(name: str) -> type | None:
    """Import the Python class of a message type like ``std_msgs/msg/Header``; None if missing."""
    package, _, cls = RENAMED_TYPES.get(name, name).partition('/msg/')
    try:
        found = getattr(importlib.import_module(f'{package}.msg'), cls, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def offered_qos(connections: Sequence[Connection]) -> QoSProfile:
    """Give a profile that satisfies whoever the recorded publishers of a topic satisfied."""
    profiles = [
        profile
        for connection in connections
        for profile in getattr(connection.ext, 'offered_qos_profiles', ())
    ]
    # Rosbag2 without profiles, and ROS 1, where a latched topic does not say so.
    latched = connections[0].topic.rpartition('/')[2] == STATIC_TF_NAME or any(
        profile.durability == QosDurability.TRANSIENT_LOCAL for profile in profiles
    )
    best_effort = bool(profiles) and all(
        profile.reliability == QosReliability.BEST_EFFORT for profile in profiles
    )
    count = sum(connection.msgcount for connection in connections)
    depth = max([MIN_DEPTH, *(profile.depth for profile in profiles)])
    return QoSProfile(
        # What several nodes latched comes from one publisher now: it must remember all of it.
        depth=max(depth, count) if latched else depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _make_publishers(node: Node, connections: Sequence[Connection]) -> dict[str, Publisher]:
    by_topic: dict[str, list[Connection]] = {}
    for connection in connections:
        by_topic.setdefault(connection.topic, []).append(connection)
    publishers = {}
    for topic, same_topic in by_topic.items():
        found = message_type(same_topic[0].msgtype)
        if found is None:
            logger.warning('%s is left out: %s is not installed', topic, same_topic[0].msgtype)
        else:
            publishers[topic] = node.create_publisher(found, topic, offered_qos(same_topic))
    return publishers
