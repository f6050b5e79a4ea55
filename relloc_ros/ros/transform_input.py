# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to /tf and /tf_static: they feed the buffer, and notice what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
import difflib

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from relloc_ros.config import NodeConfig
from relloc_ros.frames import DEFAULT_CACHE_NS, stamp_to_ns
from relloc_ros.ros.health import Problem
from relloc_ros.ros.qos import (
    endpoint_name,
    publisher_problems,
    static_tf_qos,
    subscribe,
    tf_qos,
)
from relloc_ros.ros.transform_watch import TransformWatch
from relloc_ros.ros.transforms import Transforms, make_buffer

__all__ = ['TransformInput']

MAX_FRAMES = 20
"""Known frames that are listed where none is like the one wanted."""


MAX_OLD_STAMPS = 10
"""So many in a row that are too old to be of use are no accident."""

NS_PER_S = 1_000_000_000


class TransformInput:
    """What the node hears of transforms.

    Attributes:
        buffer: of /tf and /tf_static.
        watch: who says what.
    """

    def __init__(self, node: Node, config: NodeConfig) -> None:
        """Subscribe.

        Args:
            node: owner of the subscriptions.
            config: says which frame is our child.

        Raises:
            ConfigError: an override of a QoS has a value that makes no sense.
        """
        self._node = node
        self.buffer: Transforms = make_buffer()
        self.watch = TransformWatch(_our_child(config))
        self._stamps = _Stamps()
        to_base = config.tf_mode == 'map_to_base'
        self._remedy = f'set {"tf_mode: map_to_odom" if to_base else "tf_broadcast: false"}'
        self._moving = subscribe(node, TFMessage, '/tf', self._take, tf_qos())
        try:
            self._static = subscribe(
                node, TFMessage, '/tf_static', self._take_static, static_tf_qos()
            )
        except BaseException:
            node.destroy_subscription(self._moving)
            raise

    @property
    def topics(self) -> list[str]:
        """Resolved names of what is subscribed."""
        return [self._moving.topic_name, self._static.topic_name]

    def problems(self) -> Iterator[Problem]:
        """Say what is wrong."""
        for subscription in (self._moving, self._static):
            yield from publisher_problems(self._node, subscription)
        yield from self.watch.problems(self.topics, self._other_publishers, self._remedy)

    def extrinsics_problem(self, base_frame: str, camera_frame: str) -> Problem | None:
        """Say why the camera's place on the robot is not known, None if it is."""
        if camera_frame == base_frame or self.buffer.connects(base_frame, camera_frame):
            return None
        text = (
            f'where the camera sits is not known, TF {base_frame} <- {camera_frame} is missing on '
            f'{" and ".join(self.topics)}'
        )
        return Problem(
            f'extrinsics:{camera_frame}',
            DiagnosticStatus.ERROR,
            f'{text}: {self._why_not_connected(base_frame, camera_frame)}',
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._moving)
        self._node.destroy_subscription(self._static)

    def forget_time(self) -> None:
        """Forget all that moves: time has jumped."""
        self.buffer.clear()
        self._stamps.clear()

    def _take(self, message: TFMessage) -> None:
        self.watch.received(message, static=False)
        for transform in message.transforms:
            child, stamp_ns = transform.child_frame_id, stamp_to_ns(transform.header.stamp)
            if back_s := self._stamps.jumped_back(child, stamp_ns):
                self._node.get_logger().warning(
                    f'the stamps of frame {child!r} on {self._moving.topic_name} have jumped back '
                    f'by {back_s:.1f} s: moving transforms are forgotten'
                )
                self.forget_time()
        self.buffer.add_message(message, static=False)

    def _take_static(self, message: TFMessage) -> None:
        self.watch.received(message, static=True)
        self.buffer.add_message(message, static=True)

    def _other_publishers(self) -> list[str]:
        us = self._node.get_fully_qualified_name()
        publishers = [
            endpoint_name(publisher)
            for topic in self.topics
            for publisher in self._node.get_publishers_info_by_topic(topic)
        ]
        if publishers.count(us) > 1:
            return ['a node of the same name', *sorted({*publishers} - {us})]
        return sorted({*publishers} - {us})

    def _why_not_connected(self, base_frame: str, camera_frame: str) -> str:
        known = sorted(self.watch.frames)
        if not known:
            return 'nothing was heard at all'
        for frame, parameter in (
            (camera_frame, 'camera_frame'),
            (base_frame, 'base_frame_id'),
        ):
            if frame not in known:
                near = difflib.get_close_matches(frame, known, 1)
                hint = (
                    f'did you mean {near[0]!r}?'
                    if near
                    else f'known: {", ".join(known[:MAX_FRAMES])};'
                )
                return f'no transform names the frame {frame!r}, {hint} (parameter {parameter})'
        return (
            'both frames are known, but no transforms connect them; publish one with '
            'robot_state_publisher or static_transform_publisher'
        )


class _Stamps:
    """Notices that the stamps of a frame go on in the past for good.

    A buffer takes what is much older than its newest transform for late, and leaves it out: after
    one stamp in the far future, or when a bag without a clock begins anew, it would for ever.
    """

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}

    def jumped_back(self, child: str, stamp_ns: int) -> float:
        """Take a stamp; returns by how many seconds they have jumped back, 0 if not."""
        newest_ns, num_old = self._newest.get(child, (stamp_ns, 0))
        if stamp_ns >= newest_ns - DEFAULT_CACHE_NS:
            self._newest[child] = max(newest_ns, stamp_ns), 0
            return 0.0
        self._newest[child] = newest_ns, num_old + 1
        return (newest_ns - stamp_ns) / NS_PER_S if num_old + 1 >= MAX_OLD_STAMPS else 0.0

    def clear(self) -> None:
        self._newest.clear()


def _our_child(config: NodeConfig) -> str:
    if not config.tf_broadcast or config.tf_mode == 'none':
        return ''
    return config.odom_frame_id if config.tf_mode == 'map_to_odom' else config.base_frame_id
