# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to corrupt TF and stamps, seen by the node's frame processor and the tracker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fuzz_drive import (
    BASE,
    BASE_FROM_CAM,
    CAMERA_FRAME,
    MAP,
    ODOM,
    Event,
    drive,
    make_drive,
    prepare_drive,
    transform_message,
)
from fuzz_world import NS, Answer, Kind, World
import numpy as np

from relloc_ros.geometry import RigidTransform, exp_so3

__all__ = ['TRANSFORM_KINDS']

Random = np.random.Generator

NUMBERS = (float('nan'), float('inf'), float('-inf'), 1e308, -1e308, 1e-320, 0.0, 1e20, 2.0)
FRAMES = (CAMERA_FRAME, BASE, ODOM, MAP, '', '/', '/odom', 'base_link ', 'a/b', 'x' * 300, '\0')
SECONDS = (-(2**31), -1, 0, 1, 999, 1_001, 1_003, 2**31 - 1)
NANOSECONDS = (0, 1, NS - 1, NS, 2**31, 2**32 - 1)

Corruption = Callable[[list[Event], Random], list[Event]]


def _some(events: list[Event], rng: Random) -> list[Event]:
    """Choose a part of the transforms, sometimes all."""
    share = rng.choice((0.02, 0.1, 0.5, 1.0))
    return [event for event in events if not event.is_image and rng.random() < share]


def lose(events: list[Event], rng: Random) -> list[Event]:
    """Lose transforms, in between or from a moment on."""
    if rng.random() < 0.5:
        kept = rng.uniform(0.0, 1.0)
        return [event for event in events if event.is_image or rng.random() < kept]
    moment = int(rng.integers(len(events)))
    return [
        event
        for number, event in enumerate(events)
        if event.is_image or (number < moment) == (moment > 20)
    ]


def odd_numbers(events: list[Event], rng: Random) -> list[Event]:
    """Write numbers that are not finite, or senseless."""
    for event in _some(events, rng):
        part = event.item.transform.rotation if rng.random() < 0.5 else None
        part = part or event.item.transform.translation
        setattr(part, str(rng.choice(list(vars(part)))), float(rng.choice(NUMBERS)))
    return events


def odd_quaternions(events: list[Event], rng: Random) -> list[Event]:
    """Zero, or of another length than one, a little or much."""
    for event in _some(events, rng):
        rotation = event.item.transform.rotation
        factor = float(rng.choice((0.0, 1e-12, 0.5, 0.98, 1.004, 1.02, -1.0, 2.0, 1e200)))
        for name in 'xyzw':
            setattr(rotation, name, factor * getattr(rotation, name))
    return events


def odd_names(events: list[Event], rng: Random) -> list[Event]:
    """Make cycles, second parents, frames without a name."""
    for event in _some(events, rng):
        if rng.random() < 0.5:
            event.item.header.frame_id = str(rng.choice(FRAMES))
        else:
            event.item.child_frame_id = str(rng.choice(FRAMES))
        event.static ^= bool(rng.random() < 0.2)
    return events


def odd_stamps(events: list[Event], rng: Random) -> list[Event]:
    """Stamp transforms before the beginning of time, far in the future, or a little wrong."""
    for event in _some(events, rng):
        stamp = event.item.header.stamp
        choice = rng.integers(3)
        if choice == 0:
            stamp.sec = int(rng.choice(SECONDS))
        elif choice == 1:
            stamp.nanosec = int(rng.choice(NANOSECONDS))
        else:
            stamp.sec += int(rng.integers(-3, 4))
    return events


def odd_image_stamps(events: list[Event], rng: Random) -> list[Event]:
    """Stamp images with another time, or with none."""
    for event in events:
        if event.is_image and rng.random() < 0.4:
            stamp = event.item.header.stamp
            stamp.sec = int(rng.choice((*SECONDS, stamp.sec, stamp.sec - 1)))
            stamp.nanosec = int(rng.choice((*NANOSECONDS, stamp.nanosec)))
        if event.is_image and rng.random() < 0.2:
            event.item.header.frame_id = str(rng.choice(FRAMES))
    return events


def shuffle(events: list[Event], rng: Random) -> list[Event]:
    """Deliver late, twice, and in another order."""
    delays = rng.exponential(10.0 ** rng.uniform(0.0, 2.5), len(events))
    again = [event for event in events if rng.random() < 0.1]
    order = np.argsort(np.arange(len(events)) + delays, kind='stable')
    mixed = [events[number] for number in order]
    for event in again:
        mixed.insert(int(rng.integers(len(mixed))), event)
    return mixed


def jump(events: list[Event], rng: Random) -> list[Event]:
    """Let odometry jump, once or again and again."""
    step = RigidTransform(
        exp_so3(rng.normal(0.0, 10.0 ** rng.uniform(-3.0, 0.5), 3)),
        rng.normal(0.0, 10.0 ** rng.uniform(-2.0, 2.0), 3),
    )
    moved, often = RigidTransform.identity(), rng.choice((0.0, 0.0, 0.02, 0.3))
    moment = int(rng.integers(len(events)))
    for number, event in enumerate(events):
        if number == moment or rng.random() < often:
            moved = moved @ step
        if event.is_image or event.static:
            continue
        item, values = event.item, event.item.transform
        odom_from_base = RigidTransform.from_quat_xyzw(
            [getattr(values.rotation, name) for name in 'xyzw'],
            [getattr(values.translation, name) for name in 'xyz'],
        )
        event.item = transform_message(ODOM, BASE, 0, moved @ odom_from_base)
        event.item.header.stamp = item.header.stamp
    return events


def _driven(world: World, rng: Random, corrupt: Corruption) -> list[Answer]:
    return drive(world, corrupt(make_drive(world), rng))


def _wrong_extrinsics(world: World, rng: Random) -> list[Answer]:
    """Mount the camera elsewhere than TF says."""
    angles = rng.normal(0.0, 10.0 ** rng.uniform(-2.5, 0.3), 3)
    shift = rng.normal(0.0, 10.0 ** rng.uniform(-2.5, 0.3), 3)
    wrong = RigidTransform(exp_so3(angles), shift) @ BASE_FROM_CAM
    if rng.random() < 0.2:
        wrong = BASE_FROM_CAM.inverse()
    return drive(world, make_drive(world, wrong))


TRANSFORM_KINDS: dict[str, Kind] = {
    **{
        f'tf/{name}': Kind(partial(_driven, corrupt=corrupt), prepare=prepare_drive)
        for name, corrupt in {
            'lost': lose,
            'odd numbers': odd_numbers,
            'odd quaternions': odd_quaternions,
            'odd names': odd_names,
            'odd stamps': odd_stamps,
            'odd image stamps': odd_image_stamps,
            'shuffled': shuffle,
            'jumps': jump,
        }.items()
    },
    'tf/extrinsics': Kind(_wrong_extrinsics, prepare=prepare_drive),
}
