# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way that a robot has travelled by its odometry, and whether that can be followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import RigidTransform, rotation_angle

__all__ = ['Drift', 'Odometer']

NS_PER_S = 1_000_000_000

MAX_SPEED = 50.0
"""Metres per second; odometry that moves faster has been restarted. Slower jumps are told apart
from true motion by the poses alone, as those of a robot that is carried are."""
MAX_TURN_RATE = 20.0
"""Radians per second."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A way travelled, along which odometry drifts.

    Attributes:
        length: metres, there and back counted both.
        angle: radians turned, to and fro counted both.
    """

    length: float = 0.0
    angle: float = 0.0

    @classmethod
    def of(cls, motion: RigidTransform) -> Drift:
        """Take the shortest way of a motion."""
        return cls(float(np.linalg.norm(motion.translation)), rotation_angle(motion.rotation))

    def __add__(self, other: Drift) -> Drift:
        """Put two ways together."""
        return Drift(self.length + other.length, self.angle + other.angle)

    def __sub__(self, other: Drift) -> Drift:
        """Give the way since another, earlier one."""
        return Drift(self.length - other.length, self.angle - other.angle)


class Odometer:
    """Adds up the way from image to image.

    Attributes:
        travelled: the way until the newest image.
        works: whether there is odometry; for a while also where single images lack it.
    """

    def __init__(self, patience_s: float) -> None:
        """Start at zero.

        Args:
            patience_s: odometry missing for longer is taken to be gone for good.
        """
        self.travelled = Drift()
        self._patience_s = patience_s
        self._last: tuple[int, RigidTransform] | None = None
        self._missing_ns: int | None = None

    @property
    def works(self) -> bool:
        """Whether there is odometry."""
        return self._last is not None

    def follow(self, stamp_ns: int, odom_from_base: RigidTransform | None) -> str | None:
        """Take the odometry of an image.

        Args:
            stamp_ns: of the image. Odometry older than the last is passed over.
            odom_from_base: None if not known.

        Returns:
            None if it goes on. If it does not, so that nothing before can be compared with what
            comes, a sentence; '' where it just begins.
        """
        last = self._last
        duration_s = 0.0 if last is None else (stamp_ns - last[0]) / NS_PER_S
        if odom_from_base is None:
            # Not since the last: one image with a wrong stamp proves nothing.
            self._missing_ns = stamp_ns if self._missing_ns is None else self._missing_ns
            if stamp_ns - self._missing_ns > self._patience_s * NS_PER_S:
                self._last = None
            return None
        self._missing_ns = None
        if last is None:
            self._last = stamp_ns, odom_from_base
            return ''
        if duration_s <= 0.0:
            return None
        self._last = stamp_ns, odom_from_base
        step = Drift.of(last[1].inverse() @ odom_from_base)
        if step.length > MAX_SPEED * duration_s or step.angle > MAX_TURN_RATE * duration_s:
            return f'odometry jumped by {step.length:.1f} m in {duration_s:.2f} s'
        self.travelled += step
        return None
