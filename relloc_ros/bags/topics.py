# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are meant: found by type and name, or named by the user."""

from __future__ import annotations

from collections.abc import Collection, Mapping
import difflib
import re

from relloc_ros.errors import DataError

__all__ = [
    'CAMERA_INFO_TYPE',
    'ODOMETRY_TYPE',
    'POSE_TYPES',
    'TF_TYPES',
    'TRUTH_NAME',
    'find_camera_info_topic',
    'find_ground_truth_topic',
    'find_image_topic',
    'find_pose_topic',
]

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
TF_TYPES = ('tf2_msgs/msg/TFMessage', 'tf/msg/tfMessage')
ODOMETRY_TYPE = 'nav_msgs/msg/Odometry'
POSE_TYPES = (
    'geometry_msgs/msg/PoseStamped',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
)

COMPRESSED_SUFFIX = '/compressed'
COMPRESSED_DEPTH_SUFFIX = '/compressedDepth'

TRUTH_NAME = re.compile(r'ground_?truth|(^|[/_])(gt|mocap|vicon|optitrack|qualisys)([/_]|$)', re.I)
"""Names under which motion capture and simulators are recorded."""


def find_image_topic(types: Mapping[str, str], wanted: str | None) -> str:
    """Find the camera's topic; a raw image is preferred to its own compressed twin.

    Args:
        types: message type of each topic.
        wanted: the user's choice.

    Raises:
        DataError: no images, several cameras, or nothing of the wanted name.
    """
    if wanted is not None:
        return _named(types, wanted, IMAGE_TYPES, 'image')
    topics = [
        topic
        for topic, msgtype in types.items()
        if msgtype in IMAGE_TYPES
        and not topic.endswith(COMPRESSED_DEPTH_SUFFIX)
        and topic.removesuffix(COMPRESSED_SUFFIX) not in types.keys() - {topic}
    ]
    if not topics:
        raise DataError(f'it has no images (sensor_msgs Image or CompressedImage); {_list(types)}')
    return _only(topics, 'image')


def find_camera_info_topic(types: Mapping[str, str], image_topic: str, wanted: str | None) -> str:
    """Find the calibration: beside the image as image_transport has it, or the only one.

    Raises:
        DataError: none, several, or nothing of the wanted name.
    """
    if wanted is not None:
        return _named(types, wanted, (CAMERA_INFO_TYPE,), 'camera_info')
    topics = [topic for topic, msgtype in types.items() if msgtype == CAMERA_INFO_TYPE]
    if not topics:
        raise DataError(
            'it has no camera_info (sensor_msgs/CameraInfo): record it together with the images, '
            f'or give a calibration with --camera; {_list(types)}'
        )
    namespace = image_topic.removesuffix(COMPRESSED_SUFFIX).rpartition('/')[0]
    sibling = f'{namespace}/camera_info'
    return sibling if sibling in topics else _only(topics, 'camera_info')


def find_ground_truth_topic(types: Mapping[str, str], wanted: str | None) -> str | None:
    """Find the true poses: by name among poses and odometry, or the only pose; None without.

    Odometry of any name is taken only if the user names it: it drifts.

    Raises:
        DataError: several, or nothing of the wanted name.
    """
    if wanted is not None:
        return _named(types, wanted, (*POSE_TYPES, ODOMETRY_TYPE), 'ground-truth')
    poses = [topic for topic, msgtype in types.items() if msgtype in POSE_TYPES]
    odometry = [topic for topic, msgtype in types.items() if msgtype == ODOMETRY_TYPE]
    topics = [topic for topic in (*poses, *odometry) if TRUTH_NAME.search(topic)] or poses
    return _only(topics, 'ground-truth') if topics else None


def find_pose_topic(types: Mapping[str, str], wanted: str | None) -> str | None:
    """Find poses to build a map from: as `find_ground_truth_topic`, or the only odometry.

    Raises:
        DataError: several, or nothing of the wanted name.
    """
    if wanted is not None:
        return _named(types, wanted, (*POSE_TYPES, ODOMETRY_TYPE), 'pose')
    poses = [topic for topic, msgtype in types.items() if msgtype in POSE_TYPES]
    odometry = [topic for topic, msgtype in types.items() if msgtype == ODOMETRY_TYPE]
    true = [topic for topic in (*poses, *odometry) if TRUTH_NAME.search(topic)]
    topics = true or poses or odometry
    return _only(topics, 'pose') if topics else None


def _named(types: Mapping[str, str], wanted: str, accepted: Collection[str], role: str) -> str:
    topic = '/' + wanted.lstrip('/')
    if topic not in types:
        near = difflib.get_close_matches(topic, types, 1)
        hint = f'did you mean {near[0]!r}?' if near else _list(types)
        raise DataError(f'it has no messages on the {role} topic {topic!r}; {hint}')
    if types[topic] not in accepted:
        raise DataError(
            f'the {role} topic {topic!r} is of type {types[topic]}, '
            f'expected {" or ".join(accepted)}'
        )
    return topic


def _only(topics: Collection[str], role: str) -> str:
    if len(topics) > 1:
        raise DataError(
            f'it has {len(topics)} {role} topics: name one of {", ".join(sorted(topics))}'
        )
    return next(iter(topics))


def _list(types: Mapping[str, str]) -> str:
    listed = ', '.join(f'{topic} ({msgtype})' for topic, msgtype in sorted(types.items()))
    return f'its topics: {listed or "none with messages"}'
