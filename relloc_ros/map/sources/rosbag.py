# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rosbags of ROS 1 and 2: images, camera_info, and poses from transforms or a topic.

The images stay in the bag and are named by topic and stamp. Their poses are those of the camera's
optical frame (frame_id of the images) in the map's frame, at the images' stamps.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
import logging
from pathlib import Path
from typing import Protocol

from relloc_ros.bags.storage import BagFile, is_bag
from relloc_ros.bags.topics import ODOMETRY_TYPE, POSE_TYPES, find_pose_topic
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.association import associate, max_gap_ns
from relloc_ros.map.sources.reading import (
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    locating_errors,
)
from relloc_ros.map.sources.rosbag_images import BagImage, BagImages, BagPixels, list_images
from relloc_ros.map.sources.rosbag_poses import BagTransforms, PoseTopic, median_delay_s

__all__ = ['ROSBAG']

logger = logging.getLogger(__name__)

DEFAULT_MAP_FRAME, DEFAULT_POSE_FRAME = 'map', 'base_link'
TF_TOPIC = 'tf'

DRIFT = 'are odometry, which drifts: the map is only as straight as that'

IMAGES_TRIED = 3

CLOCK_TOLERANCE_S = 0.1
"""Delays of images and poses that differ by more are worth a warning."""


class _Poses(Protocol):
    """The camera's poses over time."""

    title: str
    delays_ns: array[int]

    @property
    def span_ns(self) -> tuple[int, int] | None: ...

    def lookup(self, stamp_ns: int, image: BagImage) -> RigidTransform:
        """Give map_from_cam; raises TransformError."""
        ...


def _read(source: Path, options: SourceOptions) -> SourceImages:
    if options.images is not None:
        raise DataError(f'--images is for files: the images of bag {source} are in it')
    with BagFile(source) as bag, locating_errors(f'bag {source}'):
        topic, images = list_images(bag, options)
        transforms = BagTransforms(bag, options.odom_frame)
        poses = _choose_poses(bag, transforms, images, options)
    _report_clocks(source, topic, images, poses)
    posed = associate(
        ((image.stamp_ns, image) for image in images),
        poses.lookup,
        poses.span_ns,
        source,
        options,
    )
    store = BagImages(source, topic)
    found = []
    for image, map_from_cam in posed:
        pixels = BagPixels(store, image.recorded_ns, image.stamp_ns, image.name)
        pose = map_from_cam.inverse()
        found.append(SourceImage(image.name, image.camera, pose, image.stamp_ns, pixels))
    _check_last(found)
    return SourceImages(found, source)


def _check_last(images: Sequence[SourceImage]) -> None:
    """See a wrong size now, not in the middle of a long build; a few may be damaged."""
    problem = None
    for image in images[-IMAGES_TRIED:]:
        try:
            if image.pixels is not None:
                image.pixels.read(image.camera)
                return
        except DataError as error:
            problem = error
    if problem is not None:
        raise problem


def _camera_frame(images: Sequence[BagImage], options: SourceOptions) -> str:
    if options.camera_frame:
        return options.camera_frame.lstrip('/')
    frames = sorted({image.frame_id for image in images})
    if frames == [''] or len(frames) > 1:
        raise DataError(
            f'the images have the frame_id {" and ".join(map(repr, frames))}: name the '
            "camera's optical frame with --camera-frame"
        )
    return frames[0]


def _choose_poses(
    bag: BagFile, transforms: BagTransforms, images: Sequence[BagImage], options: SourceOptions
) -> _Poses:
    # With extrinsics given, transforms need to lead no further than the frame they start from.
    if options.extrinsics is None:
        camera_frame = _camera_frame(images, options)
    else:
        camera_frame = (options.pose_frame or DEFAULT_POSE_FRAME).lstrip('/')
    types = {item.topic: item.msgtype for item in bag.connections}
    map_frame = (options.map_frame or DEFAULT_MAP_FRAME).lstrip('/')
    wants_tf = options.pose_topic is not None and options.pose_topic.strip('/') == TF_TOPIC
    is_connected = transforms.buffer.connects(map_frame, camera_frame)
    if is_connected and (wants_tf or options.pose_topic is None):
        others = [topic for topic in types if types[topic] in (*POSE_TYPES, ODOMETRY_TYPE)]
        if others:
            logger.info('poses are also on %s: --pose-topic takes them', ', '.join(others))
        return _TransformPoses(transforms, map_frame, camera_frame, options)
    topic = None if wants_tf else find_pose_topic(types, options.pose_topic)
    if topic is None:
        raise DataError(_no_poses(transforms, map_frame, camera_frame))
    poses = PoseTopic(bag, topic, options.pose_frame)
    if options.extrinsics is not None:
        camera_frame = poses.body
    return _TopicPoses(poses, transforms, camera_frame, options)


