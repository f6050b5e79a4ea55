# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map that several processes have open, perhaps on several machines."""

from __future__ import annotations

from pathlib import Path

from relloc_ros.errors import MapError
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['open_same']


def open_same(
    path: Path, map_id: str, descriptor_cache_mb: int = 128, weights_folder: str = ''
) -> ReferenceMap:
    """Open the map that another process has open; see `ReferenceMap.open`.

    Raises:
        MapError: no map, damaged, or not the one named by `map_id`.
    """
    opened = ReferenceMap.open(path, descriptor_cache_mb, weights_folder)
    if opened.map_id != map_id:
        raise MapError(
            f'a worker finds another map at {path} ({opened.map_id} instead of {map_id}): let all '
            'machines see the same folder'
        )
    return opened
