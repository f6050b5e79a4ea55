# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COLMAP's text files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.colmap_records import (
    FrameRecord,
    ImageRecord,
    ModelRecords,
    Rig,
    Sensor,
)
from relloc_ros.map.sources.reading import data_lines, locating_errors, text_lines

__all__ = ['read_text']


def read_text(folder: Path) -> ModelRecords:
    """Read all but the 3D points.

    Raises:
        DataError: damaged files, an unknown camera model.
    """
    rigs, frames = folder / 'rigs.txt', folder / 'frames.txt'
    return ModelRecords(
        _cameras(folder / 'cameras.txt'),
        _images(folder / 'images.txt'),
        _rigs(rigs) if rigs.is_file() else {},
        _frames(frames) if frames.is_file() else [],
    )


def _cameras(path: Path) -> dict[int, Camera]:
    cameras = {}
    for place, fields in data_lines(path):
        try:
            camera_id, model = int(fields[0]), fields[1]
            width, height = int(fields[2]), int(fields[3])
            params = tuple(float(field) for field in fields[4:])
        except (IndexError, ValueError) as error:
            raise DataError(f'{place} is no camera: {" ".join(fields)!r}') from error
        with locating_errors(place):
            cameras[camera_id] = Camera(model, width, height, params)
    return cameras


def _images(path: Path) -> list[ImageRecord]:
    images = []
    for number, line in _image_lines(path):
        place = f'{path}, line {number}'
        # The name is all the rest of the line.
        fields = line.split(maxsplit=9)
        try:
            image_id = int(fields[0])
            values = [float(field) for field in fields[1:8]]
            camera_id, name = int(fields[8]), fields[9].rstrip()
        except (IndexError, ValueError) as error:
            raise DataError(f'{place} is no image with pose: {line!r}') from error
        with locating_errors(place):
            pose = RigidTransform.from_quat_wxyz(values[:4], values[4:])
        images.append(ImageRecord(image_id, camera_id, name, pose, place))
    return images


def _image_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give number and text of the lines with poses; each is followed by a line of 2D points."""
    is_points = False
    for number, line in enumerate(text_lines(path), start=1):
        if is_points:
            # May be empty. A lost line would make every second image vanish.
            if len(line.split()) % 3 != 0:
                raise DataError(
                    f'{path}, line {number} should hold the 2D points of the image before it '
                    '(an empty line if there are none)'
                )
            is_points = False
        elif line.strip() and not line.startswith('#'):
            yield number, line
            is_points = True


def _rigs(path: Path) -> dict[int, Rig]:
    rigs: dict[int, Rig] = {}
    for place, fields in data_lines(path):
        rig: dict[Sensor, RigidTransform | None] = {}
        line = _Fields(place, fields, 'rig')
        rig_id, num_sensors = line.integer(), line.integer()
        for i in range(num_sensors):
            sensor = line.sensor()
            if i == 0:
                rig[sensor] = RigidTransform.identity()
            else:
                rig[sensor] = line.pose() if line.integer() else None
        rigs[rig_id] = rig
    return rigs


def _frames(path: Path) -> list[FrameRecord]:
    frames = []
    for place, fields in data_lines(path):
        line = _Fields(place, fields, 'frame')
        _, rig_id = line.integer(), line.integer()
        pose = line.pose()
        data = tuple((line.sensor(), line.integer()) for _ in range(line.integer()))
        frames.append(FrameRecord(rig_id, pose, data, place))
    return frames


class _Fields:
    """A line read from left to right, with a clear error at its early end."""

    def __init__(self, place: str, fields: Sequence[str], what: str) -> None:
        self._place, self._what = place, what
        self._fields = fields
        self._rest = iter(fields)

    def integer(self) -> int:
        return int(self._convert(int, 1)[0])

    def sensor(self) -> Sensor:
        return str(self._convert(str, 1)[0]), self.integer()

    def pose(self) -> RigidTransform:
        values = self._convert(float, 7)
        with locating_errors(self._place):
            return RigidTransform.from_quat_wxyz(values[:4], values[4:])

    def _convert(self, kind: type, count: int) -> list[float]:
        try:
            return [kind(next(self._rest)) for _ in range(count)]
        except (StopIteration, ValueError, RuntimeError) as error:
            raise DataError(
                f'{self._place} is no {self._what}: {" ".join(self._fields)!r}'
            ) from error
