# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where cameras with GPS say that images were taken: the EXIF of image files."""

from __future__ import annotations

from collections.abc import Iterable
import math
from pathlib import Path

import pycolmap

from relloc_ros.errors import DataError, MissingDependencyError
from relloc_ros.map.global_frame import GeographicPoint
from relloc_ros.map.sources.posed_image import image_size

__all__ = ['read_gps']


def read_gps(files: Iterable[tuple[str, Path]]) -> dict[str, GeographicPoint]:
    """Read the GPS positions of image files; those without are left out.

    Args:
        files: name and path of each.

    Raises:
        DataError: a position that is none.
        MissingDependencyError: a pycolmap that does not tell them.
    """
    if not hasattr(pycolmap.Bitmap, 'exif_latitude'):
        raise MissingDependencyError(
            f'pycolmap {pycolmap.__version__} does not tell the GPS positions of images: pip '
            'install -U pycolmap, or give them as a table with the columns image,lat,lon,alt'
        )
    points = {}
    for name, path in files:
        point = _read(path)
        if point is not None:
            points[name] = point
    return points


def _read(path: Path) -> GeographicPoint | None:
    try:
        # Before pycolmap decodes it: a header could ask for gigabytes.
        image_size(path)
    except DataError:
        return None
    bitmap = pycolmap.Bitmap.read(path, False)
    if bitmap is None:
        return None
    latitude, longitude = _value(bitmap.exif_latitude), _value(bitmap.exif_longitude)
    altitude = _value(bitmap.exif_altitude)
    if latitude is None or longitude is None or altitude is None:
        return None
    try:
        return GeographicPoint(latitude, longitude, altitude)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error


def _value(item: object) -> float | None:
    # A method in older versions of pycolmap.
    found = item() if callable(item) else item
    return float(found) if isinstance(found, float) and math.isfinite(found) else None
