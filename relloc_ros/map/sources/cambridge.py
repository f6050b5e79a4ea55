# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of Cambridge Landmarks (Kendall et al., ICCV 2015) in their original layout.

A scene's folder holds ``dataset_train.txt`` and ``dataset_test.txt``, whose lines
``seq1/frame00001.png X Y Z W P Q R`` give the camera's centre in the map (metres) and the
quaternion (w first) of the rotation from map to camera. ``reconstruction.nvm`` of VisualSFM has
focal length and distortion of each image; it may call it ``seq1/frame00001.jpg``.
"""

from __future__ import annotations

from dataclasses import dataclass
import logging
import math
from pathlib import Path, PurePosixPath
import posixpath
import struct

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import (
    SPLITS,
    SourceImage,
    Split,
    locating_errors,
    text_lines,
)

__all__ = ['is_cambridge', 'read_cambridge']

logger = logging.getLogger(__name__)

SPLIT_FILES: dict[Split, str] = {'train': 'dataset_train.txt', 'test': 'dataset_test.txt'}
MODEL = 'reconstruction.nvm'
HEADER_LINES = 2
"""The name of the format and of the columns; an empty line follows."""

PNG_HEADER = struct.Struct('>8s4x4sII')
"""Signature, chunk name, width and height."""


@dataclass(frozen=True, slots=True)
class _Intrinsics:
    """Of one image of the NVM file; its distortion is that of focal length 1."""

    focal_length: float
    distortion: float


def is_cambridge(scene: Path) -> bool:
    """Tell whether a folder has a split file of Cambridge Landmarks."""
    return any((scene / name).is_file() for name in SPLIT_FILES.values())


def read_cambridge(
    scene: Path, split: Split | None, images_dir: Path | None = None
) -> list[SourceImage]:
    """Read the images of a scene, both splits if None is named.

    Images without intrinsics are left out with a warning.

    Args:
        scene: its folder.
        split: train, test or None.
        images_dir: folder of the images, whose sizes are read; None is the scene's own.

    Raises:
        DataError: a file is missing or malformed, or nothing is left.
    """
    intrinsics = _read_nvm(scene / MODEL)
    images = []
    unknown = []
    for name, cam_from_map in _read_poses(scene, split).items():
        if _key(name) not in intrinsics:
            unknown.append(name)
            continue
        size = _png_size((images_dir or scene) / name)
        with locating_errors(f'{scene / MODEL}, image {name!r}'):
            camera = _camera(intrinsics[_key(name)], *size)
        images.append(SourceImage(name, camera, cam_from_map))
    if unknown:
        logger.warning(
            '%s: left out %d images that %s lacks, first %s',
            scene,
            len(unknown),
            MODEL,
            unknown[0],
        )
    if not images:
        raise DataError(f'{scene / MODEL} has none of the images of {scene}')
    return images


def _read_poses(scene: Path, split: Split | None) -> dict[str, RigidTransform]:
    """cam_from_map by name."""
    poses: dict[str, RigidTransform] = {}
    for wanted in SPLITS if split is None else (split,):
        path = scene / SPLIT_FILES[wanted]
        before = len(poses)
        for number, line in enumerate(text_lines(path), start=1):
            if number > HEADER_LINES and line.strip():
                with locating_errors(f'{path}, line {number}'):
                    name, pose = _parse_pose(line)
                    known = poses.setdefault(name, pose)
                    if not np.array_equal(known.matrix, pose.matrix):
                        raise DataError(f'image {name!r} is listed before, with another pose')
        if len(poses) == before:
            raise DataError(f'{path} lists no images: unpack the data set again')
    return poses


def _parse_pose(line: str) -> tuple[str, RigidTransform]:
    """Name and cam_from_map of an image."""
    name, *texts = line.split()
    try:
        x, y, z, *quat_wxyz = (float(text) for text in texts)
    except ValueError as error:
        raise DataError(f'no name, position and quaternion: {line.strip()!r}') from error
    if len(quat_wxyz) != 4:
        raise DataError(f'no name, position and quaternion: {line.strip()!r}')
    if '..' in PurePosixPath(name).parts or name.startswith('/'):
        raise DataError(f'image name {name!r} does not stay inside the folder of the scene')
    cam_from_centre = RigidTransform.from_quat_wxyz(quat_wxyz, np.zeros(3))
    centre_from_map = RigidTransform.from_quat_wxyz((1, 0, 0, 0), (-x, -y, -z))
    return name, cam_from_centre @ centre_from_map


def _read_nvm(path: Path) -> dict[str, _Intrinsics]:
    """Intrinsics by name without suffix, of the first model of an NVM_V3 file."""
    lines = (line for line in text_lines(path) if line.strip())
    header = next(lines, '').split()
    if header != ['NVM_V3']:
        raise DataError(f"{path} does not begin with a line 'NVM_V3' but with {header}")
    count = next(lines, '').strip()
    if not count.isdecimal():
        raise DataError(f'{path}: expected the number of cameras, got {count!r}')
    intrinsics = {}
    for i in range(int(count)):
        line = next(lines, '')
        try:
            # name, focal length, quaternion, centre, distortion, 0
            name, *texts = line.rsplit(maxsplit=10)
            focal_length, *_, distortion, _ = (float(text) for text in texts)
            if len(texts) != 10:
                raise ValueError(f'{len(texts)} numbers instead of 10')
        except ValueError as error:
            raise DataError(
                f'{path}, camera {i + 1} of {count}: expected name, focal length, quaternion, '
                f'centre, distortion and 0, got {line.strip()!r}'
            ) from error
        intrinsics[_key(name)] = _Intrinsics(focal_length, distortion)
    return intrinsics


def _key(name: str) -> str:
    """Name without suffix, in which the two files of a scene differ."""
    stem, _ = posixpath.splitext(name.replace('\\', '/'))
    return stem.removeprefix('./')


def _camera(intrinsics: _Intrinsics, width: int, height: int) -> Camera:
    """Turn VisualSFM's calibration into a camera with the principal point in the middle.

    There x_undistorted = x (1 + r |x|^2); COLMAP's model goes the other way, and its series begins
    x = x_undistorted (1 - r |x_undistorted|^2 + 3 r^2 |x_undistorted|^4).
    """
    focal_length, r = intrinsics.focal_length, intrinsics.distortion
    if not math.isfinite(r):
        raise DataError(f'distortion {r} is not finite')
    params = (focal_length, width / 2, height / 2, -r, 3 * r * r)
    return Camera('RADIAL', width, height, params)


def _png_size(path: Path) -> tuple[int, int]:
    """Read width and height without decoding the image."""
    try:
        with path.open('rb') as file:
            header = file.read(PNG_HEADER.size)
    except OSError as error:
        raise DataError(f'cannot read image {path}: {error.strerror}') from error
    if len(header) < PNG_HEADER.size:
        raise DataError(f'image {path} is no PNG file')
    signature, chunk, width, height = PNG_HEADER.unpack(header)
    if signature != b'\x89PNG\r\n\x1a\n' or chunk != b'IHDR':
        raise DataError(f'image {path} is no PNG file')
    return width, height