def _no_poses(transforms: BagTransforms, map_frame: str, camera_frame: str) -> str:
    frames = transforms.buffer.frames
    if not frames:
        return (
            'it has no poses: record /tf and /tf_static, or a topic of PoseStamped, '
            'PoseWithCovarianceStamped or Odometry'
        )
    text = f'its transforms do not connect {map_frame!r} with the camera {camera_frame!r}'
    if camera_frame not in frames:
        return (
            f'{text}, which they do not name (known: {", ".join(frames)}): name it with '
            '--camera-frame, take the whole recording (/tf_static may be in its first file), or '
            'say where the camera is with --extrinsics'
        )
    root = transforms.buffer.ancestors(camera_frame)[-1]
    return (
        f'{text}: the camera hangs below {root!r}. Name the frame of the map with --map-frame '
        '(odometry drifts), or a topic with --pose-topic'
    )


class _TransformPoses:
    """Poses from /tf and /tf_static."""

    def __init__(
        self,
        transforms: BagTransforms,
        map_frame: str,
        camera_frame: str,
        options: SourceOptions,
    ) -> None:
        self.title = f'transforms from {camera_frame!r} to {map_frame!r}'
        self.delays_ns = transforms.delays_ns
        self._transforms = transforms
        self._map_frame, self._camera_frame = map_frame, camera_frame
        self._extrinsics = options.extrinsics or RigidTransform.identity()
        self._max_gap_ns = max_gap_ns(options)
        if transforms.is_odom(map_frame):
            logger.warning('poses in %r %s', map_frame, DRIFT)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        return self._transforms.span_ns

    def lookup(self, stamp_ns: int, image: BagImage) -> RigidTransform:
        map_from_cam = self._transforms.lookup(
            self._map_frame, self._camera_frame, stamp_ns, image.recorded_ns, self._max_gap_ns
        )
        return map_from_cam @ self._extrinsics


class _TopicPoses:
    """Poses of a topic, moved to the map's frame and to the camera by transforms."""

    def __init__(
        self,
        poses: PoseTopic,
        transforms: BagTransforms,
        camera_frame: str,
        options: SourceOptions,
    ) -> None:
        self.title = f'poses of {poses.body!r} in {poses.frame!r} on {poses.topic}'
        self.delays_ns = poses.delays_ns
        self._poses, self._transforms = poses, transforms
        self._camera_frame = camera_frame
        self._extrinsics = options.extrinsics or RigidTransform.identity()
        self._max_gap_ns = max_gap_ns(options)
        buffer = transforms.buffer
        if not buffer.connects(poses.body, camera_frame):
            raise DataError(
                f'no transforms connect {poses.body!r}, whose poses are on {poses.topic}, with '
                f'the camera {camera_frame!r} (known: {", ".join(buffer.frames) or "none"}): name '
                'the right frames with --pose-frame and --camera-frame, take the whole recording '
                '(/tf_static may be in its first file), or say where the camera is with '
                '--extrinsics'
            )
        self._map_frame = (options.map_frame or DEFAULT_MAP_FRAME).lstrip('/')
        if not buffer.connects(self._map_frame, poses.frame):
            if options.map_frame:
                raise DataError(
                    f'no transforms connect {self._map_frame!r} with {poses.frame!r}, the frame '
                    f'of the poses on {poses.topic}'
                )
            self._map_frame = poses.frame
        if poses.drifts and self._map_frame == poses.frame:
            logger.warning('poses on %s %s', poses.topic, DRIFT)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        return self._poses.span_ns

    def lookup(self, stamp_ns: int, image: BagImage) -> RigidTransform:
        frame_from_body = self._poses.at(stamp_ns, self._max_gap_ns)
        when = stamp_ns, image.recorded_ns, self._max_gap_ns
        map_from_frame = self._transforms.lookup(self._map_frame, self._poses.frame, *when)
        body_from_cam = self._transforms.lookup(self._poses.body, self._camera_frame, *when)
        return map_from_frame @ frame_from_body @ body_from_cam @ self._extrinsics


def _report_clocks(source: Path, topic: str, images: Collection[BagImage], poses: _Poses) -> None:
    """Compare the clocks that stamped images and poses, by way of the recorder's."""
    image_delays = array('q', (image.recorded_ns - image.stamp_ns for image in images))
    image_delay_s, pose_delay_s = median_delay_s(image_delays), median_delay_s(poses.delays_ns)
    if image_delay_s is None or pose_delay_s is None:
        logger.info('%s: images of %s, %s', source, topic, poses.title)
        return
    logger.info(
        '%s: images of %s, recorded %.3f s after their stamps; %s, %.3f s (medians)',
        source,
        topic,
        image_delay_s,
        poses.title,
        pose_delay_s,
    )
    difference_s = image_delay_s - pose_delay_s
    if abs(difference_s) > CLOCK_TOLERANCE_S:
        logger.warning(
            '%s: images were recorded %.3f s after their stamps, poses %.3f s: if their clocks '
            'differ, --time-offset %.3f makes up for it',
            source,
            image_delay_s,
            pose_delay_s,
            difference_s,
        )


ROSBAG = SourceFormat(
    'a rosbag',
    'metadata.yaml or an .mcap or .db3 file in it, or a file ending in .bag, .mcap or .db3',
    is_bag,
    _read,
    frozenset(
        {
            'camera',
            'max_pose_gap',
            'time_offset',
            'image_topic',
            'camera_info_topic',
            'pose_topic',
            'map_frame',
            'pose_frame',
            'camera_frame',
            'odom_frame',
            'extrinsics',
        }
    ),
)
