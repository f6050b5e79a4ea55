# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Take part of a map's images: split it, or drop the images that add nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timezone
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError
from relloc_ros.map.builder import Progress
from relloc_ros.map.composition import compose
from relloc_ros.map.editing import MapState, check_enough, open_state, remove_images
from relloc_ros.map.keyframes import select_keyframes, sharpness
from relloc_ros.map.publication import new_generation

__all__ = ['names_in_box', 'prune_map', 'split_map']

Rows = NDArray[np.intp]


def names_in_box(path: Path, box: Sequence[float]) -> list[str]:
    """Give the images whose camera centres lie in a box of the map.

    Args:
        path: folder of the map.
        box: xmin, ymin, xmax, ymax; or xmin, ymin, zmin, xmax, ymax, zmax; map units.

    Raises:
        MapError: no map, or damaged.
        DataError: other numbers, or no image in there.
    """
    sides = len(box) // 2
    low, high = np.array(box[:sides]), np.array(box[sides:])
    if len(box) not in (4, 6) or not np.isfinite(box).all() or (low > high).any():
        raise DataError(
            f'box {",".join(f"{value:g}" for value in box)}: expected xmin,ymin,xmax,ymax or '
            'xmin,ymin,zmin,xmax,ymax,zmax, smaller ones first'
        )
    with open_state(path) as state:
        centres = state.reference_map.centres[:, :sides]
        inside = ((centres >= low) & (centres <= high)).all(axis=1)
        if not inside.any():
            extent = (
                f'{", ".join(f"{v:.2f}" for v in centres.min(axis=0))} to '
                f'{", ".join(f"{v:.2f}" for v in centres.max(axis=0))}'
            )
            raise DataError(f'no image of map {path} is in the box; they are at {extent}')
        return [state.names[row] for row in np.flatnonzero(inside)]


def split_map(
    path: Path,
    names: Collection[str],
    output: Path,
    *,
    overwrite: bool = False,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> int:
    """Make a map of some of a map's images, which stays as it is.

    Args:
        path: folder of the map.
        names: of the images.
        output: folder of the new map.
        overwrite: replace an existing map.
        wait: seconds to wait for another process that changes `output`.
        progress: called after every image.

    Returns:
        The number of images in the new map.

    Raises:
        MapError: no map, damaged, or `output` cannot be written or must not be replaced.
        DataError: a name that the map does not have, or too few of them.
    """
    report = progress or (lambda done, total, stage: None)
    with new_generation(output, overwrite=overwrite, wait=wait) as new, open_state(path) as state:
        rows = state.rows_of(names)
        check_enough(output, len(rows))
        created = datetime.now(timezone.utc).isoformat(timespec='seconds')
        manifest = replace(state.manifest, created=created)
        return len(compose(new, [state.part(rows)], [], manifest, report))


def prune_map(
    path: Path,
    distance: float,
    angle_deg: float,
    *,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> list[str]:
    """Drop images that are nearly where better ones of the same camera are.

    Better is what has more keypoints, and, where these are as many, what is sharper.

    Args:
        path: folder of the map.
        distance: between camera centres, map units.
        angle_deg: between their directions.
        wait: seconds to wait for another process that changes the map.
        progress: called after every image that stays.

    Returns:
        The names of the images dropped; none where all are far enough apart.

    Raises:
        MapError: no map, damaged, being changed, or cannot be written.
        DataError: too few images would be left.
    """
    with open_state(path) as state:
        kept = set(_choose(state, distance, math.radians(angle_deg)).tolist())
        dropped = [name for row, name in enumerate(state.names) if row not in kept]
    if dropped:
        remove_images(path, dropped, wait=wait, progress=progress)
    return dropped


def _choose(state: MapState, distance: float, angle: float) -> Rows:
    reference_map = state.reference_map
    cameras = [entry.camera_id for entry in state.index.entries]
    return select_keyframes(
        reference_map.centres,
        reference_map.rotations,
        cameras,
        _best_first(state),
        distance,
        angle,
    )


def _best_first(state: MapState) -> Rows:
    rows = range(len(state.names))
    counts = [len(state.reference_map.features(row)) for row in rows]
    sharpnesses = [_sharpness(state, row) for row in rows]
    return np.lexsort((-np.array(sharpnesses), -np.array(counts)))


def _sharpness(state: MapState, row: int) -> float:
    thumbnail = state.reference_map.thumbnail(row)
    return 0.0 if thumbnail is None else sharpness(thumbnail)
