# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plain table of images and poses, for those whose data come from nowhere else.

The first line of ``poses.csv`` names the columns, in any order: ``image`` (path relative to
``images`` beside the table, or to the table's folder), ``x y z`` (the camera's centre in the map),
``qx qy qz qw`` (rotation from the camera's optical frame to the map, as in ROS), and, if wanted,
``stamp`` (seconds) and ``camera`` (``"MODEL,WIDTH,HEIGHT,PARAMETERS"`` as in COLMAP, in quotes).
Other columns are left alone, as are empty lines and lines that begin with ``#``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
import csv
from functools import partial
from pathlib import Path

from relloc_ros.camera import Camera
from relloc_ros.camera_info import camera_from_text
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import (
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    locating_errors,
    numbers,
    seconds_to_ns,
    text_lines,
)

__all__ = ['POSE_TABLE', 'table_rows']

NAME = 'poses.csv'
POSE = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')
REQUIRED = ('image', *POSE)


def _is_table(source: Path) -> bool:
    return source.suffix == '.csv' if source.is_file() else (source / NAME).is_file()


def _read(source: Path, options: SourceOptions) -> SourceImages:
    path = source if source.is_file() else source / NAME
    images = []
    for number, row in table_rows(path, ','.join(REQUIRED), _check_header):
        with locating_errors(f'{path}, line {number}'):
            images.append(_image(row, options.camera))
    if not images:
        raise DataError(f'{path} has no images under its header')
    beside = path.parent / 'images'
    return SourceImages(images, options.images or (beside if beside.is_dir() else path.parent))


def table_rows(
    path: Path, columns: str, check_header: Callable[[str, list[str]], None]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a table of comma-separated values, whose first line names the columns.

    Args:
        path: the file.
        columns: that it should have, for people.
        check_header: called with the place of the header and the columns that it names; raises
            DataError.

    Returns:
        Line number and values by column.

    Raises:
        DataError: unreadable, empty, or no such table.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text_lines(path), start=1)
        if line.strip() and not line.lstrip().startswith('#')
    ]
    parse = partial(csv.reader, skipinitialspace=True, strict=True)
    if not lines:
        raise DataError(f'{path} is empty: its first line names the columns {columns}')
    header: list[str] = []
    for number, line in lines:
        try:
            fields = [field.strip() for field in next(parse([line]))]
        except csv.Error as error:
            raise DataError(f'{path}, line {number} is not CSV: {error}') from error
        if not header:
            header = fields
            check_header(f'{path}, line {number}', header)
            continue
        if len(fields) != len(header):
            raise DataError(
                f'{path}, line {number} has {len(fields)} columns, the header {len(header)} '
                '(quotes are needed around a camera, which has commas)'
            )
        yield number, dict(zip(header, fields, strict=True))


def _check_header(place: str, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(
            f'{place} should name the columns {",".join(REQUIRED)}, separated by commas: '
            f'{",".join(missing)} is missing'
        )
    twice = [name for name in (*REQUIRED, 'stamp', 'camera') if header.count(name) > 1]
    if twice:
        raise DataError(f'{place} names the column {twice[0]} more than once')


def _image(row: Mapping[str, str], camera: Camera | None) -> SourceImage:
    if row.get('camera'):
        camera = camera_from_text(row['camera'])
    if camera is None:
        raise DataError(
            'no camera: add a column camera with "MODEL,WIDTH,HEIGHT,PARAMETERS", or give one '
            'for all images with --camera'
        )
    if not row['image']:
        raise DataError('no image is named')
    values = numbers([row[name] for name in POSE], 'numbers for x,y,z,qx,qy,qz,qw')
    map_from_cam = RigidTransform.from_quat_xyzw(values[3:], values[:3])
    stamp_ns = seconds_to_ns(row['stamp']) if row.get('stamp') else None
    return SourceImage(row['image'], camera, map_from_cam.inverse(), stamp_ns)


POSE_TABLE = SourceFormat(
    'a table of poses',
    'poses.csv, or a .csv file, with columns image,x,y,z,qx,qy,qz,qw',
    _is_table,
    _read,
    frozenset({'camera'}),
)
