# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a bag has the camera's poses: transforms, or a topic of poses or odometry.

A localizer corrects map -> odom by jumps, and between two of its messages nothing moved there.
That step is therefore taken as last received when the image was, by the recorder's clock, while
everything below odom is interpolated at the image's stamp.
"""

from __future__ import annotations

from array import array
import logging
from pathlib import Path
from statistics import median
from typing import Any

from rosbags.interfaces import Connection

from relloc_ros.bags.storage import BagFile
from relloc_ros.bags.topics import ODOMETRY_TYPE, TF_TYPES, TRUTH_NAME
from relloc_ros.errors import DataError
from relloc_ros.frames import TransformBuffer, stamp_to_ns, transform_from_message
from relloc_ros.frames import transform_from_pose as read_pose
from relloc_ros.geometry import RigidTransform
from relloc_ros.transform_history import TransformHistory

__all__ = ['BagTransforms', 'PoseTopic', 'median_delay_s']

logger = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
STATIC_TF_NAME = 'tf_static'
ODOM_NAME = 'odom'

MAX_CORRECTION_AGE_NS = 5 * NS_PER_S
"""A localizer that was silent for longer has stopped, and odometry drifts from there."""


class BagTransforms:
    """All transforms of a bag.

    Attributes:
        buffer: by frame and time.
        delays_ns: time of recording less that of the stamp, of each moving transform.
    """

    def __init__(self, bag: BagFile, odom_frame: str | None) -> None:
        """Read them.

        Raises:
            DataError: the bag is damaged.
        """
        self.buffer = TransformBuffer(cache_ns=None)
        self.delays_ns = array('q')
        self._odom_frame = odom_frame and odom_frame.lstrip('/')
        self._corrections: dict[str, tuple[str, TransformHistory]] = {}
        self._span_ns: tuple[int, int] | None = None
        tf = [item for item in bag.connections if item.msgtype in TF_TYPES]
        static = [item for item in tf if _is_static(item)]
        for connection, recorded_ns, message in bag.messages(tf):
            self.buffer.add_message(message, static=_is_static(connection))
            if not _is_static(connection):
                self._note(message, recorded_ns)
        if not static:
            self._read_static_beside(bag.path)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Time of the first and of the last moving transform."""
        return self._span_ns

    def is_odom(self, frame: str) -> bool:
        """Tell whether a frame is that of odometry, by its name."""
        if self._odom_frame is not None:
            return frame == self._odom_frame
        return frame.rpartition('/')[2] == ODOM_NAME

    def lookup(
        self, target: str, source: str, stamp_ns: int, recorded_ns: int, max_gap_ns: int
    ) -> RigidTransform:
        """Give ``target_from_source`` at a stamp, across odom as last received by a time.

        Raises:
            TransformError: unknown at this time.
        """
        if target == source:
            return RigidTransform.identity()
        odom = self._odom_between(target, source)
        if odom is None:
            return self.buffer.lookup(target, source, stamp_ns, max_gap_ns=max_gap_ns)
        parent, history = self._corrections[odom]
        parent_from_odom = history.last_until(recorded_ns, MAX_CORRECTION_AGE_NS)
        above = self.lookup(target, parent, stamp_ns, recorded_ns, max_gap_ns)
        below = self.buffer.lookup(odom, source, stamp_ns, max_gap_ns=max_gap_ns)
        return above @ parent_from_odom @ below

    def _odom_between(self, target: str, source: str) -> str | None:
        """Find the odometry frame below the target and above the source that is corrected."""
        ancestors = self.buffer.ancestors(source)
        if target not in ancestors:
            return None
        between = ancestors[: ancestors.index(target)]
        return next((frame for frame in between if frame in self._corrections), None)

    def _note(self, message: Any, recorded_ns: int) -> None:
        for item in message.transforms:
            stamp_ns = stamp_to_ns(item.header.stamp)
            child = item.child_frame_id.lstrip('/')
            if self.is_odom(child):
                self._note_correction(item, child, recorded_ns)
                continue
            # A correction is stamped ahead of its time: it tells nothing of clocks.
            self.delays_ns.append(recorded_ns - stamp_ns)
            first, last = self._span_ns or (stamp_ns, stamp_ns)
            self._span_ns = min(first, stamp_ns), max(last, stamp_ns)

    def _note_correction(self, item: Any, child: str, recorded_ns: int) -> None:
        parent = item.header.frame_id.lstrip('/')
        known, history = self._corrections.setdefault(child, (parent, TransformHistory()))
        try:
            transform = transform_from_message(item.transform)
        except DataError:
            return
        if parent == known:
            history.insert(recorded_ns, transform)

    def _read_static_beside(self, path: Path) -> None:
        """Look into the first file of the recording of which this one is a part."""
        if not path.is_file() or not (path.parent / 'metadata.yaml').is_file():
            return
        try:
            with BagFile(path.parent) as whole:
                static = [item for item in whole.connections if _is_static(item)]
                for _, _, message in whole.messages(static):
                    self.buffer.add_message(message, static=True)
        except DataError as error:
            logger.warning('%s has no /tf_static, and its folder does not help: %s', path, error)


