# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The map's cameras and what each image says, as markers for RViz and Foxglove.

One list of lines for each kind, always under the same name: a new one replaces the old one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.ros.conversions import time_message
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.part import Part
from relloc_ros.scene_shapes import ellipsoids, evenly, frustum_lines, neighbour_distance
from relloc_ros.structures import Localization, PoseEstimate

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['MarkerOutput']

MAP_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
FRAME_QOS = QoSProfile(depth=1)

MAX_MAP_CAMERAS = 500
"""Of larger maps every so many-th camera is drawn."""
MAX_FRAME_CAMERAS = 100
"""Of each kind."""
MIN_SIZE_M, MAX_SIZE_M = 0.05, 1.0
POSE_SIZE = 1.5
"""The frame's camera, in sizes of the map's."""
THIN, THICK = 0.06, 0.12
"""Widths of lines, in sizes of a camera."""
MIN_HALF_AXIS = 0.1
"""Of ellipsoids, in sizes of a camera: smaller ones would not be seen."""

MAP_COLOUR = (0.55, 0.6, 0.7, 0.6)
RETRIEVED_COLOUR, INLIER_COLOUR = (1.0, 0.72, 0.1, 1.0), (0.2, 0.85, 0.3, 1.0)
ACCEPTED_COLOUR, REJECTED_COLOUR = (0.15, 0.5, 1.0, 1.0), (0.95, 0.15, 0.25, 1.0)
ELLIPSOID_OPACITY = 0.35

Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _DrawnMap:
    """A map, and how large its cameras are drawn, in metres."""

    reference_map: ReferenceMap
    size: float

    @classmethod
    def of(cls, reference_map: ReferenceMap) -> _DrawnMap:
        some = evenly(reference_map.num_images, MAX_MAP_CAMERAS)
        size = 0.5 * neighbour_distance(reference_map.centres[some])
        return cls(reference_map, float(np.clip(size, MIN_SIZE_M, MAX_SIZE_M)))

    def lines(self, indices: Sequence[int]) -> Array:
        """Outline cameras, (N, 2, 3) in the map; each has the shape of its own camera."""
        outlines = [
            frustum_lines(
                [self.reference_map.cam_from_map(i).inverse()],
                self.reference_map.camera(i),
                self.size,
            )
            for i in indices
        ]
        return np.concatenate([*outlines, np.empty((0, 2, 3))])


