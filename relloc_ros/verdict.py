# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker is told of an image, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = ['Observation', 'TrackingEvent', 'TrackingState', 'Verdict']


class TrackingState(str, Enum):
    """How well the place of the robot is known.

    SEARCHING: not known; poses are collected until enough of them agree.
    LOCALIZED: the last image confirmed it, or a moment ago.
    SUSPECT: images contradict it, or none has confirmed it for a while.
    LOST: none has confirmed it for so long, or over such a distance, that odometry is no help.
    """

    SEARCHING = 'SEARCHING'
    LOCALIZED = 'LOCALIZED'
    SUSPECT = 'SUSPECT'
    LOST = 'LOST'


class TrackingEvent(str, Enum):
    """What an accepted pose begins.

    LOCALIZED: the first fix.
    RELOCALIZED: the first after the track was lost, or given up.
    KIDNAPPED: the first that contradicts the track: the robot was carried away, or the track was
        wrong.
    """

    LOCALIZED = 'LOCALIZED'
    RELOCALIZED = 'RELOCALIZED'
    KIDNAPPED = 'KIDNAPPED'


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What an image said.

    Attributes:
        stamp_ns: of the image.
        pose: of the robot's base in the map; None unless localized.
        odom_from_base: odometry at the stamp; None if not known.
        reason: why there is no pose.
    """

    stamp_ns: int
    pose: PoseEstimate | None
    odom_from_base: RigidTransform | None
    reason: str = ''


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made of an observation.

    Attributes:
        state: from now on.
        accepted: whether the pose is trusted.
        reason: why it is not, or what an event means; else ''.
        event: what an accepted pose begins, None if it goes on.
        innovation: squared Mahalanobis distance to the prediction, None without one.
        fused: an accepted pose by those before and odometry; None if poses stay as they are.
    """

    state: TrackingState
    accepted: bool
    reason: str = ''
    event: TrackingEvent | None = None
    innovation: float | None = None
    fused: PoseEstimate | None = None