class PoseTopic:
    """Poses of a topic, each of one frame in another.

    Attributes:
        topic: its name.
        frame: frame that the poses are in.
        body: frame whose poses they are.
        delays_ns: time of recording less that of the stamp, of each message.
        drifts: whether these are nothing but odometry.
    """

    def __init__(self, bag: BagFile, topic: str, pose_frame: str | None) -> None:
        """Read them.

        Raises:
            DataError: the bag is damaged, its frames change, or the body has no name.
        """
        self.topic = topic
        self.frame = self.body = ''
        self.delays_ns = array('q')
        self._history = TransformHistory()
        self._pose_frame = pose_frame and pose_frame.lstrip('/')
        connections = [item for item in bag.connections if item.topic == topic]
        is_odometry = any(item.msgtype == ODOMETRY_TYPE for item in connections)
        self.drifts = is_odometry and not TRUTH_NAME.search(topic)
        unusable = 0
        for _, recorded_ns, message in bag.messages(connections):
            self._settle(message)
            pose = message.pose if hasattr(message.pose, 'position') else message.pose.pose
            stamp_ns = stamp_to_ns(message.header.stamp)
            try:
                self._history.insert(stamp_ns, read_pose(pose))
            except DataError as error:
                unusable += 1
                reason = error
                continue
            self.delays_ns.append(recorded_ns - stamp_ns)
        if unusable:
            logger.warning('%d poses on %s are left out: %s', unusable, topic, reason)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Time of the first and of the last pose."""
        return self._history.span_ns

    def at(self, stamp_ns: int, max_gap_ns: int) -> RigidTransform:
        """Give ``frame_from_body`` at a time.

        Raises:
            TransformError: unknown at this time.
        """
        return self._history.at(stamp_ns, max_gap_ns=max_gap_ns)

    def _settle(self, message: Any) -> None:
        frame = message.header.frame_id.lstrip('/')
        body = self._pose_frame or getattr(message, 'child_frame_id', '').lstrip('/')
        if not body:
            raise DataError(
                f'poses on {self.topic} do not say of which frame they are: name it with '
                '--pose-frame (the robot, as in --pose-frame base_link, or the camera itself)'
            )
        if self.body and (frame, body) != (self.frame, self.body):
            raise DataError(
                f'{self.topic} changes from {self.body!r} in {self.frame!r} to {body!r} in '
                f'{frame!r}: name a topic that keeps its frames with --pose-topic'
            )
        self.frame, self.body = frame, body


def median_delay_s(delays_ns: array[int]) -> float | None:
    """Median time between stamp and recording in seconds; None without any."""
    return median(delays_ns) / NS_PER_S if delays_ns else None


def _is_static(connection: Connection) -> bool:
    return connection.msgtype in TF_TYPES and connection.topic.endswith(STATIC_TF_NAME)
