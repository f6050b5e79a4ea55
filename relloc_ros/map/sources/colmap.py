# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COLMAP models, text and binary.

Both are read here: pycolmap's text reader cuts image names at spaces, its binary reader demands
the 3D points and takes truncated files for good. 3D points are left out: a map has keypoints of
its own, and the tracks of the points refer to others.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import struct
from typing import Any

import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import SourceImage, locating_errors, text_lines

__all__ = ['find_model', 'read_model']

logger = logging.getLogger(__name__)

COUNT_BYTES = struct.calcsize('<Q')
POINT2D_BYTES = struct.calcsize('<ddQ')


def find_model(source: Path) -> Path:
    """Find the folder with the model: `source`, or its ``sparse``, ``sparse/0`` or ``0``.

    Raises:
        DataError: there is none.
    """
    if not source.exists():
        raise DataError(f'{source} does not exist')
    for folder in (source, source / 'sparse', source / 'sparse' / '0', source / '0'):
        if _is_model(folder, '.bin') or _is_model(folder, '.txt'):
            return folder
    raise DataError(
        f'{source} holds no COLMAP model: expected cameras and images, as .bin or .txt, '
        'in it, in sparse/, sparse/0/ or 0/ (or the split files of a scene of 7-Scenes or '
        'Cambridge Landmarks)'
    )


def read_model(folder: Path) -> list[SourceImage]:
    """Read all images with a pose; binary goes before text, as in COLMAP.

    Raises:
        DataError: damaged files, an unknown camera model, the same name twice, no images.
    """
    is_binary = _is_model(folder, '.bin')
    images = _read_binary(folder) if is_binary else _read_text(folder)
    if _has_points(folder, is_binary):
        logger.info('%s: its 3D points are left out, their tracks need its own keypoints', folder)
    if not images:
        raise DataError(f'model {folder} has no images with a pose')
    names = [image.name for image in images]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'model {folder} has image {twice!r} more than once')
    return images


def _is_model(folder: Path, suffix: str) -> bool:
    return all((folder / f'{stem}{suffix}').is_file() for stem in ('cameras', 'images'))


def _has_points(folder: Path, is_binary: bool) -> bool:
    path = folder / f'points3D.{"bin" if is_binary else "txt"}'
    if not path.is_file():
        return False
    if is_binary:
        return path.stat().st_size > COUNT_BYTES
    return any(line.strip() and not line.startswith('#') for line in text_lines(path))


def _read_binary(folder: Path) -> list[SourceImage]:
    cameras = _read_cameras_binary(_BinaryFile(folder / 'cameras.bin'))
    file = _BinaryFile(folder / 'images.bin')
    images = []
    for _ in range(*file.unpack('<Q')):
        _, *pose, camera_id = file.unpack('<I7dI')
        name = file.text()
        (num_points2D,) = file.unpack('<Q')
        file.skip(num_points2D * POINT2D_BYTES)
        if camera_id not in cameras:
            raise DataError(f'{file.path}: camera {camera_id} of {name!r} is not in cameras.bin')
        with locating_errors(f'{file.path}, image {name!r}'):
            cam_from_map = RigidTransform.from_quat_wxyz(pose[:4], pose[4:])
        images.append(SourceImage(name, cameras[camera_id], cam_from_map))
    return images


def _read_cameras_binary(file: _BinaryFile) -> dict[int, Camera]:
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


def _read_text(folder: Path) -> list[SourceImage]:
    cameras = _read_cameras_text(folder / 'cameras.txt')
    images = []
    path = folder / 'images.txt'
    for number, line in _image_lines(path):
        # The name is all the rest of the line.
        fields = line.split(maxsplit=9)
        try:
            values = [float(field) for field in fields[1:8]]
            camera_id, name = int(fields[8]), fields[9].rstrip()
        except (IndexError, ValueError) as error:
            raise DataError(f'{path}, line {number} is no image with pose: {line!r}') from error
        if camera_id not in cameras:
            raise DataError(f'{path}, line {number}: camera {camera_id} is not in cameras.txt')
        with locating_errors(f'{path}, line {number}'):
            pose = RigidTransform.from_quat_wxyz(values[:4], values[4:])
        images.append(SourceImage(name, cameras[camera_id], pose))
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


def _read_cameras_text(path: Path) -> dict[int, Camera]:
    cameras = {}
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip() or line.startswith('#'):
            continue
        fields = line.split()
        try:
            camera_id, model = int(fields[0]), fields[1]
            width, height = int(fields[2]), int(fields[3])
            params = tuple(float(field) for field in fields[4:])
        except (IndexError, ValueError) as error:
            raise DataError(f'{path}, line {number} is no camera: {line!r}') from error
        with locating_errors(f'{path}, line {number}'):
            cameras[camera_id] = Camera(model, width, height, params)
    return cameras
