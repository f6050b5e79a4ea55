# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COLMAP's binary files."""

from __future__ import annotations

from pathlib import Path
import struct
from typing import Any

import pycolmap

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
from relloc_ros.map.sources.reading import locating_errors

__all__ = ['read_binary']

POINT2D_BYTES = struct.calcsize('<ddQ')
SENSOR_KINDS = {0: 'CAMERA', 1: 'IMU'}


def read_binary(folder: Path) -> ModelRecords:
    """Read all but the 3D points.

    Raises:
        DataError: damaged files, an unknown camera model.
    """
    rigs, frames = folder / 'rigs.bin', folder / 'frames.bin'
    return ModelRecords(
        _cameras(_BinaryFile(folder / 'cameras.bin')),
        _images(_BinaryFile(folder / 'images.bin')),
        _rigs(_BinaryFile(rigs)) if rigs.is_file() else {},
        _frames(_BinaryFile(frames)) if frames.is_file() else [],
    )


class _BinaryFile:
    """A file read front to back, with a clear error at its early end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise DataError(f'cannot read {path}: {error.strerror}') from error

    def unpack(self, layout: str) -> tuple[Any, ...]:
        start = self._position
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self._content, start)

    def pose(self, place: str) -> RigidTransform:
        values = self.unpack('<7d')
        with locating_errors(f'{self.path}, {place}'):
            return RigidTransform.from_quat_wxyz(values[:4], values[4:])

    def sensor(self) -> Sensor:
        kind, sensor_id = self.unpack('<iI')
        return SENSOR_KINDS.get(kind, str(kind)), sensor_id

    def text(self) -> str:
        start = self._position
        end = self._content.find(b'\0', start)
        if end < 0:
            raise DataError(f'{self.path} is truncated: copy the model again')
        self._position = end + 1
        try:
            return self._content[start:end].decode()
        except UnicodeDecodeError as error:
            raise DataError(f'{self.path} is damaged: an image name is not UTF-8') from error

    def skip(self, size: int) -> None:
        self._position += size
        if self._position > len(self._content):
            raise DataError(f'{self.path} is truncated: copy the model again')


def _cameras(file: _BinaryFile) -> dict[int, Camera]:
    cameras = {}
    for _ in range(*file.unpack('<Q')):
        camera_id, model_id, width, height = file.unpack('<IiQQ')
        model = pycolmap.CameraModelId(model_id)
        try:
            blank = pycolmap.Camera.create_from_model_id(camera_id, model, 1.0, 1, 1)
        except ValueError as error:
            raise DataError(f'{file.path}: unknown camera model {model_id}') from error
        params = file.unpack(f'<{len(blank.params)}d')
        with locating_errors(f'{file.path}, camera {camera_id}'):
            cameras[camera_id] = Camera(model.name, width, height, params)
    return cameras


def _images(file: _BinaryFile) -> list[ImageRecord]:
    images = []
    for _ in range(*file.unpack('<Q')):
        image_id, *values, camera_id = file.unpack('<I7dI')
        name = file.text()
        (num_points2D,) = file.unpack('<Q')
        file.skip(num_points2D * POINT2D_BYTES)
        place = f'{file.path}, image {name!r}'
        with locating_errors(place):
            pose = RigidTransform.from_quat_wxyz(values[:4], values[4:])
        images.append(ImageRecord(image_id, camera_id, name, pose, place))
    return images


def _rigs(file: _BinaryFile) -> dict[int, Rig]:
    rigs: dict[int, Rig] = {}
    for _ in range(*file.unpack('<Q')):
        rig_id, num_sensors = file.unpack('<II')
        rig: dict[Sensor, RigidTransform | None] = {}
        if num_sensors:
            rig[file.sensor()] = RigidTransform.identity()
        for _ in range(num_sensors - 1):
            sensor = file.sensor()
            (has_pose,) = file.unpack('<B')
            rig[sensor] = file.pose(f'rig {rig_id}') if has_pose else None
        rigs[rig_id] = rig
    return rigs


def _frames(file: _BinaryFile) -> list[FrameRecord]:
    frames = []
    for _ in range(*file.unpack('<Q')):
        frame_id, rig_id = file.unpack('<II')
        pose = file.pose(f'frame {frame_id}')
        data = []
        for _ in range(*file.unpack('<I')):
            sensor = file.sensor()
            data.append((sensor, *file.unpack('<Q')))
        frames.append(FrameRecord(rig_id, pose, tuple(data), f'{file.path}, frame {frame_id}'))
    return frames
