# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and small bags for the tests of the bag modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from relloc_ros.bags.messages import (
    camera_info_message,
    image_message,
    pose_message,
    transform_message,
)
from relloc_ros.bags.reader import BagFrame, BagReader
from relloc_ros.bags.storage import ros1_types, ros2_types
from relloc_ros.camera import Camera
from relloc_ros.frames import TransformError
from relloc_ros.geometry import RigidTransform

Message = tuple[str, int, Any]
Kind = Literal['mcap', 'sqlite3', 'ros1']

S = 1_000_000_000
COMPRESSIONS: dict[Kind, tuple[Any, ...]] = {
    'mcap': (CompressionMode.STORAGE, CompressionFormat.ZSTD),
    'sqlite3': (CompressionMode.MESSAGE, CompressionFormat.ZSTD),
    'ros1': (Ros1Writer.CompressionFormat.LZ4,),
}
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
CAMERA = Camera('PINHOLE', 10, 6, (9.0, 9.0, 5.0, 3.0))


def shift(x: float) -> RigidTransform:
    return RigidTransform(np.eye(3), np.array([x, 0.0, 0.0]))


def image(second: float, topic: str = '/cam/image_raw', frame: str = 'cam') -> Message:
    stamp_ns = int(second * S)
    return topic, stamp_ns, image_message(IMAGE, stamp_ns, frame)


def info(second: float, topic: str = '/cam/camera_info', camera: Camera = CAMERA) -> Message:
    stamp_ns = int(second * S)
    return topic, stamp_ns, camera_info_message(camera, stamp_ns, 'cam')


def tf(second: float, parent: str, child: str, x: float, *, static: bool = False) -> Message:
    stamp_ns = int(second * S)
    topic = '/tf_static' if static else '/tf'
    return topic, stamp_ns, transform_message(parent, child, stamp_ns, shift(x))


def pose(second: float, x: float, *, topic: str = '/ground_truth', frame: str = 'map') -> Message:
    stamp_ns = int(second * S)
    return topic, stamp_ns, pose_message(shift(x), stamp_ns, frame)


def odometry(second: float, x: float, topic: str, frame: str, child: str) -> Message:
    stamped = pose(second, x, frame=frame)[2]
    types = ros2_types().types
    zero = types['geometry_msgs/msg/Vector3'](x=0.0, y=0.0, z=0.0)
    twist = types['geometry_msgs/msg/Twist'](linear=zero, angular=zero)
    with_covariance = types['geometry_msgs/msg/PoseWithCovariance'](
        pose=stamped.pose, covariance=np.zeros(36)
    )
    message = types['nav_msgs/msg/Odometry'](
        header=stamped.header,
        child_frame_id=child,
        pose=with_covariance,
        twist=types['geometry_msgs/msg/TwistWithCovariance'](twist=twist, covariance=np.zeros(36)),
    )
    return topic, int(second * S), message


def write(
    path: Path, messages: list[Message], kind: Kind = 'mcap', *, compressed: bool = False
) -> Path:
    """Write a bag as a recorder does, with the time of the second item."""
    if kind == 'ros1':
        path = path.with_suffix('.bag')
    plugin = StoragePlugin.SQLITE3 if kind == 'sqlite3' else StoragePlugin.MCAP
    writer: Any = (
        Ros1Writer(path) if kind == 'ros1' else Writer(path, version=9, storage_plugin=plugin)
    )
    if compressed:
        writer.set_compression(*COMPRESSIONS[kind])
    store = ros1_types() if kind == 'ros1' else ros2_types()
    connections: dict[str, Any] = {}
    with writer:
        for topic, time_ns, message in messages:
            msgtype = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            raw = ros2_types().serialize_cdr(message, msgtype)
            if kind == 'ros1':
                raw = ros2_types().cdr_to_ros1(raw, msgtype)
            writer.write(connections[topic], time_ns, raw)
    return path


def read(path: Path, **options: Any) -> list[BagFrame]:
    with BagReader(path, **options) as reader:
        return list(reader)


def x_of(transform: RigidTransform | TransformError | None) -> float:
    assert isinstance(transform, RigidTransform)
    return float(transform.translation[0])
