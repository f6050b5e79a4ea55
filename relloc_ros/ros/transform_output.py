# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The transform this node broadcasts."""

from __future__ import annotations

from collections.abc import Iterator
import time
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.timer import Timer
from tf2_msgs.msg import TFMessage

from relloc_ros.config import NodeConfig
from relloc_ros.correction import Correction
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.health import Problem
from relloc_ros.ros.part import Part
from relloc_ros.ros.qos import tf_qos
from relloc_ros.ros.transforms import Broadcaster

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['TransformOutput']

NS_PER_S = 1_000_000_000


class TransformOutput(Part):
    """map to odom, repeated at a fixed rate and post-dated; or map to base, once per fix.

    map to odom goes on while the robot is not localized: odometry then is the best there is.
    Nothing is sent before the first fix, nor while inactive.
    """

    def __init__(self, session: Session) -> None:
        """Create the publisher."""
        super().__init__(session)
        config = session.config
        self._mode = config.tf_mode if config.tf_broadcast else 'none'
        self._publisher = self.node.create_publisher(TFMessage, '/tf', tf_qos())
        self._timer: Timer | None = None
        self.forget_time()

    def values(self) -> dict[str, object]:
        """Say which transform is sent."""
        return {'tf': self._state()}

    def _state(self) -> str:
        if self._mode == 'none':
            return 'off'
        config = self.session.config
        child = config.base_frame_id if self._mode == 'map_to_base' else config.odom_frame_id
        name = f'{config.global_frame_id} -> {child}'
        if not self._broadcaster.has_sent:
            return f'{name} after the first fix'
        return f'{name} stopped' if self._timed_out() else name

    def activate(self) -> None:
        """Start repeating."""
        self.forget_time()
        if self._mode == 'map_to_odom':
            period_s = 1.0 / self.session.config.tf_publish_rate
            self._timer = self.node.create_timer(period_s, self._repeat)

    def deactivate(self) -> None:
        """Stop repeating."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self.node.destroy_timer(timer)

    def forget_time(self) -> None:
        """Forget the transform."""
        config = self.session.config
        self._broadcaster = Broadcaster(self._send, config.global_frame_id)
        self._correction = Correction(config.correction_speed, config.correction_turn_rate)
        self._last_step_ns: int | None = None
        self._last_fix_s = time.monotonic()

    def take_live(self, config: NodeConfig) -> None:
        """Take other limits of the speed of corrections."""
        self._correction.speed = config.correction_speed
        self._correction.turn_rate = config.correction_turn_rate

    def frame_processed(self, result: FrameResult) -> None:
        """Follow an accepted pose."""
        verdict, pose = result.verdict, result.pose
        if verdict is None or not verdict.accepted or pose is None:
            return
        config, map_from_base = self.session.config, pose.map_from_body
        if self._mode == 'map_to_base':
            stamp_ns = result.localization.stamp_ns
            self._broadcaster.send(config.base_frame_id, stamp_ns, map_from_base)
        elif self._mode == 'map_to_odom' and result.odom_from_base is not None:
            self._last_fix_s = time.monotonic()
            jump = verdict.event is not None
            self._correction.set_fix(map_from_base, result.odom_from_base, jump=jump)
            self._repeat()

    def problems(self) -> Iterator[Problem]:
        """Say that the transform is not repeated any more."""
        if self._broadcaster.has_sent and self._timed_out():
            yield Problem(
                'tf',
                DiagnosticStatus.ERROR,
                f'no fix for tf_lost_timeout: {self.session.config.global_frame_id} to '
                f'{self.session.config.odom_frame_id} is not broadcast any more',
            )

    def close(self) -> None:
        """Destroy the publisher."""
        self.node.destroy_publisher(self._publisher)

    def _send(self, message: TFMessage) -> None:
        self.session.transform_input.watch.sent(message)
        self._publisher.publish(message)

    def _timed_out(self) -> bool:
        timeout_s = self.session.config.tf_lost_timeout
        is_old = time.monotonic() - self._last_fix_s > timeout_s
        return self._mode == 'map_to_odom' and timeout_s > 0.0 and is_old

    def _repeat(self) -> None:
        """Send map to odom as of now, post-dated; nothing before a fix."""
        config = self.session.config
        now_ns = self.node.get_clock().now().nanoseconds
        since_ns = now_ns - (self._last_step_ns or now_ns)
        map_from_odom = self._correction.advance(max(since_ns, 0) / NS_PER_S)
        self._last_step_ns = now_ns
        if map_from_odom is not None and not self._timed_out():
            post_dated_ns = now_ns + round(config.transform_tolerance * NS_PER_S)
            self._broadcaster.send_post_dated(config.odom_frame_id, post_dated_ns, map_from_odom)
