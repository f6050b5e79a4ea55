# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways of a camera in a hand: smooth, never twice the same, as long as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import Array, RigidTransform

__all__ = [
    'EYE',
    'FRAME_PERIOD_S',
    'STREET_WIDTH',
    'WALL_DISTANCE',
    'Path',
    'along_facade',
    'along_line',
    'pitch_to_front',
    'pose_looking',
    'through_room',
]

FRAME_PERIOD_S = 0.5
"""Between images."""

Course = Callable[[float], float]
"""A quantity over the time in seconds."""

TURN_RATE_DEG_S = 24.0
WALL_DISTANCE = 1.05
STREET_WIDTH = 10.5
EYE = 1.6
TREMOR_DEG, TREMOR_M = 0.12, 0.003
UNSTEADY_DEG, UNSTEADY_M = 3.0, 0.02
"""How far a hand is off what it is led along."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way through a world.

    Attributes:
        x: of the camera's centre in the map, metres; z is up.
        y: likewise.
        z: likewise.
        yaw: of the viewing direction, degrees from x towards y.
        pitch: upwards, degrees.
        roll: of the camera clockwise about the viewing direction, degrees.
    """

    x: Course
    y: Course
    z: Course
    yaw: Course
    pitch: Course
    roll: Course

    def map_from_cam(self, time: float) -> RigidTransform:
        """Pose at a time in seconds, which may be any."""
        centre = np.array([self.x(time), self.y(time), self.z(time)])
        return pose_looking(centre, self.yaw(time), self.pitch(time), self.roll(time))


def pose_looking(
    centre: Array, yaw_deg: float, pitch_deg: float = 0.0, roll_deg: float = 0.0
) -> RigidTransform:
    """Pose map_from_cam of a camera at `centre` (3,), in a map whose z is up; angles as `Path`."""
    yaw, pitch, roll = np.deg2rad([yaw_deg, pitch_deg, roll_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    level = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    below = np.cross(forward, level)
    right = np.cos(roll) * level + np.sin(roll) * below
    down = np.cos(roll) * below - np.sin(roll) * level
    return RigidTransform(np.column_stack([right, down, forward]), np.array(centre, dtype=float))


def through_room(rng: np.random.Generator, size: Array) -> Path:
    """Turn round again and again in a room (3,), with the part that is seen on the other side."""
    rate = TURN_RATE_DEG_S * rng.choice([-1.0, 1.0])
    start = rng.uniform(0, 360)
    swing = _waves(rng, 14.0, (5.0, 17.0))
    away = _waves(rng, 0.22, (7.0, 31.0))
    free = size[:2] / 2 - WALL_DISTANCE
    aside = [_waves(rng, 0.3, (6.0, 23.0)) for _ in range(2)]
    tremor = _tremor(rng, TREMOR_M)

    def along(axis: int) -> Course:
        def course(time: float) -> float:
            angle = np.deg2rad(start + rate * time)
            side = np.sin(angle) if axis else np.cos(angle)
            share = -side * (0.72 + away(time)) + aside[axis](time)
            return float(np.clip(share, -1.0, 1.0) * free[axis] + tremor(time))

        return course

    height, quiver = _waves(rng, 0.2, (5.0, 19.0)), _tremor(rng, TREMOR_DEG)
    return Path(
        along(0),
        along(1),
        lambda time: 1.45 + height(time),
        lambda time: start + rate * time + swing(time) + quiver(time),
        _sum(_waves(rng, 9.0, (4.0, 13.0)), -9.0, _tremor(rng, TREMOR_DEG)),
        _sum(_waves(rng, 4.0, (3.0, 11.0)), 0.0, _tremor(rng, TREMOR_DEG)),
    )


def along_facade(rng: np.random.Generator, size: Array) -> Path:
    """Walk to and fro before a front of a width and height (2,), which is y = 0 seen from -y."""
    width, height = size
    period, phase = rng.uniform(35.0, 50.0), rng.uniform(0, 2 * np.pi)
    wander, distance = _waves(rng, 0.08 * width, (9.0, 29.0)), _waves(rng, 1.8, (11.0, 37.0))
    swing, tremor = _waves(rng, 14.0, (5.0, 17.0)), _tremor(rng, TREMOR_M)

    def walked(time: float) -> float:
        return float(0.4 * width * np.sin(2 * np.pi * time / period + phase) + wander(time))

    def yaw(time: float) -> float:
        inwards = 28.0 * walked(time) / width
        return 90.0 + inwards + swing(time)

    return Path(
        lambda time: walked(time) + tremor(time),
        lambda time: -STREET_WIDTH + distance(time),
        _sum(_waves(rng, 0.1, (2.0, 9.0)), EYE, tremor),
        yaw,
        _sum(_waves(rng, 6.0, (4.0, 13.0)), pitch_to_front(height), _tremor(rng, TREMOR_DEG)),
        _sum(_waves(rng, 3.0, (3.0, 11.0)), 0.0, _tremor(rng, TREMOR_DEG)),
    )


def pitch_to_front(height: float) -> float:
    """Degrees upwards in which a house of a height in metres fills the image from the street."""
    return float(np.rad2deg(np.arctan2(0.3 * height - EYE, STREET_WIDTH)))


def along_line(
    rng: np.random.Generator,
    line: tuple[float, float, float, float],
    pitch_deg: float,
    duration: float,
) -> Path:
    """Go straight on while looking towards +y, with a hand that is not quite steady.

    Args:
        rng: of the hand.
        line: x at the start and at the end, y and z; metres.
        pitch_deg: upwards, degrees.
        duration: seconds from start to end.
    """
    start, end, y, z = line
    aside, above = (_waves(rng, UNSTEADY_M, (2.0, 9.0)) for _ in range(2))
    yaw, pitch, roll = (_waves(rng, UNSTEADY_DEG, (3.0, 13.0)) for _ in range(3))
    return Path(
        lambda time: start + (end - start) * time / duration,
        lambda time: y + aside(time),
        lambda time: z + above(time),
        lambda time: 90.0 + yaw(time),
        lambda time: pitch_deg + pitch(time),
        roll,
    )


def _sum(first: Course, constant: float, second: Course) -> Course:
    return lambda time: first(time) + constant + second(time)


def _waves(rng: np.random.Generator, most: float, periods: tuple[float, float]) -> Course:
    """Make a smooth course between -most and most, of three waves with periods in seconds."""
    rates = 2 * np.pi / rng.uniform(*periods, 3)
    phases = rng.uniform(0, 2 * np.pi, 3)
    weights = most * rng.dirichlet(np.ones(3))
    return lambda time: float(weights @ np.sin(rates * time + phases))


def _tremor(rng: np.random.Generator, size: float) -> Course:
    return _waves(rng, size, (0.35, 1.2))