class MarkerOutput(Part):
    """`~/map_markers` once for each map; `~/markers` for each frame while somebody looks."""

    def __init__(self, session: Session) -> None:
        """Create the publishers."""
        super().__init__(session)
        create = self.node.create_publisher
        self._of_map = create(MarkerArray, '~/map_markers', MAP_QOS)
        self._of_frames = create(MarkerArray, '~/markers', FRAME_QOS)
        self._drawn = self._drawn_map()
        self._map_shown = False

    def activate(self) -> None:
        """Show the cameras of the map."""
        self._show_map()

    def deactivate(self) -> None:
        """Take back what was said of the last frame."""
        self._clear()

    def enabled_changed(self) -> None:
        """Take back what was said of the last frame."""
        self._clear()

    def map_changed(self) -> None:
        """Show the cameras of another map."""
        self._drawn = self._drawn_map()
        self._clear()
        if self.session.active:
            self._show_map()

    def forget_time(self) -> None:
        """Take back what was said before the jump."""
        self._clear()
        self._map_shown = False

    def frame_processed(self, result: FrameResult) -> None:
        """Show what an image says, if somebody looks."""
        if not self._map_shown:
            # RViz forgets all markers when time jumps back, but after it has received them: not
            # before the next image is it safe to send them again.
            self._show_map()
        if self._of_frames.get_subscription_count():
            self._of_frames.publish(MarkerArray(markers=self._frame_markers(result)))

    def close(self) -> None:
        """Destroy the publishers."""
        self.node.destroy_publisher(self._of_map)
        self.node.destroy_publisher(self._of_frames)

    def _drawn_map(self) -> _DrawnMap | None:
        reference_map = self.session.loaded.reference_map
        return None if reference_map is None else _DrawnMap.of(reference_map)

    def _show_map(self) -> None:
        self._map_shown = True
        if self._drawn is None:
            return
        some = evenly(self._drawn.reference_map.num_images, MAX_MAP_CAMERAS)
        marker = self._lines('map cameras', 0, self._drawn.lines(some), MAP_COLOUR, THIN)
        self._of_map.publish(MarkerArray(markers=[marker]))

    def _clear(self) -> None:
        if self._of_frames.get_subscription_count():
            self._of_frames.publish(
                MarkerArray(markers=[self._marker('', 0, MAP_COLOUR, Marker.DELETEALL)])
            )

    def _frame_markers(self, result: FrameResult) -> list[Marker]:
        localization, stamp_ns = result.localization, result.localization.stamp_ns
        inlying, others = _seen_images(localization)
        colour = ACCEPTED_COLOUR if result.accepted else REJECTED_COLOUR
        pose = localization.camera_pose
        return [
            self._cameras('retrieved', stamp_ns, others, RETRIEVED_COLOUR),
            self._cameras('inlier', stamp_ns, inlying, INLIER_COLOUR),
            self._pose(stamp_ns, pose, result.frame.camera, colour),
            self._ellipsoid(stamp_ns, pose, colour),
        ]

    def _cameras(self, kind: str, stamp_ns: int, names: Sequence[str], colour: Colour) -> Marker:
        lines = np.empty((0, 2, 3))
        if self._drawn is not None:
            # A frame of the map before may still be on its way.
            found = map(self._drawn.reference_map.index_of, names)
            known = [index for index in found if index is not None]
            lines = self._drawn.lines(known[:MAX_FRAME_CAMERAS])
        return self._lines(kind, stamp_ns, lines, colour, THICK)

    def _pose(
        self, stamp_ns: int, pose: PoseEstimate | None, camera: Camera, colour: Colour
    ) -> Marker:
        lines = np.empty((0, 2, 3))
        if pose is not None:
            lines = frustum_lines([pose.map_from_body], camera, POSE_SIZE * self._size())
        return self._lines('pose', stamp_ns, lines, colour, THICK)

    def _ellipsoid(self, stamp_ns: int, pose: PoseEstimate | None, colour: Colour) -> Marker:
        marker = self._marker('covariance', stamp_ns, (*colour[:3], ELLIPSOID_OPACITY))
        if pose is None:
            marker.action = Marker.DELETE
            return marker
        shape = ellipsoids([pose.covariance])
        marker.type = Marker.SPHERE
        marker.pose = _pose_message(shape.quat_wxyz[0], pose.map_from_body)
        x, y, z = np.maximum(2.0 * shape.half_axes[0], 2.0 * MIN_HALF_AXIS * self._size()).tolist()
        marker.scale = Vector3(x=x, y=y, z=z)
        return marker

    def _lines(
        self, kind: str, stamp_ns: int, lines: Array, colour: Colour, width: float
    ) -> Marker:
        marker = self._marker(kind, stamp_ns, colour)
        if not len(lines):
            # RViz takes an empty list for an error.
            marker.action = Marker.DELETE
            return marker
        marker.type = Marker.LINE_LIST
        marker.scale.x = width * self._size()
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in lines.reshape(-1, 3).tolist()]
        return marker

    def _marker(
        self, kind: str, stamp_ns: int, colour: Colour, action: int = Marker.ADD
    ) -> Marker:
        red, green, blue, opacity = colour
        marker = Marker(ns=kind, action=action)
        marker.header.frame_id = self.session.config.global_frame_id
        marker.header.stamp = time_message(stamp_ns)
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=opacity)
        # Whoever looks at odom sees them move with the map.
        marker.frame_locked = True
        return marker

    def _size(self) -> float:
        return MIN_SIZE_M if self._drawn is None else self._drawn.size


def _seen_images(localization: Localization) -> tuple[list[str], list[str]]:
    """Name the map images with inliers, and the others that were retrieved or matched."""
    inlying = {pair.image_name for pair in localization.pairs if pair.inliers.any()}
    named = [*localization.retrieved, *(pair.image_name for pair in localization.pairs)]
    names = list(dict.fromkeys(named))
    return [n for n in names if n in inlying], [n for n in names if n not in inlying]


def _pose_message(quat_wxyz: Array, at: RigidTransform) -> Pose:
    w, x, y, z = quat_wxyz.tolist()
    pose = Pose(orientation=Quaternion(x=x, y=y, z=z, w=w))
    pose.position.x, pose.position.y, pose.position.z = at.translation.tolist()
    return pose
