# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about each image: pose, status and TF."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from relloc_ros.config import NodeConfig
from relloc_ros.ros.conversions import diagnostic_message, pose_message
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.transforms import TF_QOS, Broadcaster
from relloc_ros.structures import Status

__all__ = ['Outputs']

POSE_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATUS_QOS = QoSProfile(depth=10)


class Outputs:
    """Publishers of a configured node. They outlive the worker."""

    def __init__(self, node: Node, config: NodeConfig, map_id: str) -> None:
        """Create the publishers; nothing is sent before there is a result.

        Args:
            node: owner of the publishers.
            config: frames and TF mode.
            map_id: written into each status.
        """
        self._node = node
        self._config = config
        self._map_id = map_id
        self.tf_mode = config.tf_mode if config.tf_broadcast else 'none'
        self._pose = node.create_publisher(PoseWithCovarianceStamped, '~/pose', POSE_QOS)
        self._status = node.create_publisher(DiagnosticArray, '~/status', STATUS_QOS)
        self._tf = node.create_publisher(TFMessage, '/tf', TF_QOS)
        self.reset()

    @property
    def tf_state(self) -> str:
        """Say which transform is sent."""
        if self.tf_mode == 'none':
            return 'off'
        child = self._config.odom_frame_id
        if self.tf_mode == 'map_to_base':
            child = self._config.base_frame_id
        name = f'{self._config.global_frame_id} -> {child}'
        return name if self._broadcaster.has_sent else f'{name} after the first fix'

    def reset(self) -> None:
        """Forget the transform, at activation and after a jump of time."""
        self._broadcaster = Broadcaster(self._tf, self._config.global_frame_id)

    def publish(self, result: FrameResult, state: str, transform_tolerance: float) -> None:
        """Publish what an image gave; pose and TF only if it was localized."""
        self._publish_status(result, state)
        if result.pose is None:
            return
        config, stamp_ns = self._config, result.localization.stamp_ns
        map_from_base = result.pose.map_from_body
        self._pose.publish(pose_message(result.pose, stamp_ns, config.global_frame_id))
        if self.tf_mode == 'map_to_base':
            self._broadcaster.send_base(config.base_frame_id, stamp_ns, map_from_base)
        elif result.odom_from_base is not None:
            map_from_odom = map_from_base @ result.odom_from_base.inverse()
            self._broadcaster.set_odom(config.odom_frame_id, map_from_odom)
            self.repeat_odom(transform_tolerance)

    def repeat_odom(self, transform_tolerance: float) -> None:
        """Send map to odom again, post-dated from the node's time; nothing before a fix."""
        now_ns = self._node.get_clock().now().nanoseconds
        self._broadcaster.repeat(now_ns, transform_tolerance)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._pose, self._status, self._tf):
            self._node.destroy_publisher(publisher)

    def _publish_status(self, result: FrameResult, state: str) -> None:
        localization = result.localization
        level = DiagnosticStatus.OK if localization.localized else DiagnosticStatus.WARN
        if localization.status is Status.ERROR:
            level = DiagnosticStatus.ERROR
        values = {
            'state': state,
            'status': localization.status,
            'reason': localization.reason,
            'inliers': localization.num_inliers,
            'ms': f'{localization.timings_ms.get("total", 0.0):.1f}',
            'map_id': self._map_id,
        }
        text = localization.reason or str(localization.status)
        name = f'{self._node.get_name()}: frame'
        message = diagnostic_message(localization.stamp_ns, name, level, text, values)
        self._status.publish(message)
