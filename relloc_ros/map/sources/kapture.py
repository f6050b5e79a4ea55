# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kapture data sets (Humenberger et al., 2020), also as hloc and R2D2 tools pass them on.

``sensors/`` has ``sensors.txt`` (cameras in COLMAP's models), ``records_camera.txt`` (what was
taken when, files in ``records_data/``), ``trajectories.txt`` (device from world, w first) and
``rigs.txt`` (sensor from rig); poses that are not known are left empty. A pose belongs to its very
time; nothing is interpolated.
A folder with ``mapping/`` and ``query/`` of that kind has them as its splits.
"""

from __future__ import annotations

from collections.abc import Mapping
import logging
from pathlib import Path

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import (
    SPLITS,
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    Split,
    data_lines,
    locating_errors,
    numbers,
)

__all__ = ['KAPTURE']

logger = logging.getLogger(__name__)

PARTS: dict[Split, str] = {'train': 'mapping', 'test': 'query'}
SENSORS, RECORDS = Path('sensors/sensors.txt'), Path('sensors/records_camera.txt')
TRAJECTORIES, RIGS = Path('sensors/trajectories.txt'), Path('sensors/rigs.txt')
DATA = 'sensors/records_data'
SEPARATOR = ','
POSE_COLUMNS = 'qw, qx, qy, qz, tx, ty, tz'

MAX_RIG_DEPTH = 8
"""Rigs on rigs on rigs: more than this is a ring."""

Poses = dict[tuple[int, str], RigidTransform]
Rigs = dict[str, tuple[str, RigidTransform]]


def _is_kapture(source: Path) -> bool:
    parts = (source, *(source / part for part in PARTS.values()))
    return any((part / SENSORS).is_file() for part in parts)


def _read(source: Path, options: SourceOptions) -> SourceImages:
    if (source / SENSORS).is_file():
        if options.split is not None:
            raise DataError(f'{source} has no {options.split} split: name images with --list')
        images = _read_part(source, '', options.sensor)
        return SourceImages(images, options.images or source / DATA)
    wanted = [options.split] if options.split else list(SPLITS)
    images = []
    for part in (PARTS[split] for split in wanted):
        if options.split is not None or (source / part / TRAJECTORIES).is_file():
            images += _read_part(source / part, f'{part}/{DATA}/', options.sensor)
    if not images:
        raise DataError(f'{source} has poses neither for mapping nor for query')
    return SourceImages(images, options.images or source)


def _read_part(root: Path, prefix: str, wanted: str | None) -> list[SourceImage]:
    cameras = _cameras(root / SENSORS)
    if wanted is not None and wanted not in cameras:
        raise DataError(f'{root} has no camera {wanted!r}: choose --sensor {" or ".join(cameras)}')
    poses = _poses(root / TRAJECTORIES)
    rigs = _rigs(root / RIGS) if (root / RIGS).is_file() else {}
    images = []
    lost = []
    for place, fields in data_lines(root / RECORDS, SEPARATOR):
        with locating_errors(place):
            time, sensor, name = _record(fields)
            if sensor not in cameras:
                raise DataError(f'camera {sensor!r} is not in sensors.txt')
            if wanted not in (None, sensor):
                continue
            pose = _pose_of(time, sensor, poses, rigs)
            camera = cameras[sensor]
            if pose is None:
                lost.append(name)
                continue
            if isinstance(camera, DataError):
                raise camera
        images.append(SourceImage(prefix + name, camera, pose))
    if lost:
        logger.warning('%s: left out %d images without a pose, first %s', root, len(lost), lost[0])
    if not images:
        raise DataError(f'{root} has no image with a pose')
    return images


def _cameras(path: Path) -> dict[str, Camera | DataError]:
    """Cameras by sensor ID; one that is not calibrated may still be of no account."""
    cameras: dict[str, Camera | DataError] = {}
    for place, fields in data_lines(path, SEPARATOR):
        if len(fields) < 3:
            raise DataError(f'{place}: expected sensor_id, name, type, parameters')
        if fields[2] != 'camera':
            continue
        sensor, model, params = fields[0], ''.join(fields[3:4]), fields[4:]
        if model == 'UNKNOWN_CAMERA':
            cameras[sensor] = DataError(f'{place}: camera {sensor!r} is not calibrated')
            continue
        with locating_errors(place):
            values = numbers(params, f'size and parameters of {model}')
            if len(values) < 2 or not np.isfinite(values[:2]).all():
                raise DataError(f'camera {sensor!r} needs a model, width, height and parameters')
            width, height = map(int, values[:2])
            cameras[sensor] = Camera(model, width, height, tuple(values[2:]))
    return cameras


def _poses(path: Path) -> Poses:
    poses: Poses = {}
    for place, fields in data_lines(path, SEPARATOR):
        with locating_errors(place):
            if len(fields) != 9:
                raise DataError(f'expected time, device, {POSE_COLUMNS}, got {len(fields)}')
            if any(fields[2:]):
                poses[_time(fields[0]), fields[1]] = _transform(fields[2:])
    return poses


def _rigs(path: Path) -> Rigs:
    """The rig of each sensor, and sensor_from_rig."""
    rigs: Rigs = {}
    for place, fields in data_lines(path, SEPARATOR):
        with locating_errors(place):
            if len(fields) != 9:
                raise DataError(f'expected rig, sensor, {POSE_COLUMNS}, got {len(fields)}')
            if any(fields[2:]):
                rigs[fields[1]] = fields[0], _transform(fields[2:])
    return rigs


def _pose_of(
    time: int, device: str, poses: Mapping[tuple[int, str], RigidTransform], rigs: Rigs
) -> RigidTransform | None:
    """cam_from_map: the device's own pose, or that of the rig that carries it."""
    sensor_from_device = RigidTransform.identity()
    for _ in range(MAX_RIG_DEPTH):
        if (time, device) in poses:
            return sensor_from_device @ poses[time, device]
        if device not in rigs:
            return None
        device, device_from_rig = rigs[device]
        sensor_from_device = sensor_from_device @ device_from_rig
    return None


def _record(fields: list[str]) -> tuple[int, str, str]:
    if len(fields) != 3:
        raise DataError(f'expected time, camera, file, got {len(fields)} columns')
    return _time(fields[0]), fields[1], fields[2]


def _time(text: str) -> int:
    if not text.isdecimal() or len(text) > 20:
        raise DataError(f'time {text!r} is no whole number')
    return int(text)


def _transform(fields: list[str]) -> RigidTransform:
    values = numbers(fields, POSE_COLUMNS)
    return RigidTransform.from_quat_wxyz(values[:4], values[4:])


KAPTURE = SourceFormat(
    'a kapture data set',
    'sensors/sensors.txt in it, in mapping/ or in query/',
    _is_kapture,
    _read,
    frozenset({'sensor', 'split'}),
)
