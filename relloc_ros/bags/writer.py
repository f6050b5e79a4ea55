# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images to a rosbag2, as a robot with a camera, odometry and motion capture records it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.bags.messages import (
    camera_info_message,
    compressed_image_message,
    image_message,
    pose_message,
    transform_message,
)
from relloc_ros.bags.new_bag import NewBag, Storage, check_new, new_bag
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3, interpolate
from relloc_ros.map.sources import PosedImage, read_image

__all__ = [
    'BASE_FRAME',
    'BASE_FROM_CAMERA',
    'CAMERA_FRAME',
    'CAMERA_INFO_TOPIC',
    'GROUND_TRUTH_TOPIC',
    'IMAGE_TOPIC',
    'MAP_FRAME',
    'ODOM_FRAME',
    'write_bag',
]

Progress = Callable[[int, int, str], None]

IMAGE_TOPIC = '/camera/image_raw'
CAMERA_INFO_TOPIC = '/camera/camera_info'
GROUND_TRUTH_TOPIC = '/ground_truth/pose'
MAP_FRAME, ODOM_FRAME, BASE_FRAME = 'map', 'odom', 'base_link'
CAMERA_FRAME = 'camera_optical_frame'

BASE_FROM_CAMERA = RigidTransform(
    np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.array([0.1, 0.0, 0.2])
)
"""Looking ahead (base: x ahead, y left, z up), 0.1 in front of the base's origin, 0.2 above."""

ODOM_FROM_MAP = RigidTransform.from_quat_wxyz(
    (np.cos(0.25), 0.0, 0.0, np.sin(0.25)), (1.0, -2.0, 0.0)
)
"""Odometry starts somewhere else: confusing odom with map must show."""

DRIFT_YAW_PER_LENGTH = 0.1
"""Heading drifts with the position: radians for each unit of length of position drift."""

ODOM_PERIOD_NS = 20_000_000
LEAD_IN_NS = 500_000_000
"""The robot stands still for this long before the first image, while listeners connect."""

LEAD_OUT_NS = 1_000_000_000
"""And after the last one, so that its odometry is not the last message."""

StampedPose = tuple[int, RigidTransform]

MAX_ODOM_STEPS = 500
"""Between two images at most this many odometry messages, should they be hours apart."""

TF_TYPE = 'tf2_msgs/msg/TFMessage'
COMPRESSED_FORMATS = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png'}


def write_bag(
    posed: Sequence[PosedImage],
    output: Path,
    *,
    storage: Storage = 'mcap',
    compressed: bool = False,
    odom_drift: float = 0.0,
    progress: Progress | None = None,
) -> None:
    """Write images, calibration, odometry, extrinsics and true poses.

    The bag gets its name when it is complete: nothing is left under it if writing fails.

    Args:
        posed: the images, in any order; their stamps must differ.
        output: folder to create.
        storage: file format.
        compressed: images as JPEG or PNG; files of these formats go in unchanged.
        odom_drift: error of the odometry, length per length travelled.
        progress: called with (images done, all images, name).

    Raises:
        DataError: output exists or cannot be written, equal stamps, an image or camera unusable.
    """
    images = sorted(posed, key=lambda image: image.stamp_ns)
    check_new(output)
    _check(images)
    with new_bag(output, storage) as bag:
        _Recording(bag, compressed).write(images, odom_drift, progress)


def _check(images: Sequence[PosedImage]) -> None:
    if not images:
        raise DataError('there are no images to write into a bag')
    for before, image in pairwise(images):
        if before.stamp_ns == image.stamp_ns:
            raise DataError(
                f'images {before.name!r} and {image.name!r} have the same stamp '
                f'{image.stamp_ns} ns: write them into different bags'
            )


