# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera images from a bag, each with calibration, extrinsics and true pose.

Reads as the node listens: the camera_info of an image is the last one recorded before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection

from relloc_ros.bags.odometry import RecordedOdometry
from relloc_ros.bags.storage import BagFile
from relloc_ros.bags.topics import (
    CAMERA_INFO_TYPE,
    ODOMETRY_TYPE,
    TF_TYPES,
    find_camera_info_topic,
    find_ground_truth_topic,
    find_image_topic,
)
from relloc_ros.bags.true_poses import TruePoses
from relloc_ros.errors import DataError
from relloc_ros.frames import TransformBuffer, TransformError
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import stamp_of

__all__ = ['BagFrame', 'BagReader']

TF_GROUND_TRUTH = '/tf'
STATIC_TF_NAME = 'tf_static'

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class BagFrame:
    """One image of a bag and what belongs to it.

    Attributes:
        image_msg: sensor_msgs/Image or CompressedImage.
        camera_info_msg: the camera_info in force; None if none came before the image.
        stamp_ns: the image's stamp.
        topic: the image's topic.
        base_from_cam: extrinsics from TF at the stamp, or why there are none.
        truth: true map_from_base at the stamp; None if unknown.
        odom_from_base: odometry at the stamp; None if unknown.
    """

    image_msg: Any
    camera_info_msg: Any | None
    stamp_ns: int
    topic: str
    base_from_cam: RigidTransform | TransformError
    truth: RigidTransform | None
    odom_from_base: RigidTransform | None = None


