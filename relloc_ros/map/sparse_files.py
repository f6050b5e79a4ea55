# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The COLMAP model of a map, looked through before COLMAP reads it.

COLMAP believes every number it reads: of a truncated file it reads for ever.
"""

from __future__ import annotations

from pathlib import Path
import struct

import pycolmap

from relloc_ros.errors import MapError
from relloc_ros.map.sources.colmap_binary import read_binary

__all__ = ['read_model']

FILES = ('cameras.bin', 'rigs.bin', 'frames.bin', 'images.bin', 'points3D.bin')
COUNT = struct.Struct('<Q')
POINT_BYTES = struct.calcsize('<Q3d3Bd')
TRACK_BYTES = struct.calcsize('<II')


def read_model(folder: Path) -> pycolmap.Reconstruction:
    """Read a binary model.

    Raises:
        MapError: missing or damaged files.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise MapError(
            f'COLMAP cannot read {folder}: {missing[0]} is missing; build the map again'
        )
    try:
        read_binary(folder)
        _check_points((folder / FILES[-1]).read_bytes())
        return pycolmap.Reconstruction(folder)
    except Exception as error:  # pycolmap raises several kinds
        raise MapError(f'COLMAP cannot read {folder}: {error}; build the map again') from error


def _check_points(content: bytes) -> None:
    """Follow the lengths of the tracks; raises struct.error, ValueError."""
    (count,) = COUNT.unpack_from(content)
    position = COUNT.size
    for _ in range(count):
        (length,) = COUNT.unpack_from(content, position + POINT_BYTES)
        position += POINT_BYTES + COUNT.size + length * TRACK_BYTES
    if position != len(content):
        raise ValueError(f'its points take {position} bytes of {len(content)}')
