# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coordinate frames: transforms by frame and time, and the step from the camera to the robot.

The buffer answers as tf2's does: it interpolates, never extrapolates, and static transforms hold
for all times.
"""

from __future__ import annotations

from collections.abc import Iterator
import difflib
import logging
import threading
import time
from typing import Any

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, skew
from relloc_ros.structures import PoseEstimate
from relloc_ros.transform_history import TransformError, TransformErrorKind, TransformHistory

__all__ = [
    'TransformBuffer',
    'TransformError',
    'TransformErrorKind',
    'base_pose',
    'stamp_to_ns',
    'transform_from_message',
    'transform_from_pose',
]

logger = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
DEFAULT_CACHE_NS = 10 * NS_PER_S


class _Edge:
    """What is known about a frame and its parent; static if it has no history."""

    def __init__(
        self, parent: str, cache_ns: int | None, transform: RigidTransform | None
    ) -> None:
        self.parent = parent
        self.static_transform = transform
        self.history = TransformHistory(cache_ns)

    def parent_from_child(self, stamp_ns: int, max_gap_ns: int | None) -> RigidTransform:
        if self.static_transform is not None:
            return self.static_transform
        return self.history.at(stamp_ns, max_gap_ns=max_gap_ns)


class TransformBuffer:
    """Transforms between frames over time, as on /tf and /tf_static. Safe to use from threads.

    Frame names lose a leading slash, as in tf2.
    """

    def __init__(self, cache_ns: int | None = DEFAULT_CACHE_NS) -> None:
        """Start empty.

        Args:
            cache_ns: length of the history of each moving transform; None keeps all (for bags).
        """
        self._cache_ns = cache_ns
        self._edges: dict[str, _Edge] = {}
        self._conflicts: dict[str, tuple[str, str]] = {}
        self._senseless: set[str] = set()
        self._changed = threading.Condition()

    @property
    def conflicts(self) -> dict[str, tuple[str, str]]:
        """Frames that were given two parents: frame -> (parent before, parent now)."""
        with self._changed:
            return dict(self._conflicts)

    @property
    def frames(self) -> tuple[str, ...]:
        """All frames known, by name."""
        with self._changed:
            return self._frames()

    def set_transform(
        self, parent: str, child: str, stamp_ns: int, transform: RigidTransform, *, static: bool
    ) -> None:
        """Store ``parent_from_child``. A frame with another parent before follows the new one.

        Raises:
            DataError: an empty frame name, a frame as its own parent, or a number not finite.
        """
        parent, child = _strip(parent), _strip(child)
        if not parent or not child or parent == child:
            raise DataError(f'transform from {child!r} to {parent!r} needs two different frames')
        if not np.isfinite([*transform.rotation.flat, *transform.translation]).all():
            raise DataError(
                f'transform from {child!r} to {parent!r} has a number that is not finite'
            )
        with self._changed:
            edge = self._edges.get(child)
            if edge is not None and edge.parent != parent:
                self._report_conflict(child, edge.parent, parent)
                edge = None
            if static:
                self._edges[child] = _Edge(parent, self._cache_ns, transform)
            else:
                if edge is None or edge.static_transform is not None:
                    edge = self._edges[child] = _Edge(parent, self._cache_ns, None)
                edge.history.insert(stamp_ns, transform)
            self._changed.notify_all()

    def add_message(self, message: Any, *, static: bool) -> None:
        """Store a tf2_msgs/TFMessage; what makes no sense is left out, and logged once a frame."""
        for item in message.transforms:
            try:
                self.set_transform(
                    item.header.frame_id,
                    item.child_frame_id,
                    stamp_to_ns(item.header.stamp),
                    transform_from_message(item.transform),
                    static=static,
                )
            except DataError as error:
                if item.child_frame_id not in self._senseless:
                    text = 'transform of frame %r is ignored: %s'
                    logger.warning(text, item.child_frame_id, error)
                self._senseless.add(item.child_frame_id)

    def lookup(
        self, target: str, source: str, stamp_ns: int, *, max_gap_ns: int | None = None
    ) -> RigidTransform:
        """Return ``target_from_source`` at a time.

        Args:
            target: frame of the result.
            source: frame of the points to transform.
            stamp_ns: the time.
            max_gap_ns: messages further apart than this are not interpolated.

        Raises:
            TransformError: UNKNOWN_FRAME, NOT_CONNECTED, TOO_OLD, IN_FUTURE or GAP.
        """
        with self._changed:
            return self._lookup(_strip(target), _strip(source), stamp_ns, max_gap_ns)

    def connects(self, target: str, source: str) -> bool:
        """Whether transforms lead from one frame to the other, at whatever time."""
        with self._changed:
            ends = [list(self._ancestors(_strip(frame))) for frame in (target, source)]
        return not set(ends[0]).isdisjoint(ends[1])

    def ancestors(self, frame: str) -> list[str]:
        """Give the frame, its parent, and so on up to the root."""
        with self._changed:
            return list(self._ancestors(_strip(frame)))

    def wait_for(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> RigidTransform:
        """Return ``target_from_source``, waiting for late transforms; a steady clock counts.

        Raises:
            TransformError: as `lookup`, at the end of the time, or at once if waiting cannot help.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                try:
                    return self._lookup(_strip(target), _strip(source), stamp_ns)
                except TransformError as error:
                    remaining_s = deadline - time.monotonic()
                    if error.kind is TransformErrorKind.TOO_OLD or remaining_s <= 0:
                        raise
                self._changed.wait(remaining_s)

    def clear(self, *, keep_static: bool = True) -> None:
        """Forget the moving transforms, after a jump of time; and the static ones if asked."""
        with self._changed:
            self._edges = {
                child: edge
                for child, edge in self._edges.items()
                if keep_static and edge.static_transform is not None
            }
            self._conflicts.clear()

    def _lookup(
        self, target: str, source: str, stamp_ns: int, max_gap_ns: int | None = None
    ) -> RigidTransform:
        for frame in (target, source):
            self._check_known(frame)
        targets = list(self._ancestors(target))
        sources = list(self._ancestors(source))
        common = next((frame for frame in sources if frame in targets), None)
        if common is None:
            raise TransformError(
                TransformErrorKind.NOT_CONNECTED,
                f'no transform connects {source!r} (under {sources[-1]!r}) with {target!r} '
                f'(under {targets[-1]!r})',
            )
        common_from_target = self._chain(targets[: targets.index(common)], stamp_ns, max_gap_ns)
        common_from_source = self._chain(sources[: sources.index(common)], stamp_ns, max_gap_ns)
        return common_from_target.inverse() @ common_from_source

    def _chain(self, frames: list[str], stamp_ns: int, max_gap_ns: int | None) -> RigidTransform:
        ancestor_from_frame = RigidTransform.identity()
        for frame in frames:
            edge = self._edges[frame]
            try:
                parent_from_frame = edge.parent_from_child(stamp_ns, max_gap_ns)
            except TransformError as error:
                raise TransformError(
                    error.kind, f'transform from {frame!r} to {edge.parent!r}: {error}'
                ) from error
            ancestor_from_frame = parent_from_frame @ ancestor_from_frame
        return ancestor_from_frame

    def _ancestors(self, frame: str) -> Iterator[str]:
        seen = {frame}
        yield frame
        while frame in self._edges:
            frame = self._edges[frame].parent
            if frame in seen:
                return
            seen.add(frame)
            yield frame

    def _check_known(self, frame: str) -> None:
        known = self._frames()
        if frame in known:
            return
        near = difflib.get_close_matches(frame, known, 1)
        hint = f'did you mean {near[0]!r}?' if near else f'known: {", ".join(known) or "none"}'
        raise TransformError(
            TransformErrorKind.UNKNOWN_FRAME, f'no transform names the frame {frame!r}; {hint}'
        )

    def _frames(self) -> tuple[str, ...]:
        return tuple(sorted({*self._edges, *(edge.parent for edge in self._edges.values())}))

    def _report_conflict(self, child: str, before: str, now: str) -> None:
        if self._conflicts.get(child) not in ((before, now), (now, before)):
            logger.warning(
                'frame %r has two parents, %r and %r: the newest is taken; '
                'switch one of the two publishers off',
                child,
                before,
                now,
            )
        self._conflicts[child] = (before, now)


