# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond by which Nav2's lifecycle manager knows that an active node is alive.

The protocol is that of the ROS package bond: both sides send a Status with the same ID, here the
node's name, on the topic `bond`; the one that leaves says so by `active: false`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
import uuid

from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from relloc_ros.ros.part import Part

try:
    from bond.msg import Status
except ImportError:
    Status = None

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['Bond']

BOND_QOS = QoSProfile(depth=5)
HEARTBEAT_TIMEOUT_S = 4.0
"""The manager's own default; only told, for people who compare the two sides."""


class Bond(Part):
    """Tells the manager that the node lives, from activate to deactivate.

    Heartbeats come from a thread of their own: a manager takes a node that is busy for one that
    is dead, and restarts all of navigation.
    """

    def __init__(self, session: Session) -> None:
        """Create the publisher, if there is a manager to be expected and the message type."""
        super().__init__(session)
        config = session.config
        self._period_s = config.bond_heartbeat_period
        self._heartbeat: _Heartbeat | None = None
        self._publisher: Publisher | None = None
        if config.autostart or self._period_s == 0.0:
            return
        if Status is None:
            self.node.get_logger().info(
                "the package bond is not installed: no bond is kept. Nav2's lifecycle manager "
                'wants one, unless its bond_timeout is 0.0'
            )
            return
        self._publisher = self.node.create_publisher(Status, 'bond', BOND_QOS)

    def activate(self) -> None:
        """Start the heartbeat."""
        if self._publisher is not None:
            self._heartbeat = _Heartbeat(self.node, self._publisher, self._period_s)

    def deactivate(self) -> None:
        """End the bond: the manager shall not take the silence for a crash."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.stop()

    def close(self) -> None:
        """Destroy the publisher."""
        self.deactivate()
        if self._publisher is not None:
            self.node.destroy_publisher(self._publisher)


class _Heartbeat:
    """A thread that says at a fixed period that it lives, and its last words."""

    def __init__(self, node: Any, publisher: Publisher, period_s: float) -> None:
        self._node, self._publisher, self._period_s = node, publisher, period_s
        self._name = node.get_name()
        # Each bond has an instance of its own: the manager asks whose heartbeat it hears.
        self._instance_id = str(uuid.uuid4())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='relloc_bond', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._say(active=False)

    def _run(self) -> None:
        self._say(active=True)
        while not self._stopped.wait(self._period_s):
            self._say(active=True)

    def _say(self, *, active: bool) -> None:
        message = Status(
            id=self._name,
            instance_id=self._instance_id,
            active=active,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_S,
            heartbeat_period=self._period_s,
        )
        try:
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(message)
        except RuntimeError:
            # Once ROS is shut down there is nobody to be told.
            if self._node.context.ok():
                raise
