# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""initialpose: a guess that somebody gives, and the pose that another localizer gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import time
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSProfile

from relloc_ros.errors import DataError
from relloc_ros.frames import (
    TransformError,
    TransformErrorKind,
    stamp_to_ns,
    transform_from_pose,
)
from relloc_ros.geometry import RigidTransform
from relloc_ros.given_pose import agree_on_plane, diagonal_copy, read_given_pose
from relloc_ros.ros.conversions import pose_message
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.health import Problem
from relloc_ros.ros.part import Part
from relloc_ros.structures import PoseEstimate

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['InitialPoseInput', 'InitialPoseOutput']

GIVEN_QOS = QoSProfile(depth=1)
ODOMETRY_PERIOD_S = 0.05
REPEAT_PERIOD_S = 1.0


class InitialPoseInput(Part):
    """Takes a pose that somebody gives, as in RViz: the robot is searched around it.

    TF does not move before an image confirms the pose.
    """

    def __init__(self, session: Session) -> None:
        """Subscribe, if it is wanted."""
        super().__init__(session)
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._given: _Given | None = None
        self._timer: Any = None
        self._subscription: Any = None
        if session.config.use_initial_pose:
            self._subscription = self.node.create_subscription(
                PoseWithCovarianceStamped, 'initialpose', self._on_pose, GIVEN_QOS
            )

    def deactivate(self) -> None:
        """Forget a pose that waits."""
        self._forget()

    def forget_time(self) -> None:
        """Forget a pose that waits."""
        self._forget()

    def map_changed(self) -> None:
        """Forget a pose that waits."""
        self._forget()

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self.node.destroy_subscription(self._subscription)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        logger, config = self.node.get_logger(), self.session.config
        if not self.session.active:
            logger.warning('initialpose is ignored while the node is not active')
            return
        try:
            pose = read_given_pose(message, config.global_frame_id)
        except DataError as error:
            logger.warning(f'initialpose is ignored: {error}')
            return
        self._forget()
        now_ns = self.node.get_clock().now().nanoseconds
        # A stamp from the future is from another clock: nobody knows where the robot will be.
        stamp_ns = min(stamp_to_ns(message.header.stamp) or now_ns, now_ns)
        self._given = _Given(pose, stamp_ns, time.monotonic() + config.transform_timeout)
        # Odometry at the stamp, which mostly is now, is on its way.
        self._timer = self.node.create_timer(
            ODOMETRY_PERIOD_S, self._take, clock=self._steady_clock
        )
        self._take()

    def _take(self) -> None:
        """Hand the pose over, with odometry if that has come."""
        given = self._given
        if given is None:
            return
        odom_from_base, waits = _odometry_now(self.session, given.stamp_ns)
        if waits and time.monotonic() < given.deadline_s:
            return
        self._forget()
        self.session.set_prior(given.pose, given.stamp_ns, odom_from_base)
        x, y, z = given.pose.map_from_body.translation
        self.node.get_logger().info(
            f'initialpose: the robot is searched around x {x:.2f} y {y:.2f} z {z:.2f}'
        )

    def _forget(self) -> None:
        self._given = None
        timer, self._timer = self._timer, None
        if timer is not None:
            self.node.destroy_timer(timer)


