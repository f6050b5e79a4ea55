# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences of the TUM RGB-D benchmark (Sturm et al., IROS 2012).

``rgb.txt`` has lines ``time file``, ``groundtruth.txt`` lines ``time tx ty tz qx qy qz qw``: the
pose of the colour camera's optical frame in the map, metres, by another clock's ticks. Poses are
interpolated at the images' times; a single one counts up to 20 ms away, as in the benchmark's own
tools.

The calibration is not in the files: that of freiburg1, 2 and 3 is known here, by the name of the
folder, and given as OpenCV does, with the centre of the first pixel at (0, 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
    numbers,
    seconds_to_ns,
)
from relloc_ros.transform_history import TransformHistory

__all__ = ['TUM']

IMAGES, POSES = 'rgb.txt', 'groundtruth.txt'
POSE_COLUMNS = 'time tx ty tz qx qy qz qw'
NEAREST_NS = 20_000_000

PIXEL_CENTRE = 0.5
FREIBURG = {
    # fx fy cx cy, and k1 k2 p1 p2 k3, as the benchmark publishes them
    'freiburg1': (
        (517.306408, 516.469215, 318.643040, 255.313989),
        (0.262383, -0.953104, -0.005358, 0.002628, 1.163314),
    ),
    'freiburg2': (
        (520.908620, 521.007327, 325.141442, 249.701764),
        (0.231222, -0.784899, -0.003257, -0.000105, 0.917205),
    ),
    'freiburg3': ((535.4, 539.2, 320.1, 247.6), ()),
}


def _is_tum(source: Path) -> bool:
    return (source / IMAGES).is_file()


def _read(source: Path, options: SourceOptions) -> SourceImages:
    camera = options.camera or _known_camera(source)
    history = TransformHistory()
    for stamp_ns, pose in _poses(source / POSES):
        history.insert(stamp_ns, pose)
    posed = associate(
        ((stamp_ns, (name, stamp_ns)) for stamp_ns, name in _names(source / IMAGES)),
        history_lookup(history, options, NEAREST_NS),
        history.span_ns,
        source,
        options,
    )
    images = [
        SourceImage(name, camera, map_from_cam.inverse(), stamp_ns)
        for (name, stamp_ns), map_from_cam in posed
    ]
    return SourceImages(images, options.images or source)


def _known_camera(source: Path) -> Camera:
    path = str(source.resolve())
    for name, ((fx, fy, cx, cy), distortion) in FREIBURG.items():
        if name in path:
            params = (fx, fy, cx + PIXEL_CENTRE, cy + PIXEL_CENTRE)
            if not distortion:
                return Camera('PINHOLE', 640, 480, params)
            return Camera('FULL_OPENCV', 640, 480, (*params, *distortion, 0.0, 0.0, 0.0))
    raise DataError(
        f'{source} has no calibration, and its path names none of {", ".join(FREIBURG)}: give '
        'one with --camera'
    )


def _names(path: Path) -> Iterator[tuple[int, str]]:
    for place, fields in data_lines(path):
        with locating_errors(place):
            if len(fields) != 2:
                raise DataError(f'expected time and file, got {" ".join(fields)!r}')
            yield seconds_to_ns(fields[0]), fields[1]


def _poses(path: Path) -> Iterator[tuple[int, RigidTransform]]:
    """Give stamp and map_from_cam."""
    for place, fields in data_lines(path):
        with locating_errors(place):
            if len(fields) != 8:
                raise DataError(f'expected {POSE_COLUMNS}, got {len(fields)} columns')
            values = numbers(fields[1:], POSE_COLUMNS)
            pose = RigidTransform.from_quat_xyzw(values[3:], values[:3])
            yield seconds_to_ns(fields[0]), pose


TUM = SourceFormat(
    'a sequence of TUM RGB-D',
    'rgb.txt, and groundtruth.txt beside it',
    _is_tum,
    _read,
    frozenset({'camera', 'max_pose_gap', 'time_offset'}),
)
