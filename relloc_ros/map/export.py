# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write what a map knows in formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
import csv
import os
from pathlib import Path
import secrets
import shutil
from typing import Literal

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError, MapError
from relloc_ros.map.editing import MapState, open_state
from relloc_ros.map.sparse_files import read_model

__all__ = ['EXPORTS', 'ExportFormat', 'export_map']

ExportFormat = Literal['colmap', 'colmap-text', 'csv', 'tum']

NS_PER_S = 1_000_000_000
COLUMNS = ('image', 'x', 'y', 'z', 'qx', 'qy', 'qz', 'qw', 'stamp', 'camera')


def export_map(path: Path, output: Path, kind: ExportFormat, *, overwrite: bool = False) -> int:
    """Write the images' poses, and what else the format has room for.

    Args:
        path: folder of the map.
        output: file or folder to make.
        kind: `colmap`: folder with the model, binary, and the database; `colmap-text`: folder
            with the model; `csv`: table of poses and cameras, which `relloc map build` reads;
            `tum`: stamp and pose of the camera in the map, a line an image.
        overwrite: replace what is there.

    Returns:
        The number of images.

    Raises:
        MapError: no map, damaged, or the output cannot be written.
        DataError: the output exists, or a name does not fit into the format.
    """
    if os.path.lexists(output) and not overwrite:
        raise DataError(f'{output} exists: choose another output, or replace it with --overwrite')
    temporary = output.parent / f'.{output.name}.{secrets.token_hex(4)}'
    with open_state(path) as state:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            EXPORTS[kind](state, temporary)
            _replace(temporary, output)
        except OSError as error:
            raise MapError(f'cannot write {output}: {error}') from error
        finally:
            _remove(temporary)
        return len(state.names)


def _write_colmap(state: MapState, output: Path) -> None:
    shutil.copytree(state.generation.sparse, output)
    shutil.copyfile(state.generation.database, output / 'database.db')


def _write_colmap_text(state: MapState, output: Path) -> None:
    spaced = next((name for name in state.names if any(map(str.isspace, name))), None)
    if spaced is not None:
        raise DataError(
            f"COLMAP's text format cannot hold the name {spaced!r} with its space: export "
            'colmap, which is binary'
        )
    output.mkdir()
    read_model(state.generation.sparse).write_text(output)


def _write_csv(state: MapState, output: Path) -> None:
    with output.open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, entry in enumerate(state.index.entries):
            camera = _camera_text(state.reference_map.camera(row))
            writer.writerow([entry.name, *_pose(state, row), _seconds(entry.stamp_ns), camera])


def _write_tum(state: MapState, output: Path) -> None:
    order = sorted(range(len(state.names)), key=lambda row: state.index.entries[row].stamp_ns)
    with output.open('w', encoding='utf-8') as file:
        file.write('# stamp tx ty tz qx qy qz qw, of the camera in the map\n')
        for row in order:
            stamp = _seconds(state.index.entries[row].stamp_ns)
            file.write(' '.join((stamp, *_pose(state, row))) + '\n')


EXPORTS: dict[ExportFormat, Callable[[MapState, Path], None]] = {
    'colmap': _write_colmap,
    'colmap-text': _write_colmap_text,
    'csv': _write_csv,
    'tum': _write_tum,
}


def _pose(state: MapState, row: int) -> list[str]:
    """Position and quaternion of the camera in the map, with all their digits."""
    map_from_cam = state.reference_map.cam_from_map(row).inverse()
    numbers = (*map_from_cam.translation, *map_from_cam.quat_xyzw)
    return [repr(float(number)) for number in numbers]


def _seconds(stamp_ns: int) -> str:
    return f'{stamp_ns // NS_PER_S}.{stamp_ns % NS_PER_S:09}'


def _camera_text(camera: Camera) -> str:
    params = (repr(float(value)) for value in camera.params)
    return ','.join((camera.model, str(camera.width), str(camera.height), *params))


def _replace(temporary: Path, output: Path) -> None:
    if output.is_dir() and not output.is_symlink():
        # Only what an export has written: a slip of the hand must not cost a folder of images.
        if not (output / 'cameras.bin').exists() and not (output / 'cameras.txt').exists():
            raise DataError(f'{output} is a folder with something else: choose another output')
        shutil.rmtree(output)
    temporary.replace(output)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
