# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry that was recorded as messages, for bags without its transforms."""

from __future__ import annotations

import logging
from typing import Any

from relloc_ros.errors import DataError
from relloc_ros.frames import stamp_to_ns, transform_from_pose
from relloc_ros.geometry import RigidTransform
from relloc_ros.transform_history import TransformHistory

__all__ = ['RecordedOdometry']

logger = logging.getLogger(__name__)

MAX_GAP_NS = 500_000_000
"""Poses further apart than this are not interpolated."""


class RecordedOdometry:
    """Odometry messages of the robot's base, of the first topic that has any.

    Attributes:
        topic: that topic; empty as long as there is none.
    """

    def __init__(self, odom_frame: str, base_frame: str) -> None:
        """Start without messages.

        Args:
            odom_frame: the `frame_id` of messages that are taken.
            base_frame: their `child_frame_id`.
        """
        self.topic = ''
        self._frames = odom_frame.lstrip('/'), base_frame.lstrip('/')
        self._history = TransformHistory()

    def add(self, topic: str, message: Any) -> None:
        """Take a nav_msgs/Odometry; of other frames or another topic it is passed over."""
        frames = message.header.frame_id.lstrip('/'), message.child_frame_id.lstrip('/')
        if frames != self._frames or topic != (self.topic or topic):
            return
        try:
            pose = transform_from_pose(message.pose.pose)
        except DataError as error:
            logger.warning('odometry on %s ignored: %s', topic, error)
            return
        self.topic = topic
        self._history.insert(stamp_to_ns(message.header.stamp), pose)

    def at(self, stamp_ns: int) -> RigidTransform:
        """Return odom_from_base.

        Raises:
            TransformError: unknown at this time.
        """
        return self._history.at(stamp_ns, max_gap_ns=MAX_GAP_NS)
