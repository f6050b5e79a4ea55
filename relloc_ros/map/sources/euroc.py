# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences in the layout of EuRoC MAV (Burri et al., IJRR 2016), which TUM VI has too.

``mav0/cam0/sensor.yaml`` has T_BS (body from camera), resolution, intrinsics and distortion,
``mav0/cam0/data.csv`` lines ``time,file``. Poses are in
``mav0/state_groundtruth_estimate0/data.csv`` (or mocap0, vicon0): ``time,px,py,pz,qw,qx,qy,qz``
and more, of a sensor whose own T_BS stands beside them; without one it is the body. Times are
nanoseconds; the centre of the first pixel is at (0, 0), as in Kalibr.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.association import associate, history_lookup
from relloc_ros.map.sources.reading import (
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    data_lines,
    locating_errors,
    nanoseconds,
    numbers,
    rigid_from_numbers,
)
from relloc_ros.transform_history import TransformHistory
from relloc_ros.yaml_text import load_yaml

__all__ = ['EUROC']

TRUTHS = ('state_groundtruth_estimate0', 'mocap0', 'vicon0')
DEFAULT_SENSOR = 'cam0'
PIXEL_CENTRE = 0.5

MODELS = {
    # distortion_model of sensor.yaml: COLMAP's model
    'radial-tangential': 'OPENCV',
    'radtan': 'OPENCV',
    'plumb_bob': 'OPENCV',
    'equidistant': 'OPENCV_FISHEYE',
}


def _is_euroc(source: Path) -> bool:
    return bool(_cameras(_root(source)))


def _root(source: Path) -> Path:
    return source / 'mav0' if (source / 'mav0').is_dir() else source


def _cameras(root: Path) -> list[str]:
    return sorted(item.parent.name for item in root.glob('cam*/sensor.yaml'))


def _read(source: Path, options: SourceOptions) -> SourceImages:
    root = _root(source)
    sensor = options.sensor or DEFAULT_SENSOR
    if sensor not in _cameras(root):
        raise DataError(
            f'{root} has no camera {sensor!r}: choose --sensor {" or ".join(_cameras(root))}'
        )
    settings = root / sensor / 'sensor.yaml'
    content = _yaml(settings)
    with locating_errors(str(settings)):
        camera, body_from_cam = _camera(content), _extrinsics(content)
    truth = next((root / name for name in TRUTHS if (root / name / 'data.csv').is_file()), None)
    if truth is None:
        raise DataError(
            f'{root} has no poses: looked for data.csv in {", ".join(TRUTHS)} (a position alone, '
            'as in leica0, is not enough)'
        )
    marker_from_cam = _body_from_marker(truth / 'sensor.yaml').inverse() @ body_from_cam
    history = TransformHistory()
    for stamp_ns, map_from_marker in _poses(truth / 'data.csv'):
        history.insert(stamp_ns, map_from_marker)
    posed = associate(
        ((stamp_ns, (name, stamp_ns)) for stamp_ns, name in _names(root / sensor)),
        history_lookup(history, options),
        history.span_ns,
        root,
        options,
    )
    images = [
        SourceImage(
            f'{sensor}/data/{name}', camera, (map_from_marker @ marker_from_cam).inverse(), stamp
        )
        for (name, stamp), map_from_marker in posed
    ]
    return SourceImages(images, options.images or root)


def _yaml(path: Path) -> Any:
    try:
        # Some copies begin with the mark of OpenCV's own YAML, which is none.
        text = path.read_text(encoding='utf-8-sig').removeprefix('%YAML:1.0')
        content = load_yaml(text)
    except OSError as error:
        raise DataError(f'cannot read {path}: {error.strerror}') from error
    except ValueError as error:
        raise DataError(f'{path} is not YAML: {error}') from error
    if not isinstance(content, dict):
        raise DataError(f'{path} is no table of settings')
    return content


def _camera(content: Any) -> Camera:
    model = content.get('camera_model', 'pinhole')
    distortion = content.get('distortion_model')
    if model != 'pinhole' or str(distortion) not in MODELS:
        raise DataError(
            f'camera_model {model!r} with distortion_model {distortion!r} is not supported: '
            f'pinhole with {", ".join(MODELS)} is'
        )
    try:
        fx, fy, cx, cy = map(float, content['intrinsics'])
        coefficients = tuple(map(float, content['distortion_coefficients']))
        width, height = map(int, content['resolution'])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            'expected intrinsics [fu, fv, cu, cv], distortion_coefficients of 4 numbers and '
            f'resolution [width, height] (problem with {error})'
        ) from error
    params = (fx, fy, cx + PIXEL_CENTRE, cy + PIXEL_CENTRE, *coefficients)
    return Camera(MODELS[str(distortion)], width, height, params)


def _extrinsics(content: Any) -> RigidTransform:
    try:
        values = [float(value) for value in content['T_BS']['data']]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f'expected T_BS with 16 numbers as data (problem with {error})') from error
    with locating_errors('T_BS'):
        return rigid_from_numbers(values)


def _body_from_marker(path: Path) -> RigidTransform:
    if not path.is_file():
        return RigidTransform.identity()
    content = _yaml(path)
    if 'T_BS' not in content:
        return RigidTransform.identity()
    with locating_errors(str(path)):
        return _extrinsics(content)


def _names(folder: Path) -> Iterator[tuple[int, str]]:
    for place, fields in data_lines(folder / 'data.csv', ','):
        with locating_errors(place):
            if len(fields) != 2:
                raise DataError(f'expected time,file, got {",".join(fields)!r}')
            yield nanoseconds(fields[0]), fields[1]


def _poses(path: Path) -> Iterator[tuple[int, RigidTransform]]:
    for place, fields in data_lines(path, ','):
        with locating_errors(place):
            if len(fields) < 8:
                raise DataError(
                    f'expected time,px,py,pz,qw,qx,qy,qz and more, got {len(fields)} columns'
                )
            values = numbers(fields[1:8], 'position and quaternion')
            yield nanoseconds(fields[0]), RigidTransform.from_quat_wxyz(values[3:], values[:3])


EUROC = SourceFormat(
    'a sequence of EuRoC MAV or TUM VI',
    'cam0/sensor.yaml in it or in mav0/',
    _is_euroc,
    _read,
    frozenset({'sensor', 'max_pose_gap', 'time_offset'}),
)
