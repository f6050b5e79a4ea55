# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our types to ROS messages."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import (
    Point,
    PoseWithCovarianceStamped,
    Quaternion,
    TransformStamped,
    Vector3,
)
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = [
    'diagnostic_message',
    'image_message',
    'pose_message',
    'time_message',
    'transform_message',
]

NS_PER_S = 1_000_000_000


def time_message(stamp_ns: int) -> Time:
    """Make a builtin_interfaces/Time."""
    sec, nanosec = divmod(stamp_ns, NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def pose_message(pose: PoseEstimate, stamp_ns: int, frame_id: str) -> PoseWithCovarianceStamped:
    """Make a PoseWithCovarianceStamped; our order of the covariance is that of ROS."""
    message = PoseWithCovarianceStamped()
    message.header.stamp = time_message(stamp_ns)
    message.header.frame_id = frame_id
    x, y, z = pose.map_from_body.translation.tolist()
    message.pose.pose.position = Point(x=x, y=y, z=z)
    message.pose.pose.orientation = _quaternion(pose.map_from_body)
    message.pose.covariance = pose.covariance.ravel()
    return message


def transform_message(
    parent: str, child: str, stamp_ns: int, parent_from_child: RigidTransform
) -> TransformStamped:
    """Make a TransformStamped."""
    message = TransformStamped()
    message.header.stamp = time_message(stamp_ns)
    message.header.frame_id = parent
    message.child_frame_id = child
    x, y, z = parent_from_child.translation.tolist()
    message.transform.translation = Vector3(x=x, y=y, z=z)
    message.transform.rotation = _quaternion(parent_from_child)
    return message


def diagnostic_message(
    stamp_ns: int, name: str, level: bytes, text: str, values: Mapping[str, object]
) -> DiagnosticArray:
    """Make a DiagnosticArray of one status; values are written as text."""
    status = DiagnosticStatus(level=level, name=name, message=text)
    status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    message = DiagnosticArray(status=[status])
    message.header.stamp = time_message(stamp_ns)
    return message


def image_message(picture: NDArray[np.uint8], header: Header) -> Image:
    """Make an Image of a BGR picture (H, W, 3)."""
    height, width = picture.shape[:2]
    message = Image(header=header, height=height, width=width, encoding='bgr8', step=3 * width)
    # Of an array rclpy does not look at each single byte.
    message.data = array('B', picture.tobytes())
    return message


def _quaternion(transform: RigidTransform) -> Quaternion:
    x, y, z, w = transform.quat_xyzw.tolist()
    return Quaternion(x=x, y=y, z=z, w=w)