class InitialPoseOutput(Part):
    """Tells AMCL where the robot is, whenever that is found out, until AMCL agrees.

    Or tells a filter that does not answer, once.
    """

    def __init__(self, session: Session) -> None:
        """Create publisher and subscription, if they are wanted."""
        super().__init__(session)
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._publisher: Any = None
        self._subscription: Any = None
        self._timer: Any = None
        self._newest: _Known | None = None
        self._deadline_s: float | None = None
        if session.config.publish_initial_pose:
            self._publisher = self.node.create_publisher(
                PoseWithCovarianceStamped, '~/initialpose', GIVEN_QOS
            )
            self._subscription = self.node.create_subscription(
                PoseWithCovarianceStamped, 'amcl_pose', self._on_amcl_pose, GIVEN_QOS
            )

    def frame_processed(self, result: FrameResult) -> None:
        """Take an accepted pose; one that begins a track is told."""
        if self._publisher is None or not result.accepted or result.pose is None:
            return
        stamp_ns = result.localization.stamp_ns
        self._newest = _Known(result.pose, stamp_ns, result.odom_from_base)
        if result.verdict is not None and result.verdict.event is not None:
            self._end()
            self._timer = self.node.create_timer(
                REPEAT_PERIOD_S, self._repeat, clock=self._steady_clock
            )
            self._send()

    def problems(self) -> Iterator[Problem]:
        """Say that nobody listens."""
        if self._timer is not None and self._deadline_s is None:
            topic = self._publisher.topic_name
            text = f'nobody listens to {topic}: remap it to the initialpose of AMCL, or start AMCL'
            yield Problem('initialpose', DiagnosticStatus.WARN, text)

    def deactivate(self) -> None:
        """Send no more."""
        self._end()

    def forget_time(self) -> None:
        """Send no more."""
        self._end()

    def map_changed(self) -> None:
        """Send no more."""
        self._end()

    def close(self) -> None:
        """Destroy publisher and subscription."""
        if self._publisher is not None:
            self.node.destroy_publisher(self._publisher)
            self.node.destroy_subscription(self._subscription)

    def _repeat(self) -> None:
        if self._deadline_s is None or time.monotonic() < self._deadline_s:
            self._send()
            return
        topic = self._subscription.topic_name
        self.node.get_logger().warning(
            f'{topic} did not agree with {self._publisher.topic_name} within initial_pose_timeout:'
            ' is AMCL active, with the same map frame and a map that fits?'
        )
        self._end()

    def _send(self) -> None:
        """Send the newest pose; the time that AMCL has begins when somebody listens."""
        if self._newest is None or not self._publisher.get_subscription_count():
            return
        config = self.session.config
        if self._deadline_s is None:
            self._deadline_s = time.monotonic() + config.initial_pose_timeout
        pose = diagonal_copy(self._newest.pose)
        message = pose_message(pose, self._newest.stamp_ns, config.global_frame_id)
        self._publisher.publish(message)
        if config.initial_pose_timeout == 0.0:
            self._end()
        if config.initial_pose_timeout == 0.0:
            self._end()

    def _on_amcl_pose(self, message: PoseWithCovarianceStamped) -> None:
        newest = self._newest
        if self._deadline_s is None or newest is None:
            return
        if message.header.frame_id.lstrip('/') != self.session.config.global_frame_id:
            return
        try:
            theirs = transform_from_pose(message.pose.pose)
        except DataError:
            return
        ours = newest.moved(self.session, stamp_to_ns(message.header.stamp))
        if agree_on_plane(ours, theirs):
            self.node.get_logger().info(f'{self._subscription.topic_name} agrees')
            self._end()

    def _end(self) -> None:
        self._deadline_s = None
        timer, self._timer = self._timer, None
        if timer is not None:
            self.node.destroy_timer(timer)


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """A pose that waits for odometry at its stamp, until a time of the steady clock."""

    pose: PoseEstimate
    stamp_ns: int
    deadline_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """An accepted pose with odometry at its stamp."""

    pose: PoseEstimate
    stamp_ns: int
    odom_from_base: RigidTransform | None

    def moved(self, session: Session, stamp_ns: int) -> RigidTransform:
        """Say where the robot is at another time, by odometry if that is known."""
        map_from_base = self.pose.map_from_body
        odom_from_base, _ = _odometry_now(session, stamp_ns)
        if odom_from_base is None or self.odom_from_base is None:
            return map_from_base
        return map_from_base @ self.odom_from_base.inverse() @ odom_from_base


def _odometry_now(session: Session, stamp_ns: int) -> tuple[RigidTransform | None, bool]:
    """Give odometry at a time if it has come, and whether it may still come."""
    odom, base = session.config.odom_frame_id, session.config.base_frame_id
    if not session.transforms.connects(odom, base):
        return None, False
    try:
        return session.transforms.wait_for(odom, base, stamp_ns, 0.0), False
    except TransformError as error:
        return None, error.kind is TransformErrorKind.IN_FUTURE
