# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all formats share: what they take and give, text, errors that name their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, mean_rotation

__all__ = [
    'SPLITS',
    'PixelSource',
    'SourceFormat',
    'SourceImage',
    'SourceImages',
    'SourceOptions',
    'Split',
    'data_lines',
    'locating_errors',
    'nanoseconds',
    'numbers',
    'rigid_from_numbers',
    'seconds_to_ns',
    'text_lines',
]

Split = Literal['train', 'test']
"""The published halves of a data set: what the map is made of, and what is localized in it."""

SPLITS: tuple[Split, ...] = ('train', 'test')

MAX_ROTATION_ERROR = 1e-2
"""A matrix further than this from a rotation (largest element of R R^T - I) is none."""

MAX_STAMP_S = Decimal(9_000_000_000)
"""Seconds beyond this do not fit in 64 bits of nanoseconds."""


class PixelSource(Protocol):
    """Where the pixels of an image are that is no file of its own. Can be pickled."""

    def read(self, camera: Camera) -> NDArray[np.uint8]:
        """Read (H, W, 3) BGR uint8, as large as the camera says.

        Raises:
            DataError: not readable, or not of the camera's size.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """A posed image of a source, known by its name in the images folder.

    Attributes:
        name: path relative to the images folder.
        camera: intrinsics and distortion.
        cam_from_map: pose, COLMAP's cam_from_world.
        stamp_ns: time of exposure; None if the source does not say.
        pixels: reads the pixels of an image that is no file.
    """

    name: str
    camera: Camera
    cam_from_map: RigidTransform
    stamp_ns: int | None = None
    pixels: PixelSource | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SourceImages:
    """All a format found: the images, and the folder their names are relative to."""

    images: Sequence[SourceImage]
    folder: Path


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a user may say about a source; None leaves it to the format.

    Attributes:
        images: folder of the images.
        split: part of a data set that has published halves.
        camera: intrinsics, where a format has none or others are better.
        sensor: the camera meant, of a data set with several.
        max_pose_gap: seconds; poses further apart in time are not interpolated.
        time_offset: seconds to add to the images' stamps before poses are looked up.
        image_topic: images of a bag.
        camera_info_topic: calibration in a bag.
        pose_topic: poses in a bag; `/tf` for transforms.
        map_frame: frame of the map in a bag.
        pose_frame: frame whose poses a bag's PoseStamped or PoseWithCovarianceStamped gives.
        camera_frame: the camera's optical frame in a bag.
        odom_frame: frame of odometry in a bag, under which nothing jumps.
        extrinsics: pose_from_cam, from the frame whose poses a bag has to the camera's optical
            frame, where its transforms do not say.
        progress: called with the number done, the number in all and what is being read.
    """

    images: Path | None = None
    split: Split | None = None
    camera: Camera | None = None
    sensor: str | None = None
    max_pose_gap: float | None = None
    time_offset: float | None = None
    image_topic: str | None = None
    camera_info_topic: str | None = None
    pose_topic: str | None = None
    map_frame: str | None = None
    pose_frame: str | None = None
    camera_frame: str | None = None
    odom_frame: str | None = None
    extrinsics: RigidTransform | None = None
    progress: Callable[[int, int, str], None] | None = field(
        default=None, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """One of the formats in the SOURCES table.

    Attributes:
        title: its name for people.
        looks_for: the files that make a path one of its kind.
        matches: tells whether a path looks like one; opens no large files.
        read: reads all images with a pose; raises DataError.
        options: fields of `SourceOptions` it takes, besides `images`.
    """

    title: str
    looks_for: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, SourceOptions], SourceImages]
    options: frozenset[str] = frozenset()


@contextmanager
def locating_errors(place: str) -> Iterator[None]:
    """Put the place before the message of any DataError of the block."""
    try:
        yield
    except DataError as error:
        raise DataError(f'{place}: {error}') from error


def text_lines(path: Path) -> Iterator[str]:
    """Read a text file line by line.

    Raises:
        DataError: missing, unreadable, or not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise DataError(f'{path} is no plain file')
    try:
        with path.open(encoding='utf-8-sig') as file:
            yield from file
    except OSError as error:
        raise DataError(f'cannot read {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise DataError(f'{path} is not UTF-8 text: {error}') from error


def data_lines(path: Path, separator: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Give place (file and line) and fields of each line that is neither empty nor a comment.

    Args:
        path: a text file whose comments begin with `#`.
        separator: between the fields; None is white space.

    Raises:
        DataError: missing, unreadable, or not UTF-8.
    """
    for number, line in enumerate(text_lines(path), start=1):
        text = line.strip()
        if text and not text.startswith('#'):
            yield f'{path}, line {number}', [field.strip() for field in text.split(separator)]


def numbers(fields: Sequence[str], what: str) -> list[float]:
    """Turn fields into numbers.

    Raises:
        DataError: a field is none; says `what` was expected.
    """
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise DataError(f'expected {what}, got {" ".join(fields)!r}') from error


def seconds_to_ns(text: str) -> int:
    """Read seconds, however many decimals they have, as nanoseconds.

    Raises:
        DataError: no finite number, or too large.
    """
    try:
        seconds = Decimal(text)
    except InvalidOperation as error:
        raise DataError(f'time {text!r} is no number of seconds') from error
    if not seconds.is_finite() or abs(seconds) > MAX_STAMP_S:
        raise DataError(f'time {text!r} is not a number of seconds between 0 and {MAX_STAMP_S}')
    return round(seconds * 1_000_000_000)


def nanoseconds(text: str) -> int:
    """Read a time in nanoseconds.

    Raises:
        DataError: no number, or too large.
    """
    if not text.isdecimal() or int(text[:20]) > MAX_STAMP_S * 1_000_000_000:
        raise DataError(f'time {text!r} is no number of nanoseconds')
    return int(text)


def rigid_from_numbers(values: ArrayLike) -> RigidTransform:
    """Read a rigid transform from 12 or 16 numbers, the rows of its matrix.

    Raises:
        DataError: other numbers, not finite, or no rotation.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    if flat.size not in (12, 16):
        raise DataError(f'{flat.size} numbers: a rigid transform has 12 (3x4) or 16 (4x4)')
    matrix = flat.reshape(-1, 4)
    if not np.isfinite(matrix).all():
        raise DataError('the transform has a number that is not finite')
    rotation = matrix[:3, :3]
    error = np.abs(rotation @ rotation.T - np.eye(3)).max()
    is_rigid = error <= MAX_ROTATION_ERROR and np.linalg.det(rotation) > 0
    if not (is_rigid and np.allclose(matrix[3:], [0, 0, 0, 1])):
        raise DataError('the matrix is no rigid transform: expected rotation, position, 0 0 0 1')
    return RigidTransform(mean_rotation(rotation[np.newaxis]), matrix[:3, 3].copy())
