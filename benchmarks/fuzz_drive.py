# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that drives from query to query, heard by the node's frame processor and tracker."""

from __future__ import annotations

from dataclasses import dataclass, replace
import time
from types import SimpleNamespace
from typing import Any

from fuzz_world import NS, Answer, World
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.config import NodeConfig, TrackingConfig, make_config
from relloc_ros.errors import RellocError
from relloc_ros.frames import TransformBuffer
from relloc_ros.geometry import RigidTransform, exp_so3, interpolate
from relloc_ros.ros.frame_processor import Frame, FrameProcessor
from relloc_ros.structures import Localization, SearchArea
from relloc_ros.tracker import Observation, Tracker

__all__ = [
    'BASE',
    'BASE_FROM_CAM',
    'CAMERA_FRAME',
    'MAP',
    'ODOM',
    'Event',
    'drive',
    'make_drive',
    'prepare_drive',
    'transform_message',
]

NUM_FRAMES = 8
FRAME_PERIOD_NS, TF_PERIOD_NS = NS // 2, NS // 20
START_NS = 1_000 * NS
BASE_FROM_CAM = RigidTransform(exp_so3(np.array([-1.2, 0.3, -1.1])), np.array([0.3, 0.1, 0.5]))
ODOM_FROM_MAP = RigidTransform(exp_so3(np.array([0.0, 0.0, 0.7])), np.array([5.0, -3.0, 0.0]))
CAMERA_FRAME, BASE, ODOM, MAP = 'camera', 'base_link', 'odom', 'map'


@dataclass
class Event:
    """Something that a node hears.

    Attributes:
        item: a TransformStamped, or an image.
        index: of the query that an image shows; None for a transform.
        static: whether a transform came on /tf_static.
    """

    item: Any
    index: int | None = None
    static: bool = False

    @property
    def is_image(self) -> bool:
        """Whether this is an image."""
        return self.index is not None


class _Remembered:
    """A localizer that says of each image what it says when nothing is wrong."""

    def __init__(self, world: World) -> None:
        self._world = world

    def process_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Localization:
        stamp = message.header.stamp
        found = self._world.intact(message.index)
        return replace(found, stamp_ns=int(stamp.sec) * NS + int(stamp.nanosec))


def drive(
    world: World,
    events: list[Event],
    *,
    config: NodeConfig | None = None,
    tracking: TrackingConfig | None = None,
) -> list[Answer]:
    """Let a node without ROS hear what happens.

    Args:
        world: with the queries.
        events: in the order in which they come.
        config: of the node.
        tracking: of the tracker.

    Returns:
        An answer for each image.
    """
    config = config or make_config(NodeConfig, {'transform_timeout': 0.0})
    tracking = tracking or TrackingConfig()
    buffer, tracker = TransformBuffer(), Tracker(tracking)
    processor = FrameProcessor(_Remembered(world), buffer, config, tracking)
    answers = []
    for event in events:
        if event.index is None:
            buffer.add_message(SimpleNamespace(transforms=[event.item]), static=event.static)
            continue
        query = world.query(event.index)
        frame = Frame(event.item, query.camera, 'image', time.monotonic())
        result = processor(frame)
        if result is None:
            continue
        found = result.localization
        observation = Observation(frame.stamp_ns, result.pose, result.odom_from_base, found.reason)
        verdict = tracker.update(observation)
        tracker.tick(frame.stamp_ns + NS)
        answers.append(
            Answer(
                result.pose if verdict.accepted else None,
                query.truth @ BASE_FROM_CAM.inverse(),
                verdict.reason if result.pose else found.reason,
                _shown(query.truth, frame, buffer),
                query.name,
            )
        )
    return answers


def _shown(truth: RigidTransform, frame: Frame, buffer: TransformBuffer) -> RigidTransform | None:
    """Say where the base is if the camera sits where TF says, right or wrong."""
    try:
        header = frame.message.header
        return truth @ buffer.lookup(BASE, header.frame_id, frame.stamp_ns).inverse()
    except RellocError:
        return None


def prepare_drive(world: World) -> None:
    """Localize the intact queries."""
    for number in range(min(NUM_FRAMES, world.num_queries)):
        world.intact(number)


def make_drive(world: World, base_from_cam: RigidTransform = BASE_FROM_CAM) -> list[Event]:
    """Let a robot drive from query to query, with nothing wrong."""
    events = [Event(transform_message(BASE, CAMERA_FRAME, 0, base_from_cam), static=True)]
    indices = [number % world.num_queries for number in range(NUM_FRAMES)]
    ways = [ODOM_FROM_MAP @ world.query(i).truth @ BASE_FROM_CAM.inverse() for i in indices]
    per_frame = FRAME_PERIOD_NS // TF_PERIOD_NS
    for number, index in enumerate(indices):
        after = ways[min(number + 1, len(ways) - 1)]
        stamp_ns = START_NS + number * FRAME_PERIOD_NS
        for step in range(per_frame):
            odom_from_base = interpolate(ways[number], after, step / per_frame)
            item = transform_message(ODOM, BASE, stamp_ns + step * TF_PERIOD_NS, odom_from_base)
            events.append(Event(item))
            if step == 1:
                header = SimpleNamespace(stamp=_stamp(stamp_ns), frame_id=CAMERA_FRAME)
                events.append(Event(SimpleNamespace(header=header, index=index), index))
    return events


def _stamp(stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, NS)
    return SimpleNamespace(sec=sec, nanosec=nanosec)


def transform_message(
    parent: str, child: str, stamp_ns: int, parent_from_child: RigidTransform
) -> Any:
    """Make what looks like a geometry_msgs/TransformStamped."""
    x, y, z, w = parent_from_child.quat_xyzw.tolist()
    position = dict(zip('xyz', parent_from_child.translation.tolist(), strict=True))
    return SimpleNamespace(
        header=SimpleNamespace(stamp=_stamp(stamp_ns), frame_id=parent),
        child_frame_id=child,
        transform=SimpleNamespace(
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
            translation=SimpleNamespace(**position),
        ),
    )
