# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images to a rosbag2, as a robot with a camera, odometry and motion capture records it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
    kidnap: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write images, calibration, odometry, extrinsics and true poses.

    The bag gets its name when it is complete: nothing is left under it if writing fails.

    A kidnapped robot is carried, from one image to the next, to where another image was taken.
    Odometry says that it stands still meanwhile; the sequence goes on from there, its stamps
    moved so that time goes on, too.

    Args:
        posed: the images, in any order; their stamps must differ.
        output: folder to create.
        storage: file format.
        compressed: images as JPEG or PNG; files of these formats go in unchanged.
        odom_drift: error of the odometry, length per length travelled.
        kidnap: index, in order of time, of the last image before the robot is carried away, and
            of the image where it is put down.
        progress: called with (images done, all images, name).

    Raises:
        DataError: output exists or cannot be written, equal stamps, an image or camera unusable,
            fewer images than `kidnap` speaks of.
    """
    images = sorted(posed, key=lambda image: image.stamp_ns)
    check_new(output)
    _check(images)
    carried_after = None
    if kidnap is not None:
        images, carried_after = _carried(images, *kidnap), kidnap[0]
    with new_bag(output, storage) as bag:
        odometry = _odometry(_base_poses(images), odom_drift, carried_after)
        _Recording(bag, compressed).write(images, odometry, progress)


def _check(images: Sequence[PosedImage]) -> None:
    if not images:
        raise DataError('there are no images to write into a bag')
    for before, image in pairwise(images):
        if before.stamp_ns == image.stamp_ns:
            raise DataError(
                f'images {before.name!r} and {image.name!r} have the same stamp '
                f'{image.stamp_ns} ns: write them into different bags'
            )


def _carried(images: Sequence[PosedImage], last: int, landing: int) -> list[PosedImage]:
    """Let the sequence go on at another image; their times apart stay what they are."""
    there = 0 <= last < len(images) and 0 <= landing < len(images)
    if not there or landing in (last, last + 1):
        raise DataError(
            f'the robot cannot be carried from image {last + 1} to image {landing + 1} of '
            f'{len(images)}: name two that do not follow each other anyway'
        )
    stamps = np.array([image.stamp_ns for image in images], dtype=np.int64)
    pause_ns = int(np.median(np.diff(stamps)))
    shift_ns = int(stamps[last]) + pause_ns - int(stamps[landing])
    after = [replace(image, stamp_ns=image.stamp_ns + shift_ns) for image in images[landing:]]
    return [*images[: last + 1], *after]


def _base_poses(images: Sequence[PosedImage]) -> list[RigidTransform]:
    """Give map_from_base of each image."""
    return [image.cam_from_map.inverse() @ BASE_FROM_CAMERA.inverse() for image in images]


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
        self,
        images: Sequence[PosedImage],
        odometry: Sequence[RigidTransform],
        progress: Progress | None,
    ) -> None:
        """Write all messages in order of time; images must be in it."""
        truth = _base_poses(images)
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


def _odometry(
    truth: Sequence[RigidTransform], drift: float, carried_after: int | None
) -> list[RigidTransform]:
    """Give odom_from_base for each map_from_base.

    Args:
        truth: map_from_base.
        drift: error that grows with the way, length per length.
        carried_after: index of the last pose before a motion that odometry does not notice.
    """
    odom_from_map, way = ODOM_FROM_MAP, 0.0
    poses: list[RigidTransform] = []
    for i, map_from_base in enumerate(truth):
        if i and i - 1 == carried_after:
            odom_from_map = odom_from_map @ truth[i - 1] @ map_from_base.inverse()
        elif i:
            step = map_from_base.translation - truth[i - 1].translation
            way += float(np.linalg.norm(step))
        error = drift * way
        turn = exp_so3(np.array([0.0, 0.0, DRIFT_YAW_PER_LENGTH * error]))
        drifted = RigidTransform(turn, np.array([error, 0.0, 0.0]))
        poses.append(drifted @ odom_from_map @ map_from_base)
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
