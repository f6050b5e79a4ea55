# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sequences of KITTI odometry (Geiger et al., CVPR 2012).

``sequences/00`` holds ``calib.txt`` (P0 to P3, 3x4 each), ``times.txt`` and the folders of the
rectified images, ``image_0`` to ``image_3``; ``poses/00.txt`` beside ``sequences`` has a 3x4
matrix a line, map from camera 0, metres. Camera i sits at -K^-1 p from camera 0, p being the last
column of Pi. The centre of the first pixel is at (0, 0).
"""

from __future__ import annotations

from itertools import pairwise
import logging
from pathlib import Path

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.sources.names import FIRST_STAMP_NS
from relloc_ros.map.sources.posed_image import image_size
from relloc_ros.map.sources.reading import (
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    data_lines,
    locating_errors,
    numbers,
    rigid_from_numbers,
    seconds_to_ns,
)

__all__ = ['KITTI']

logger = logging.getLogger(__name__)

CALIBRATION, TIMES, POSES = 'calib.txt', 'times.txt', 'poses.txt'
CAMERAS = ('image_2', 'image_3', 'image_0', 'image_1')
"""Colour first, left first."""

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
PIXEL_CENTRE = 0.5


def _is_kitti(source: Path) -> bool:
    has_images = any((source / camera).is_dir() for camera in CAMERAS)
    return has_images and (source / CALIBRATION).is_file()


def _read(source: Path, options: SourceOptions) -> SourceImages:
    folder = options.images or source
    sensor = _choose(folder, options.sensor)
    files = sorted(item for item in (folder / sensor).iterdir() if item.suffix in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f'{folder / sensor} has no images named like 000000.png')
    projection = _projection(source / CALIBRATION, f'P{sensor[-1]}')
    with locating_errors(f'{source / CALIBRATION}, P{sensor[-1]}'):
        camera, cam_from_cam0 = _camera(projection, *image_size(files[0]))
    poses = _poses(_find_poses(source))
    stamps = _times(source / TIMES) if (source / TIMES).is_file() else None
    images = []
    for file in files:
        if not file.stem.isdecimal():
            raise DataError(f'image {file} is not named by its number, like 000000.png')
        number = int(file.stem)
        if number >= len(poses) or (stamps is not None and number >= len(stamps)):
            continue
        pose = cam_from_cam0 @ poses[number].inverse()
        stamp_ns = None if stamps is None else stamps[number]
        images.append(SourceImage(f'{sensor}/{file.name}', camera, pose, stamp_ns))
    if len(images) < len(files):
        logger.warning(
            '%s: left out %d of %d images, which have no line among %d poses',
            source,
            len(files) - len(images),
            len(files),
            len(poses),
        )
    return SourceImages(images, folder)


def _choose(folder: Path, wanted: str | None) -> str:
    found = [camera for camera in CAMERAS if (folder / camera).is_dir()]
    if wanted is not None and wanted not in found:
        raise DataError(f'{folder} has no camera {wanted!r}: choose --sensor {" or ".join(found)}')
    if not found:
        raise DataError(f'{folder} has none of the folders {", ".join(CAMERAS)}')
    return wanted or found[0]


def _projection(path: Path, name: str) -> Array:
    """Read one of the 3x4 matrices."""
    for place, fields in data_lines(path):
        if fields[0].rstrip(':') == name:
            with locating_errors(place):
                values = np.array(numbers(fields[1:], f'{name} and 12 numbers'))
                if values.size != 12:
                    raise DataError(f'{name} has {values.size} numbers instead of 12')
                return values.reshape(3, 4)
    raise DataError(f'{path} has no line {name}')


def _camera(projection: Array, width: int, height: int) -> tuple[Camera, RigidTransform]:
    """Camera and cam_from_cam0."""
    k = projection[:, :3]
    expected = [[k[0, 0], 0, k[0, 2]], [0, k[1, 1], k[1, 2]], [0, 0, 1]]
    if not np.isfinite(projection).all() or not np.allclose(k, expected) or not k[0, 0] * k[1, 1]:
        raise DataError(f'no projection of a rectified camera: {projection.ravel().tolist()}')
    params = (k[0, 0], k[1, 1], k[0, 2] + PIXEL_CENTRE, k[1, 2] + PIXEL_CENTRE)
    camera = Camera('PINHOLE', width, height, tuple(map(float, params)))
    shift: Array = np.asarray(np.linalg.solve(k, projection[:, 3]), dtype=np.float64)
    return camera, RigidTransform(np.eye(3), shift)


def _find_poses(source: Path) -> Path:
    name = f'{source.resolve().name}.txt'
    places = [
        source / POSES,
        source / name,
        source.resolve().parent.parent / 'poses' / name,
        source.resolve().parent / 'poses' / name,
    ]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DataError(
            f'{source} has no poses: looked for {", ".join(map(str, places))} (KITTI publishes '
            'those of sequences 00 to 10)'
        )
    return found


def _poses(path: Path) -> list[RigidTransform]:
    """map_from_cam0 of each frame."""
    poses = []
    for place, fields in data_lines(path):
        with locating_errors(place):
            values = numbers(fields, '12 numbers')
            if len(values) != 12:
                raise DataError(f'{len(values)} numbers instead of 12, the rows of a 3x4 matrix')
            poses.append(rigid_from_numbers(values))
    if not poses:
        raise DataError(f'{path} has no poses')
    return poses


def _times(path: Path) -> list[int]:
    """Stamps, seconds from the start of the sequence made to follow `FIRST_STAMP_NS`."""
    stamps = []
    for place, fields in data_lines(path):
        with locating_errors(place):
            stamps.append(FIRST_STAMP_NS + seconds_to_ns(' '.join(fields)))
    for before, now in pairwise(stamps):
        if now <= before:
            raise DataError(f'{path}: times do not grow after {before - FIRST_STAMP_NS} ns')
    return stamps


KITTI = SourceFormat(
    'a sequence of KITTI odometry',
    'calib.txt beside image_0, image_1, image_2 or image_3',
    _is_kitti,
    _read,
    frozenset({'sensor'}),
)