class _Recording:
    """Topics of an open bag and the messages on them."""

    def __init__(self, bag: NewBag, compressed: bool) -> None:
        self._bag = bag
        self._compressed = compressed
        image_topic = f'{IMAGE_TOPIC}/compressed' if compressed else IMAGE_TOPIC
        image_type = 'CompressedImage' if compressed else 'Image'
        self._image = bag.add(image_topic, f'sensor_msgs/msg/{image_type}')
        self._info = bag.add(CAMERA_INFO_TOPIC, 'sensor_msgs/msg/CameraInfo')
        self._truth = bag.add(GROUND_TRUTH_TOPIC, 'geometry_msgs/msg/PoseStamped')
        self._tf = bag.add('/tf', TF_TYPE, 100)
        # Latched, or `ros2 bag play` gives late listeners no static transforms.
        self._tf_static = bag.add('/tf_static', TF_TYPE, 1, latched=True)

    def write(
        self, images: Sequence[PosedImage], odom_drift: float, progress: Progress | None
    ) -> None:
        """Write all messages in order of time; images must be in it."""
        truth = [image.cam_from_map.inverse() @ BASE_FROM_CAMERA.inverse() for image in images]
        odometry = _odometry(truth, odom_drift)
        start_ns = images[0].stamp_ns - LEAD_IN_NS
        extrinsics = transform_message(BASE_FRAME, CAMERA_FRAME, start_ns, BASE_FROM_CAMERA)
        self._bag.put(self._tf_static, start_ns, extrinsics)
        before = start_ns, odometry[0]
        for i, image in enumerate(images):
            now = image.stamp_ns, odometry[i]
            self._put_odometry(before, now)
            before = now
            self._bag.put(
                self._truth, image.stamp_ns, pose_message(truth[i], image.stamp_ns, MAP_FRAME)
            )
            self._put_image(image)
            if progress is not None:
                progress(i + 1, len(images), image.name)
        # The robot stands a moment longer, so that odometry outlasts the last image.
        self._put_odometry(before, (before[0] + LEAD_OUT_NS, before[1]))

    def _put_odometry(self, before: StampedPose, now: StampedPose) -> None:
        for stamp_ns, odom_from_base in _between(before, now):
            message = transform_message(ODOM_FRAME, BASE_FRAME, stamp_ns, odom_from_base)
            self._bag.put(self._tf, stamp_ns, message)

    def _put_image(self, posed: PosedImage) -> None:
        stamp_ns = posed.stamp_ns
        try:
            info = camera_info_message(posed.camera, stamp_ns, CAMERA_FRAME)
        except DataError as error:
            raise DataError(f'image {posed.name!r} cannot go into a bag: {error}') from error
        self._bag.put(self._info, stamp_ns, info)
        image = read_image(posed)
        if self._compressed:
            content, image_format = _compress(posed.path, image)
            message = compressed_image_message(content, image_format, stamp_ns, CAMERA_FRAME)
        else:
            message = image_message(image, stamp_ns, CAMERA_FRAME)
        self._bag.put(self._image, stamp_ns, message)


def _odometry(truth: Sequence[RigidTransform], drift: float) -> list[RigidTransform]:
    """Give odom_from_base for each map_from_base, with an error that grows with the way."""
    positions = np.array([map_from_base.translation for map_from_base in truth])
    steps = np.linalg.norm(np.diff(positions, axis=0, prepend=positions[:1]), axis=1)
    poses = []
    for map_from_base, error in zip(truth, drift * np.cumsum(steps), strict=True):
        yaw = DRIFT_YAW_PER_LENGTH * error
        drifted = RigidTransform(exp_so3(np.array([0.0, 0.0, yaw])), np.array([error, 0.0, 0.0]))
        poses.append(drifted @ ODOM_FROM_MAP @ map_from_base)
    return poses


def _between(before: StampedPose, now: StampedPose) -> Iterator[StampedPose]:
    """Give stamps and poses after `before` up to and with `now`."""
    duration_ns = now[0] - before[0]
    steps = min(MAX_ODOM_STEPS, max(1, duration_ns // ODOM_PERIOD_NS))
    for step in range(1, steps):
        pose = interpolate(before[1], now[1], step / steps)
        yield before[0] + step * duration_ns // steps, pose
    yield now


def _compress(path: Path, image: NDArray[np.uint8]) -> tuple[bytes, str]:
    if path.suffix.lower() in COMPRESSED_FORMATS:
        return path.read_bytes(), COMPRESSED_FORMATS[path.suffix.lower()]
    return cv2.imencode('.png', image)[1].tobytes(), 'png'
