# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COLMAP models, text and binary, with and without rigs; hloc writes these too.

Both are read here: pycolmap's text reader cuts image names at spaces, its binary reader demands
the 3D points and takes truncated files for good. 3D points are left out: a map has keypoints of
its own, and the tracks of the points refer to others.

Where a model has frames, the pose of an image is that of its frame and of its camera in the rig,
as in COLMAP itself, whatever the file of images says.
"""

from __future__ import annotations

import logging
from pathlib import Path
import struct

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.colmap_binary import read_binary
from relloc_ros.map.sources.colmap_records import ModelRecords
from relloc_ros.map.sources.colmap_text import read_text
from relloc_ros.map.sources.reading import (
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    text_lines,
)

__all__ = ['COLMAP', 'find_model', 'read_model']

logger = logging.getLogger(__name__)

COUNT_BYTES = struct.calcsize('<Q')


def find_model(source: Path) -> Path:
    """Find the folder with the model: `source`, or its ``sparse``, ``sparse/0`` or ``0``.

    Raises:
        DataError: there is none.
    """
    if not source.exists():
        raise DataError(f'{source} does not exist')
    folder = _model_in(source)
    if folder is None:
        raise DataError(f'{source} holds no COLMAP model: expected {COLMAP.looks_for}')
    return folder


def read_model(folder: Path) -> list[SourceImage]:
    """Read all images with a pose; binary goes before text, as in COLMAP.

    Raises:
        DataError: damaged files, an unknown camera model, the same name twice, no images.
    """
    is_binary = _is_model(folder, '.bin')
    records = read_binary(folder) if is_binary else read_text(folder)
    suffix = '.bin' if is_binary else '.txt'
    if _has_points(folder, is_binary):
        logger.info('%s: its 3D points are left out, their tracks need its own keypoints', folder)
    if not records.images:
        raise DataError(f'model {folder} has no images with a pose')
    poses = _poses_of_frames(records) if records.frames else None
    images = []
    for record in records.images:
        if record.camera_id not in records.cameras:
            raise DataError(f'{record.place}: camera {record.camera_id} is not in cameras{suffix}')
        if poses is not None and record.image_id not in poses:
            raise DataError(f'{record.place}: image {record.image_id} is not in frames{suffix}')
        pose = record.cam_from_map if poses is None else poses[record.image_id]
        images.append(SourceImage(record.name, records.cameras[record.camera_id], pose))
    names = [image.name for image in images]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'model {folder} has image {twice!r} more than once')
    return images


def _poses_of_frames(records: ModelRecords) -> dict[int, RigidTransform]:
    """cam_from_map by image ID."""
    poses = {}
    for frame in records.frames:
        if frame.rig_id not in records.rigs:
            raise DataError(f'{frame.place}: rig {frame.rig_id} is not among the rigs')
        rig = records.rigs[frame.rig_id]
        for sensor, data_id in frame.data:
            if sensor[0] != 'CAMERA':
                continue
            cam_from_rig = rig.get(sensor)
            if cam_from_rig is None:
                raise DataError(
                    f'{frame.place}: rig {frame.rig_id} does not say where camera {sensor[1]} '
                    'sits on it'
                )
            poses[data_id] = cam_from_rig @ frame.rig_from_map
    return poses


def _model_in(source: Path) -> Path | None:
    for folder in (source, source / 'sparse', source / 'sparse' / '0', source / '0'):
        if _is_model(folder, '.bin') or _is_model(folder, '.txt'):
            return folder
    return None


def _is_model(folder: Path, suffix: str) -> bool:
    return all((folder / f'{stem}{suffix}').is_file() for stem in ('cameras', 'images'))


def _has_points(folder: Path, is_binary: bool) -> bool:
    path = folder / f'points3D.{"bin" if is_binary else "txt"}'
    if not path.is_file():
        return False
    if is_binary:
        return path.stat().st_size > COUNT_BYTES
    return any(line.strip() and not line.startswith('#') for line in text_lines(path))


def _read(source: Path, options: SourceOptions) -> SourceImages:
    model = find_model(source)
    return SourceImages(read_model(model), options.images or _find_images(source, model))


def _find_images(source: Path, model: Path) -> Path:
    # Up to the folder that holds sparse/0, no further: other data may lie there.
    parents = [source, model, model.parent, model.parent.parent]
    for parent in parents:
        if (parent / 'images').is_dir():
            return parent / 'images'
    raise DataError(f'no images folder beside model {model}: name it with --images')


COLMAP = SourceFormat(
    'a COLMAP model',
    'cameras and images, as .bin or .txt, in it, in sparse/, sparse/0/ or 0/',
    lambda source: _model_in(source) is not None,
    _read,
)
