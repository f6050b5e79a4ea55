# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about each image: the pose it trusts, and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile

from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.conversions import diagnostic_message, pose_message
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.part import Part
from relloc_ros.structures import Status
from relloc_ros.verdict import TrackingEvent

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['PoseOutput', 'StatusOutput']

POSE_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATUS_QOS = QoSProfile(depth=10)


class PoseOutput(Part):
    """Accepted poses of the base in the map."""

    def __init__(self, session: Session) -> None:
        """Create the publishers."""
        super().__init__(session)
        create = self.node.create_publisher
        self._pose = create(PoseWithCovarianceStamped, '~/pose', POSE_QOS)
        self._global_pose = create(PoseWithCovarianceStamped, '~/global_pose', POSE_QOS)

    def frame_processed(self, result: FrameResult) -> None:
        """Publish an accepted pose."""
        if not result.accepted or result.pose is None:
            return
        config, stamp_ns = self.session.config, result.localization.stamp_ns
        self._pose.publish(pose_message(result.pose, stamp_ns, config.global_frame_id))
        # RTAB-Map reads frame_id as the frame of the sensor that was measured.
        self._global_pose.publish(pose_message(result.pose, stamp_ns, config.base_frame_id))

    def close(self) -> None:
        """Destroy the publishers."""
        self.node.destroy_publisher(self._pose)
        self.node.destroy_publisher(self._global_pose)


class StatusOutput(Part):
    """One status for each processed image, with documented keys; what begins goes to the log."""

    def __init__(self, session: Session) -> None:
        """Create the publisher."""
        super().__init__(session)
        self._status = self.node.create_publisher(DiagnosticArray, '~/status', STATUS_QOS)

    def frame_processed(self, result: FrameResult) -> None:
        """Publish the status of an image."""
        localization, verdict = result.localization, result.verdict
        if verdict is None:
            return
        level = DiagnosticStatus.OK if verdict.accepted else DiagnosticStatus.WARN
        if localization.status is Status.ERROR:
            level = DiagnosticStatus.ERROR
        reason = localization.reason or verdict.reason
        innovation = verdict.innovation
        values = {
            'state': verdict.state.value,
            'status': localization.status,
            'accepted': str(verdict.accepted).lower(),
            'event': verdict.event.value if verdict.event else '',
            'reason': reason,
            'inliers': localization.num_inliers,
            'confidence': localization.confidence_text,
            'innovation': '' if innovation is None else f'{innovation:.3g}',
            'ms': f'{localization.timings_ms.get("total", 0.0):.1f}',
            'map_id': self.session.map_id,
        }
        text = reason or str(localization.status)
        name = f'{self.node.get_name()}: frame'
        message = diagnostic_message(localization.stamp_ns, name, level, text, values)
        self._status.publish(message)
        if verdict.event is not None:
            self._log(verdict.event, reason, result)

    def _log(self, event: TrackingEvent, reason: str, result: FrameResult) -> None:
        where = '' if result.pose is None else _place(result.pose.map_from_body)
        text = f'{event.value} at {where}' + (f': {reason}' if reason else '')
        if event is TrackingEvent.KIDNAPPED:
            self.node.get_logger().warning(text)
        else:
            self.node.get_logger().info(text)

    def close(self) -> None:
        """Destroy the publisher."""
        self.node.destroy_publisher(self._status)


def _place(map_from_base: RigidTransform) -> str:
    x, y, z = map_from_base.translation
    return f'x={x:.2f} y={y:.2f} z={z:.2f}'
