# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms in and out: a buffer fed from /tf, and the transform this node broadcasts."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import Any, Protocol

from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from relloc_ros.frames import (
    TransformBuffer,
    TransformError,
    TransformErrorKind,
    transform_from_message,
)
from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.conversions import transform_message

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

__all__ = ['Broadcaster', 'Tf2Buffer', 'Transforms', 'make_buffer']

NS_PER_S = 1_000_000_000


class Transforms(Protocol):
    """The buffer of the node, tf2's or ours."""

    def add_message(self, message: Any, *, static: bool) -> None:
        """Store a tf2_msgs/TFMessage."""

    def wait_for(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> RigidTransform:
        """Return ``target_from_source``, waiting for late transforms."""

    def connects(self, target: str, source: str) -> bool:
        """Whether transforms lead from one frame to the other, at whatever time."""

    def clear(self) -> None:
        """Forget the moving transforms, keep the static ones."""


def make_buffer() -> Transforms:
    """Make a buffer of tf2_ros where that is installed, else one of ours."""
    return TransformBuffer() if tf2_ros is None else Tf2Buffer()


class Tf2Buffer:
    """A tf2_ros.Buffer with the interface of `TransformBuffer`. Safe to use from threads.

    The node feeds it: a TransformListener would bring a thread of its own, or the same two
    subscriptions on the node's executor.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._buffer = tf2_ros.Buffer()
        self._changed = threading.Condition()

    def add_message(self, message: Any, *, static: bool) -> None:
        """Store a tf2_msgs/TFMessage; tf2 itself logs what makes no sense."""
        store = self._buffer.set_transform_static if static else self._buffer.set_transform
        for transform in message.transforms:
            store(transform, 'relloc_ros')
        with self._changed:
            self._changed.notify_all()

    def wait_for(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> RigidTransform:
        """Return ``target_from_source``, waiting for late transforms; a steady clock counts.

        Raises:
            TransformError: at the end of the time, or at once if waiting cannot help.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                try:
                    return self._lookup(target, source, stamp_ns)
                except TransformError as error:
                    remaining_s = deadline - time.monotonic()
                    if error.kind is TransformErrorKind.TOO_OLD or remaining_s <= 0:
                        raise
                self._changed.wait(remaining_s)

    def connects(self, target: str, source: str) -> bool:
        """Whether transforms lead from one frame to the other, at whatever time."""
        return bool(self._buffer.can_transform(target, source, Time()))

    def clear(self) -> None:
        """Forget the moving transforms; tf2 keeps the static ones."""
        self._buffer.clear()

    def _lookup(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        if stamp_ns <= 0:
            # tf2 would take this for "the latest".
            raise TransformError(TransformErrorKind.TOO_OLD, 'the image has no stamp')
        try:
            found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
        except tf2_ros.ExtrapolationException as error:
            raise self._out_of_time(target, source, stamp_ns, str(error)) from error
        except tf2_ros.LookupException as error:
            raise TransformError(TransformErrorKind.UNKNOWN_FRAME, str(error)) from error
        except tf2_ros.TransformException as error:
            raise TransformError(TransformErrorKind.NOT_CONNECTED, str(error)) from error
        return transform_from_message(found.transform)

    def _out_of_time(self, target: str, source: str, stamp_ns: int, text: str) -> TransformError:
        try:
            latest = self._buffer.get_latest_common_time(target, source)
        except tf2_ros.TransformException:
            # A frame has no data, as after `clear`: some may come.
            return TransformError(TransformErrorKind.IN_FUTURE, text)
        late_s = (stamp_ns - latest.nanoseconds) / NS_PER_S
        if late_s <= 0.0:
            return TransformError(TransformErrorKind.TOO_OLD, text)
        return TransformError(
            TransformErrorKind.IN_FUTURE,
            f'asked for time {stamp_ns / NS_PER_S:.3f}, the newest data is {late_s:.3f} s older',
        )


class Broadcaster:
    """Sends transforms from the map on /tf, with strictly increasing stamps."""

    def __init__(self, publish: Callable[[TFMessage], None], map_frame: str) -> None:
        """Start without having sent anything."""
        self._publish = publish
        self._map_frame = map_frame
        self._last_stamp_ns = 0

    @property
    def has_sent(self) -> bool:
        """Whether anything was sent."""
        return self._last_stamp_ns > 0

    def send_post_dated(self, child: str, stamp_ns: int, map_from_child: RigidTransform) -> None:
        """Send a transform that holds from now on, with a later stamp than the last."""
        self._send(child, max(stamp_ns, self._last_stamp_ns + 1), map_from_child)

    def send(self, child: str, stamp_ns: int, map_from_child: RigidTransform) -> None:
        """Send a transform that was measured; one that is not newer than the last adds nothing."""
        if stamp_ns > self._last_stamp_ns:
            self._send(child, stamp_ns, map_from_child)

    def _send(self, child: str, stamp_ns: int, map_from_child: RigidTransform) -> None:
        message = transform_message(self._map_frame, child, stamp_ns, map_from_child)
        self._publish(TFMessage(transforms=[message]))
        self._last_stamp_ns = stamp_ns
