# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known about the robot from image to image: which poses to trust."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from relloc_ros.config import TrackingConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = ['Observation', 'Tracker', 'TrackingEvent', 'TrackingState', 'Verdict']


class TrackingState(str, Enum):
    """How well the place of the robot is known."""

    SEARCHING = 'SEARCHING'
    LOCALIZED = 'LOCALIZED'
    SUSPECT = 'SUSPECT'
    LOST = 'LOST'


class TrackingEvent(str, Enum):
    """What makes an accepted pose a beginning."""

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
        reason: why it is not; '' if it is.
        event: what an accepted pose begins, None if it goes on.
        innovation: squared Mahalanobis distance to the prediction, None without one.
    """

    state: TrackingState
    accepted: bool
    reason: str = ''
    event: TrackingEvent | None = None
    innovation: float | None = None


class Tracker:
    """Judges poses one after the other."""

    def __init__(self, config: TrackingConfig) -> None:
        """Start searching."""
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Search anew."""
        self.state = TrackingState.SEARCHING
        self.last_fix: Observation | None = None

    def tick(self, now_ns: int) -> TrackingState:
        """Let time pass."""
        return self.state

    def update(self, observation: Observation) -> Verdict:
        """Judge an observation."""
        if observation.pose is None:
            return Verdict(self.state, False, observation.reason)
        event = None if self.last_fix else TrackingEvent.LOCALIZED
        self.state, self.last_fix = TrackingState.LOCALIZED, observation
        return Verdict(self.state, True, event=event)
