# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""transforms.json of NeRF, instant-ngp and nerfstudio.

``frames`` have ``file_path`` and ``transform_matrix``: map from camera, whose axes are OpenGL's
(x right, y up, z back). Intrinsics ``fl_x fl_y cx cy w h`` (or ``camera_angle_x``), distortion
``k1 k2 k3 k4 p1 p2`` and ``camera_model`` stand at the top or in a frame, which goes before.
Pixels are COLMAP's, from which such files are made. What these tools did to the poses of COLMAP
(``applied_transform``, scale) stays done: the map's frame and units are those of the file.

Without ``transforms.json``, ``transforms_train.json`` and ``transforms_test.json`` are the splits.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
from pathlib import Path
import sys
from typing import Any

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.names import file_of
from relloc_ros.map.sources.posed_image import image_size
from relloc_ros.map.sources.reading import (
    SPLITS,
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    Split,
    locating_errors,
    rigid_from_numbers,
)

__all__ = ['TRANSFORMS_JSON']

NAME = 'transforms.json'
SPLIT_NAMES: dict[Split, str] = {split: f'transforms_{split}.json' for split in SPLITS}
SUFFIXES = ('', '.png', '.jpg', '.jpeg')
"""NeRF's own scenes leave the suffix out."""

GL_FROM_OPTICAL = RigidTransform(np.diag([1.0, -1.0, -1.0]), np.zeros(3))

Table = Mapping[str, Any]

PERSPECTIVE = ('OPENCV', 'PINHOLE', 'SIMPLE_PINHOLE', 'SIMPLE_RADIAL', 'RADIAL', 'PERSPECTIVE')
FISHEYE = ('OPENCV_FISHEYE', 'FISHEYE')


def _is_transforms(source: Path) -> bool:
    if source.is_file():
        return source.suffix == '.json'
    return any((source / name).is_file() for name in (NAME, *SPLIT_NAMES.values()))


def _read(source: Path, options: SourceOptions) -> SourceImages:
    folder = options.images or (source.parent if source.is_file() else source)
    images = []
    for path in _files(source, options.split):
        content = _load(path)
        for number, frame in enumerate(content['frames']):
            with locating_errors(f'{path}, frame {number}'):
                images.append(_image(folder, content, frame))
    if not images:
        raise DataError(f'{source} has no frames')
    return SourceImages(images, folder)


def _files(source: Path, split: Split | None) -> list[Path]:
    if source.is_file() or (source / NAME).is_file():
        if split is not None:
            raise DataError(f'{source} has no {split} split: name the images with --list')
        return [source if source.is_file() else source / NAME]
    wanted = [split] if split is not None else list(SPLITS)
    found = [source / SPLIT_NAMES[item] for item in wanted]
    return found if split is not None else [path for path in found if path.is_file()]


def _load(path: Path) -> Table:
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise DataError(f'cannot read {path}: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path} is not JSON: {error}') from error
    if not isinstance(content, dict) or not isinstance(content.get('frames'), list):
        raise DataError(f"{path} has no list 'frames'")
    return content


def _image(folder: Path, shared: Table, frame: Any) -> SourceImage:
    if not isinstance(frame, dict) or not isinstance(frame.get('file_path'), str):
        raise DataError("a frame needs 'file_path' and 'transform_matrix'")
    name = _existing(folder, frame['file_path'].removeprefix('./'))
    with locating_errors(f'{name!r}, transform_matrix'):
        map_from_gl = rigid_from_numbers(_numbers(frame.get('transform_matrix')))
    with locating_errors(repr(name)):
        camera = _camera({**shared, **frame}, file_of(folder, name))
    return SourceImage(name, camera, (map_from_gl @ GL_FROM_OPTICAL).inverse())


def _existing(folder: Path, name: str) -> str:
    names = (name + suffix for suffix in SUFFIXES)
    return next((item for item in names if file_of(folder, item).is_file()), name)


def _numbers(values: Any) -> Any:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f'no matrix of numbers: {error}') from error


def _camera(table: Table, file: Path) -> Camera:
    if 'w' in table and 'h' in table:
        width, height = int(_number(table, 'w')), int(_number(table, 'h'))
    else:
        width, height = image_size(file)
    fx = _focal_length(table, 'x', width)
    if fx is None:
        raise DataError("no focal length: expected 'fl_x' or 'camera_angle_x'")
    fy = _focal_length(table, 'y', height) or fx
    cx, cy = _number(table, 'cx', width / 2), _number(table, 'cy', height / 2)
    model, distortion = _distortion(table)
    return Camera(model, width, height, (fx, fy, cx, cy, *distortion))


def _focal_length(table: Table, axis: str, size: int) -> float | None:
    if f'fl_{axis}' in table:
        return _number(table, f'fl_{axis}')
    if f'camera_angle_{axis}' in table:
        angle = _number(table, f'camera_angle_{axis}')
        if not 0 < angle < math.pi:
            raise DataError(f'camera_angle_{axis} {angle} is no angle between 0 and pi')
        return size / (2 * math.tan(angle / 2))
    return None


def _distortion(table: Table) -> tuple[str, tuple[float, ...]]:
    k1, k2, k3, k4, p1, p2 = (
        _number(table, key, 0.0) for key in ('k1', 'k2', 'k3', 'k4', 'p1', 'p2')
    )
    model = table.get('camera_model', 'OPENCV')
    if model in FISHEYE or table.get('is_fisheye'):
        return 'OPENCV_FISHEYE', (k1, k2, k3, k4)
    if model not in PERSPECTIVE:
        raise DataError(
            f'camera_model {model!r} is not supported: known are '
            f'{", ".join((*PERSPECTIVE, *FISHEYE))}'
        )
    if k4:
        raise DataError(f'k4 = {k4} of a camera that is no fisheye is not supported')
    if k3:
        return 'FULL_OPENCV', (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    if any((k1, k2, p1, p2)):
        return 'OPENCV', (k1, k2, p1, p2)
    return 'PINHOLE', ()


def _shown(value: float) -> str:
    return f'an integer of {value.bit_length()} bits' if isinstance(value, int) else repr(value)


def _number(table: Table, key: str, default: float | None = None) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f'{key!r} is {value!r} instead of a number')
    # JSON may have integers that no float can hold.
    if not abs(value) <= sys.float_info.max:
        raise DataError(f'{key!r} is {_shown(value)} instead of a number')
    return float(value)


TRANSFORMS_JSON = SourceFormat(
    'a transforms.json of NeRF, instant-ngp or nerfstudio',
    'transforms.json, transforms_train.json or transforms_test.json, or a .json file',
    _is_transforms,
    _read,
    frozenset({'split'}),
)
