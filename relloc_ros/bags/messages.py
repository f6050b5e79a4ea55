# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 messages made from our types, without ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.bags.storage import ros2_types
from relloc_ros.camera import Camera
from relloc_ros.camera_info import camera_info_fields
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = [
    'camera_info_message',
    'compressed_image_message',
    'image_message',
    'path_message',
    'pose_message',
    'pose_with_covariance_message',
    'status_message',
    'transform_message',
]

NS_PER_S = 1_000_000_000


def image_message(image: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/Image, bgr8, from (H, W, 3) BGR."""
    height, width = image.shape[:2]
    return _type('sensor_msgs/msg/Image')(
        header=_header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding='bgr8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).reshape(-1),
    )


def compressed_image_message(
    content: bytes, image_format: str, stamp_ns: int, frame_id: str
) -> Any:
    """Make a sensor_msgs/CompressedImage from a file's content; the format is jpeg or png."""
    return _type('sensor_msgs/msg/CompressedImage')(
        header=_header(stamp_ns, frame_id),
        format=f'bgr8; {image_format} compressed bgr8',
        data=np.frombuffer(content, np.uint8),
    )


def camera_info_message(camera: Camera, stamp_ns: int, frame_id: str) -> Any:
    """Make a sensor_msgs/CameraInfo.

    Raises:
        DataError: ROS has no distortion model for this camera.
    """
    fields = camera_info_fields(camera)
    for name in 'dkrp':
        fields[name] = np.array(fields[name], dtype=np.float64)
    region = _type('sensor_msgs/msg/RegionOfInterest')(
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return _type('sensor_msgs/msg/CameraInfo')(
        header=_header(stamp_ns, frame_id), binning_x=0, binning_y=0, roi=region, **fields
    )


def transform_message(
    parent: str, child: str, stamp_ns: int, parent_from_child: RigidTransform
) -> Any:
    """Make a tf2_msgs/TFMessage of one transform."""
    transform = _type('geometry_msgs/msg/Transform')(
        translation=_vector('geometry_msgs/msg/Vector3', parent_from_child),
        rotation=_quaternion(parent_from_child),
    )
    stamped = _type('geometry_msgs/msg/TransformStamped')(
        header=_header(stamp_ns, parent), child_frame_id=child, transform=transform
    )
    return _type('tf2_msgs/msg/TFMessage')(transforms=[stamped])


def pose_message(frame_from_body: RigidTransform, stamp_ns: int, frame_id: str) -> Any:
    """Make a geometry_msgs/PoseStamped."""
    return _type('geometry_msgs/msg/PoseStamped')(
        header=_header(stamp_ns, frame_id), pose=_pose(frame_from_body)
    )


def pose_with_covariance_message(estimate: PoseEstimate, stamp_ns: int, frame_id: str) -> Any:
    """Make a geometry_msgs/PoseWithCovarianceStamped; our covariances have ROS's order."""
    pose = _type('geometry_msgs/msg/PoseWithCovariance')(
        pose=_pose(estimate.map_from_body),
        covariance=np.ascontiguousarray(estimate.covariance, dtype=np.float64).reshape(36),
    )
    return _type('geometry_msgs/msg/PoseWithCovarianceStamped')(
        header=_header(stamp_ns, frame_id), pose=pose
    )


def path_message(poses: Sequence[tuple[int, RigidTransform]], stamp_ns: int, frame_id: str) -> Any:
    """Make a nav_msgs/Path from stamps and poses."""
    return _type('nav_msgs/msg/Path')(
        header=_header(stamp_ns, frame_id),
        poses=[pose_message(pose, stamp, frame_id) for stamp, pose in poses],
    )


def status_message(
    name: str, message: str, values: Mapping[str, str], stamp_ns: int, *, ok: bool
) -> Any:
    """Make a diagnostic_msgs/DiagnosticArray with one status, OK or WARN."""
    status_type = _type('diagnostic_msgs/msg/DiagnosticStatus')
    key_value = _type('diagnostic_msgs/msg/KeyValue')
    status = status_type(
        level=status_type.OK if ok else status_type.WARN,
        name=name,
        message=message,
        hardware_id='',
        values=[key_value(key=key, value=value) for key, value in values.items()],
    )
    return _type('diagnostic_msgs/msg/DiagnosticArray')(
        header=_header(stamp_ns, ''), status=[status]
    )


def _header(stamp_ns: int, frame_id: str) -> Any:
    sec, nanosec = divmod(stamp_ns, NS_PER_S)
    stamp = _type('builtin_interfaces/msg/Time')(sec=sec, nanosec=nanosec)
    return _type('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)


def _pose(frame_from_body: RigidTransform) -> Any:
    return _type('geometry_msgs/msg/Pose')(
        position=_vector('geometry_msgs/msg/Point', frame_from_body),
        orientation=_quaternion(frame_from_body),
    )


def _vector(type_name: str, transform: RigidTransform) -> Any:
    x, y, z = transform.translation.tolist()
    return _type(type_name)(x=x, y=y, z=z)


def _quaternion(transform: RigidTransform) -> Any:
    x, y, z, w = transform.quat_xyzw.tolist()
    return _type('geometry_msgs/msg/Quaternion')(x=x, y=y, z=z, w=w)


def _type(name: str) -> Any:
    return ros2_types().types[name]