class BagReader:
    """Reads the frames of one camera from a bag of ROS 1 or 2. A context manager.

    Attributes:
        path: the bag.
        image_topic: where the images come from.
        camera_info_topic: where the calibration comes from.
        ground_truth_topic: where the true poses come from, '/tf' for map -> base; empty without.
        transforms: all of /tf and /tf_static.
    """

    def __init__(
        self,
        path: Path,
        *,
        image_topic: str | None = None,
        camera_info_topic: str | None = None,
        ground_truth_topic: str | None = None,
        map_frame: str = 'map',
        base_frame: str = 'base_link',
        camera_frame: str = '',
        odom_frame: str = 'odom',
        camera_info: Any | None = None,
        time_offset: float = 0.0,
    ) -> None:
        """Open the bag, choose the topics, and read all transforms and true poses.

        Args:
            path: .bag, rosbag2 folder, .mcap or .db3.
            image_topic: needed where there are several cameras.
            camera_info_topic: needed where it cannot be told which belongs to the images.
            ground_truth_topic: PoseStamped, PoseWithCovarianceStamped or Odometry; '/tf' for TF.
            map_frame: frame of the true poses.
            base_frame: the robot's frame, whose true poses are meant.
            camera_frame: the optical frame; empty takes it from the images.
            odom_frame: frame of odometry, which is that of TF, or of Odometry messages if TF has
                none.
            camera_info: calibration to take instead of the bag's own.
            time_offset: seconds to add to the images' stamps before poses are looked up.

        Raises:
            DataError: no bag, damaged, no images, no camera_info, or ambiguous topics.
        """
        self.path = path
        self.transforms = TransformBuffer(cache_ns=None)
        self._map_frame, self._base_frame = map_frame, base_frame
        self._camera_frame, self._odom_frame = camera_frame, odom_frame
        self._camera_info, self._offset_ns = camera_info, round(time_offset * NS_PER_S)
        self._bag = BagFile(path)
        try:
            self._choose_topics(image_topic, camera_info_topic, ground_truth_topic)
            self._truth = TruePoses(self.transforms, map_frame, base_frame)
            self._recorded = RecordedOdometry(odom_frame, base_frame)
            self._read_poses()
            self._read_odometry()
        except BaseException:
            self._bag.close()
            raise

    def __len__(self) -> int:
        """Count the images."""
        return sum(connection.msgcount for connection in self._connections(self.image_topic))

    def __iter__(self) -> Iterator[BagFrame]:
        """Give the frames in order of recording.

        Raises:
            DataError: the bag is damaged.
        """
        images = self._connections(self.image_topic)
        infos = self._connections(self.camera_info_topic)
        info = self._camera_info
        first_info = next((message for _, _, message in self._bag.messages(infos)), None)
        for connection, _, message in self._bag.messages([*images, *infos]):
            if connection.msgtype == CAMERA_INFO_TYPE:
                info = message
                continue
            # Image and camera_info of one stamp may be recorded in either order.
            if info is None and first_info and stamp_of(first_info) == stamp_of(message):
                info = first_info
            yield self._frame(message, info)

    @property
    def has_odometry(self) -> bool:
        """Whether any is known, from TF or from messages, at whatever time."""
        in_tf = self.transforms.connects(self._odom_frame, self._base_frame)
        return in_tf or bool(self._recorded.topic)

    def close(self) -> None:
        """Close the files."""
        self._bag.close()

    def __enter__(self) -> BagReader:
        """Return the open reader."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()

    def _choose_topics(
        self, image: str | None, camera_info: str | None, ground_truth: str | None
    ) -> None:
        types = {item.topic: item.msgtype for item in self._bag.connections}
        self._use_tf_truth = ground_truth is not None and ground_truth.strip('/') == 'tf'
        try:
            self.image_topic = find_image_topic(types, image)
            self.camera_info_topic = (
                find_camera_info_topic(types, self.image_topic, camera_info)
                if self._camera_info is None
                else ''
            )
            self.ground_truth_topic = (
                TF_GROUND_TRUTH
                if self._use_tf_truth
                else find_ground_truth_topic(types, ground_truth) or ''
            )
        except DataError as error:
            raise DataError(f'bag {self.path}: {error}') from error

    def _read_poses(self) -> None:
        tf = [item for item in self._bag.connections if item.msgtype in TF_TYPES]
        truth = [] if self._use_tf_truth else self._connections(self.ground_truth_topic)
        for connection, _, message in self._bag.messages([*tf, *truth]):
            if connection.msgtype in TF_TYPES:
                name = connection.topic.rpartition('/')[2]
                self.transforms.add_message(message, static=name == STATIC_TF_NAME)
            else:
                self._truth.add(message)
        self._truth.settle_frames(self.ground_truth_topic)
        if not self.ground_truth_topic and self.transforms.connects(
            self._map_frame, self._base_frame
        ):
            self.ground_truth_topic, self._use_tf_truth = TF_GROUND_TRUTH, True

    def _read_odometry(self) -> None:
        """Read what TF does not have."""
        if self.has_odometry:
            return
        odometry = [
            item
            for item in self._bag.connections
            if item.msgtype == ODOMETRY_TYPE and item.topic != self.ground_truth_topic
        ]
        for connection, _, message in self._bag.messages(odometry):
            self._recorded.add(connection.topic, message)

    def _connections(self, topic: str) -> list[Connection]:
        return [item for item in self._bag.connections if item.topic == topic]

    def _frame(self, image: Any, info: Any | None) -> BagFrame:
        stamp_ns = stamp_of(image)
        when_ns = stamp_ns + self._offset_ns
        frame = self._camera_frame or image.header.frame_id
        base_from_cam: RigidTransform | TransformError
        try:
            base_from_cam = self.transforms.lookup(self._base_frame, frame, when_ns)
        except TransformError as error:
            base_from_cam = error
        return BagFrame(
            image_msg=image,
            camera_info_msg=info,
            stamp_ns=stamp_ns,
            topic=self.image_topic,
            base_from_cam=base_from_cam,
            truth=self._true_pose(when_ns),
            odom_from_base=self._odometry(when_ns),
        )

    def _odometry(self, stamp_ns: int) -> RigidTransform | None:
        try:
            if self._recorded.topic:
                return self._recorded.at(stamp_ns)
            return self.transforms.lookup(self._odom_frame, self._base_frame, stamp_ns)
        except TransformError:
            return None

    def _true_pose(self, stamp_ns: int) -> RigidTransform | None:
        try:
            if self._use_tf_truth:
                return self.transforms.lookup(self._map_frame, self._base_frame, stamp_ns)
            return self._truth.at(stamp_ns)
        except TransformError:
            return None