def base_pose(camera_pose: PoseEstimate, base_from_cam: RigidTransform) -> PoseEstimate:
    """Move a pose with covariance from the camera to the robot's base.

    Args:
        camera_pose: pose of the camera's optical frame in the map.
        base_from_cam: the camera's extrinsics, taken as exact.
    """
    map_from_cam = camera_pose.map_from_body
    map_from_base = map_from_cam @ base_from_cam.inverse()
    jacobian = np.eye(6)
    jacobian[:3, 3:] = -skew(map_from_base.translation - map_from_cam.translation)
    covariance = jacobian @ camera_pose.covariance @ jacobian.T
    return PoseEstimate(map_from_base, 0.5 * (covariance + covariance.T))


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def transform_from_pose(pose: Any) -> RigidTransform:
    """Read a geometry_msgs/Pose: frame_from_body.

    Raises:
        DataError: the quaternion is not of unit length, or a number is not finite.
    """
    return _from_vectors(pose.orientation, pose.position)


def transform_from_message(transform: Any) -> RigidTransform:
    """Read a geometry_msgs/Transform: parent_from_child.

    Raises:
        DataError: the quaternion is not of unit length, or a number is not finite.
    """
    return _from_vectors(transform.rotation, transform.translation)


def _from_vectors(quaternion: Any, vector: Any) -> RigidTransform:
    return RigidTransform.from_quat_xyzw(
        (quaternion.x, quaternion.y, quaternion.z, quaternion.w), (vector.x, vector.y, vector.z)
    )


def _strip(frame: str) -> str:
    return frame.lstrip('/')
