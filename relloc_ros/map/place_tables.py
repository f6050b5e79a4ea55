# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Places of images in files that people write: tables by name, tracks by time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.global_frame import GeographicPoint
from relloc_ros.map.sources.pose_table import table_rows
from relloc_ros.map.sources.reading import data_lines, locating_errors, numbers, seconds_to_ns
from relloc_ros.transform_history import TransformHistory

__all__ = ['Place', 'PlaceTable', 'is_track', 'read_table', 'read_track']

NAMES = ('image', 'name')
STAMP = 'stamp'
POSITION = ('x', 'y', 'z')
QUATERNION = ('qx', 'qy', 'qz', 'qw')
GEOGRAPHIC = (('lat', 'latitude'), ('lon', 'longitude'), ('alt', 'altitude'))
EXPECTED = (
    'image,x,y,z (and qx,qy,qz,qw if known), image,lat,lon,alt or stamp,x,y,z, separated by commas'
)
TRACK_COLUMNS = 'time tx ty tz qx qy qz qw'


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a camera was.

    Attributes:
        position: (3,) float64 of its centre.
        rotation: (3, 3) from its optical frame to that of the position; None if nobody knows.
    """

    position: Array
    rotation: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PlaceTable:
    """What a table says: one of the three.

    Attributes:
        places: by image name.
        points: on the Earth, by image name.
        track: positions over time.
    """

    places: Mapping[str, Place]
    points: Mapping[str, GeographicPoint]
    track: TransformHistory | None = None


def read_table(path: Path) -> PlaceTable:
    """Read a table whose first line names the columns, in any order.

    Columns are `image` (or `name`) and `x y z` (metres, the camera's centre), with `qx qy qz qw`
    (from the camera's optical frame) if known; or `image` and `lat lon alt` (degrees, metres); or
    `stamp` (seconds) and `x y z`. Others are left alone.

    Raises:
        DataError: unreadable, other columns, no numbers, or an image named twice.
    """
    places: dict[str, Place] = {}
    points: dict[str, GeographicPoint] = {}
    track = TransformHistory()
    for number, row in table_rows(path, EXPECTED, _check_header):
        with locating_errors(f'{path}, line {number}'):
            name = next((row[key] for key in NAMES if key in row), None)
            if name is not None and (name in places or name in points):
                raise DataError(f'image {name!r} is named a second time')
            if name is None:
                track.insert(seconds_to_ns(row[STAMP]), RigidTransform(np.eye(3), _position(row)))
            elif all(key in row for key in POSITION):
                places[name] = _place(row)
            else:
                points[name] = _point(row)
    if not places and not points and not len(track):
        raise DataError(f'{path} has no places under its header')
    return PlaceTable(places, points, track if len(track) else None)


def is_track(path: Path) -> bool:
    """Tell whether a file looks like a track of TUM's format: lines of eight numbers."""
    try:
        first = next(data_lines(path), None)
        return first is not None and len(numbers(first[1], TRACK_COLUMNS)) == 8
    except DataError:
        return False


def read_track(path: Path) -> TransformHistory:
    """Read a track of lines `time tx ty tz qx qy qz qw`, as in TUM RGB-D.

    Raises:
        DataError: unreadable, or other lines.
    """
    track = TransformHistory()
    for place, fields in data_lines(path):
        with locating_errors(place):
            if len(fields) != 8:
                raise DataError(f'expected {TRACK_COLUMNS}, got {len(fields)} columns')
            values = numbers(fields[1:], TRACK_COLUMNS)
            pose = RigidTransform.from_quat_xyzw(values[3:], values[:3])
            track.insert(seconds_to_ns(fields[0]), pose)
    return track


def _check_header(place: str, header: list[str]) -> None:
    named = any(key in header for key in NAMES)
    has_position = all(key in header for key in POSITION)
    is_geographic = all(any(key in header for key in keys) for keys in GEOGRAPHIC)
    if not ((named and (has_position or is_geographic)) or (STAMP in header and has_position)):
        raise DataError(f'{place} should name the columns {EXPECTED}; it names {",".join(header)}')


def _position(row: Mapping[str, str]) -> Array:
    position = np.array(numbers([row[key] for key in POSITION], 'numbers for x,y,z'))
    if not np.isfinite(position).all():
        raise DataError(f'position {position} has a number that is not finite')
    return position


def _place(row: Mapping[str, str]) -> Place:
    position = _position(row)
    if not all(row.get(key) for key in QUATERNION):
        return Place(position)
    quat_xyzw = numbers([row[key] for key in QUATERNION], 'numbers for qx,qy,qz,qw')
    return Place(position, RigidTransform.from_quat_xyzw(quat_xyzw, position).rotation)


def _point(row: Mapping[str, str]) -> GeographicPoint:
    fields = [next(row[key] for key in keys if key in row) for keys in GEOGRAPHIC]
    return GeographicPoint(*numbers(fields, 'numbers for lat,lon,alt'))
