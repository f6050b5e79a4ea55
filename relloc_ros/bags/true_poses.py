# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""True poses that were recorded on a topic, in the frames that are asked for."""

from __future__ import annotations

import logging
from typing import Any

from relloc_ros.errors import DataError
from relloc_ros.frames import TransformBuffer, stamp_to_ns, transform_from_pose
from relloc_ros.geometry import RigidTransform
from relloc_ros.transform_history import TransformHistory

__all__ = ['TruePoses']

logger = logging.getLogger(__name__)

MAX_TRUTH_GAP_NS = 500_000_000
"""True poses further apart than this are not interpolated."""


class TruePoses:
    """True poses of a topic, moved to the map frame and to the robot's base by TF."""

    def __init__(self, transforms: TransformBuffer, map_frame: str, base_frame: str) -> None:
        """Start without poses.

        Args:
            transforms: of the bag; may be filled later.
            map_frame: in which poses are wanted.
            base_frame: of which poses are wanted.
        """
        self._transforms = transforms
        self._map_frame, self._base_frame = map_frame, base_frame
        self._history = TransformHistory()
        self._frames: tuple[str, str] | None = None

    def add(self, message: Any) -> None:
        """Add a PoseStamped, PoseWithCovarianceStamped or Odometry.

        Raises:
            DataError: it is in other frames than those before.
        """
        frames = (
            message.header.frame_id.lstrip('/') or self._map_frame,
            getattr(message, 'child_frame_id', '').lstrip('/') or self._base_frame,
        )
        if self._frames is None:
            self._frames = frames
        if frames != self._frames:
            raise DataError(
                f'ground truth changes from {self._frames[1]!r} in {self._frames[0]!r} to '
                f'{frames[1]!r} in {frames[0]!r}: name a topic that keeps its frames'
            )
        pose = message.pose if hasattr(message.pose, 'position') else message.pose.pose
        try:
            self._history.insert(stamp_to_ns(message.header.stamp), transform_from_pose(pose))
        except DataError as error:
            logger.warning('true pose ignored: %s', error)

    def settle_frames(self, topic: str) -> None:
        """Once TF is read: frames it does not connect are taken for the ones we need."""
        if self._frames is None:
            return
        frame, body = self._frames
        if not self._connected(self._map_frame, frame):
            logger.warning('poses on %s are in %r: taken for %r', topic, frame, self._map_frame)
            frame = self._map_frame
        if not self._connected(body, self._base_frame):
            logger.warning('poses on %s are of %r: taken for %r', topic, body, self._base_frame)
            body = self._base_frame
        self._frames = frame, body

    def at(self, stamp_ns: int) -> RigidTransform | None:
        """Return map_from_base.

        Raises:
            TransformError: unknown at this time.
        """
        if self._frames is None:
            return None
        frame, body = self._frames
        frame_from_body = self._history.at(stamp_ns, max_gap_ns=MAX_TRUTH_GAP_NS)
        map_from_frame = self._between(self._map_frame, frame, stamp_ns)
        body_from_base = self._between(body, self._base_frame, stamp_ns)
        return map_from_frame @ frame_from_body @ body_from_base

    def _connected(self, target: str, source: str) -> bool:
        return target == source or self._transforms.connects(target, source)

    def _between(self, target: str, source: str, stamp_ns: int) -> RigidTransform:
        if target == source:
            return RigidTransform.identity()
        return self._transforms.lookup(target, source, stamp_ns)
