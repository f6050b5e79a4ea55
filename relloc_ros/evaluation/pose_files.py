# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses in text files of other programs.

- `colmap`: `image qw qx qy qz tx ty tz`, camera from world, and perhaps more numbers, such as a
  focal length.
- `tum`: `stamp tx ty tz qx qy qz qw`, world from body, seconds.
- `kitti`: the first three rows of the matrix world from body, row after row; the line is the
  image. Twelve times `nan` stands for an image without a pose.

Empty lines and lines that begin with # are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
import math
from pathlib import Path
from typing import Literal

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform, nearest_rotation
from relloc_ros.map.sources import stamp_from_name
from relloc_ros.map.sources.colmap import find_model, read_model
from relloc_ros.map.sources.reading import locating_errors, text_lines

__all__ = [
    'POSE_FORMATS',
    'FilePose',
    'PoseFile',
    'PoseFormat',
    'read_pose_file',
    'read_stamp',
    'read_truth',
]

PoseFormat = Literal['colmap', 'tum', 'kitti']

POSE_FORMATS: Mapping[PoseFormat, str] = {
    'colmap': 'image qw qx qy qz tx ty tz',
    'tum': 'stamp tx ty tz qx qy qz qw',
    'kitti': 'twelve numbers of a 3x4 matrix',
}
"""Formats and what a line of each looks like."""

MAX_ROTATION_ERROR = 1e-2
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class FilePose:
    """A pose from a file.

    Attributes:
        name: of the image; '' where the format has none.
        stamp_ns: nanoseconds; None where the format has none.
        map_from_body: None if the file says that there is none.
    """

    name: str
    stamp_ns: int | None
    map_from_body: RigidTransform | None


@dataclass(frozen=True, slots=True, eq=False)
class PoseFile:
    """The poses of a file, in its order.

    Attributes:
        path: of the file.
        format: of its lines.
        poses: one or more.
    """

    path: Path
    format: PoseFormat
    poses: tuple[FilePose, ...]

    @property
    def named(self) -> bool:
        """Whether the poses are known by the names of images."""
        return self.format == 'colmap'

    @property
    def timed(self) -> bool:
        """Whether all poses have a stamp."""
        return all(pose.stamp_ns is not None for pose in self.poses)


def read_truth(path: Path, format: PoseFormat | None = None) -> PoseFile:
    """Read true poses from a file, or from a folder with a COLMAP model.

    Raises:
        DataError: missing, empty, damaged, or of another format.
    """
    if not path.is_dir():
        return read_pose_file(path, format)
    images = read_model(find_model(path))
    poses = [
        FilePose(image.name, stamp_from_name(image.name), image.cam_from_map.inverse())
        for image in images
    ]
    return PoseFile(path, 'colmap', tuple(poses))


def read_pose_file(path: Path, format: PoseFormat | None = None) -> PoseFile:
    """Read the poses of a text file.

    Args:
        path: of the file.
        format: of its lines; None tells it from the first.

    Raises:
        DataError: missing, empty, or a line that is no pose; the message names it.
    """
    poses: list[FilePose] = []
    first_lines: dict[str, int] = {}
    for number, line in _pose_lines(path):
        format = format or _detect(path, number, line)
        with locating_errors(f'{path}, line {number}, read as {format}'):
            pose = READERS[format](line)
        if pose.name and first_lines.setdefault(pose.name, number) != number:
            raise DataError(
                f'{path}, line {number}: image {pose.name!r} has a pose already, in line '
                f'{first_lines[pose.name]}'
            )
        poses.append(pose)
    if format is None:
        raise DataError(f'{path} has no poses')
    return PoseFile(path, format, tuple(poses))


def read_stamp(text: str) -> int | None:
    """Nanoseconds of a number of seconds; None if it is none."""
    try:
        # Floats have too few digits for nanoseconds since 1970.
        seconds = Decimal(text)
        return int(seconds * NS_PER_S)
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _pose_lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text_lines(path), start=1):
        if line.strip() and not line.lstrip().startswith('#'):
            yield number, line.strip()


def _detect(path: Path, number: int, line: str) -> PoseFormat:
    fields = line.split()
    numeric = _count_last_numbers(fields)
    if numeric == len(fields) == 12:
        return 'kitti'
    if numeric == len(fields) == 8:
        return 'tum'
    if 7 <= numeric < len(fields):
        return 'colmap'
    known = '; '.join(f'{name}: {layout}' for name, layout in POSE_FORMATS.items())
    raise DataError(f'{path}, line {number} is no pose ({known}): {line!r:.100}')


def _read_colmap(line: str) -> FilePose:
    fields = line.split()
    # Names may hold spaces: they end with the last thing that is no number.
    name_length = max(len(fields) - _count_last_numbers(fields), 1)
    values = _numbers(fields[name_length : name_length + 7], 7, line, 'colmap')
    name = ' '.join(fields[:name_length])
    pose = RigidTransform.from_quat_wxyz(values[:4], values[4:]).inverse()
    return FilePose(name, stamp_from_name(name), pose)


def _read_tum(line: str) -> FilePose:
    fields = line.split()
    values = _numbers(fields[1:], 7, line, 'tum')
    stamp_ns = read_stamp(fields[0])
    if stamp_ns is None:
        raise _bad_line(line, 'tum')
    return FilePose('', stamp_ns, RigidTransform.from_quat_xyzw(values[3:], values[:3]))


def _read_kitti(line: str) -> FilePose:
    values = _numbers(line.split(), 12, line, 'kitti')
    if np.isnan(values).all():
        return FilePose('', None, None)
    matrix = values.reshape(3, 4)
    rotation = matrix[:, :3]
    if not np.isfinite(values).all():
        raise DataError(f'the pose has a number that is not finite: {line!r:.100}')
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > MAX_ROTATION_ERROR or np.linalg.det(rotation) < 0.0:
        raise DataError(f'the first three columns are no rotation: {line!r:.100}')
    # Files round: the nearest rotation to what they say.
    pose = RigidTransform(nearest_rotation(rotation), matrix[:, 3].copy())
    return FilePose('', None, pose)


READERS: Mapping[PoseFormat, Callable[[str], FilePose]] = {
    'colmap': _read_colmap,
    'tum': _read_tum,
    'kitti': _read_kitti,
}


def _numbers(fields: list[str], count: int, line: str, format: PoseFormat) -> Array:
    if len(fields) != count or _count_last_numbers(fields) != count:
        raise _bad_line(line, format)
    return np.array([float(field) for field in fields])


def _bad_line(line: str, format: PoseFormat) -> DataError:
    return DataError(f'no pose ({POSE_FORMATS[format]}): {line!r:.100}')


def _count_last_numbers(fields: list[str]) -> int:
    """Count the fields after the last that is no number."""
    for count, field in enumerate(reversed(fields)):
        try:
            value = float(field)
        except ValueError:
            return count
        if math.isinf(value):
            return count
    return len(fields)
