# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NVM files of VisualSFM: focal length, distortion and pose of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
import posixpath

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import locating_errors, text_lines

__all__ = ['NvmImage', 'camera_of', 'key_of', 'pose_from_centre', 'read_nvm']


@dataclass(frozen=True, slots=True, eq=False)
class NvmImage:
    """An image of the file; its distortion is that of focal length 1."""

    name: str
    focal_length: float
    distortion: float
    cam_from_map: RigidTransform


def read_nvm(path: Path) -> dict[str, NvmImage]:
    """Read the images of the first model of an NVM_V3 file, by name without suffix.

    Raises:
        DataError: missing or malformed.
    """
    lines = (item for item in enumerate(text_lines(path), start=1) if item[1].strip())
    _, header = next(lines, (0, ''))
    if header.split() != ['NVM_V3']:
        raise DataError(f"{path} does not begin with a line 'NVM_V3' but with {header.split()}")
    _, count = next(lines, (0, ''))
    if not count.strip().isdecimal():
        raise DataError(f'{path}: expected the number of cameras, got {count.strip()!r}')
    images = {}
    for i in range(int(count)):
        number, line = next(lines, (0, ''))
        with locating_errors(f'{path}, line {number}, camera {i + 1} of {int(count)}'):
            image = _parse(line)
        images[key_of(image.name)] = image
    return images


def key_of(name: str) -> str:
    """Name without suffix, in which the files of Cambridge Landmarks differ."""
    stem, _ = posixpath.splitext(name.replace('\\', '/'))
    return stem.removeprefix('./')


def pose_from_centre(centre: Sequence[float], quat_wxyz: Sequence[float]) -> RigidTransform:
    """Give cam_from_map from the camera's centre and the rotation from map to camera.

    Raises:
        DataError: not of unit length, or not finite.
    """
    cam_from_centre = RigidTransform.from_quat_wxyz(quat_wxyz, np.zeros(3))
    x, y, z = centre
    return cam_from_centre @ RigidTransform.from_quat_wxyz((1, 0, 0, 0), (-x, -y, -z))


def camera_of(image: NvmImage, width: int, height: int) -> Camera:
    """Turn VisualSFM's calibration into a camera with the principal point in the middle.

    There x_undistorted = x (1 + r |x|^2); COLMAP's model goes the other way, and its series begins
    x = x_undistorted (1 - r |x_undistorted|^2 + 3 r^2 |x_undistorted|^4).

    Raises:
        DataError: no positive focal length, or not finite.
    """
    focal_length, r = image.focal_length, image.distortion
    if not math.isfinite(r):
        raise DataError(f'distortion {r} is not finite')
    params = (focal_length, width / 2, height / 2, -r, 3 * r * r)
    return Camera('RADIAL', width, height, params)


def _parse(line: str) -> NvmImage:
    try:
        # name, focal length, quaternion, centre, distortion, 0
        name, *texts = line.rsplit(maxsplit=10)
        focal_length, *pose, distortion, _ = (float(text) for text in texts)
        if len(texts) != 10:
            raise ValueError(f'{len(texts)} numbers instead of 10')
    except ValueError as error:
        raise DataError(
            'expected name, focal length, quaternion, centre, distortion and 0, '
            f'got {line.strip()!r}'
        ) from error
    return NvmImage(name, focal_length, distortion, pose_from_centre(pose[4:], pose[:4]))
