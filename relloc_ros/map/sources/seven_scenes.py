# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of 7-Scenes (Shotton et al., CVPR 2013) in their original layout.

A scene's folder holds ``TrainSplit.txt`` and ``TestSplit.txt`` with lines like ``sequence3``, and
for each sequence a folder like ``seq-03`` with ``frame-000000.color.png`` and
``frame-000000.pose.txt``, a 4x4 matrix map_from_cam in metres.

The data set has no calibration. Its focal length of 585 px belongs to the depth camera; that of
the colour camera is 525 px (structure from motion on redkitchen says 525.5), and it is the colour
images that are localized. The poses are the depth camera's: the few centimetres between the two
cameras cancel where query and map image look the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import re

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.sources.reading import (
    SPLITS,
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    Split,
    locating_errors,
    rigid_from_numbers,
    text_lines,
)

__all__ = ['SEVEN_SCENES']

logger = logging.getLogger(__name__)

# Nominal: the principal point is the middle of the image, (320, 240) in COLMAP's convention.
COLOUR_CAMERA = Camera('SIMPLE_PINHOLE', 640, 480, (525.0, 320.0, 240.0))

SPLIT_FILES: dict[Split, str] = {'train': 'TrainSplit.txt', 'test': 'TestSplit.txt'}
IMAGE_SUFFIX, POSE_SUFFIX = '.color.png', '.pose.txt'

MAX_POSE_BYTES = 10_000
NO_NUMBER = re.compile(r'[+-]?\d\.#\w+')
"""How Windows writes numbers that are none, for example -1.#IND."""


def _is_seven_scenes(scene: Path) -> bool:
    return any((scene / name).is_file() for name in SPLIT_FILES.values())


def _read(scene: Path, options: SourceOptions) -> SourceImages:
    """Read the images of a scene, both splits if None is named.

    Frames whose pose is lost (not finite, or all zeros) are left out with a warning.

    Raises:
        DataError: a split file, sequence or pose is missing or malformed, or none is left.
    """
    camera = options.camera or COLOUR_CAMERA
    images = []
    lost = []
    for wanted in SPLITS if options.split is None else (options.split,):
        for sequence in _sequences(scene / SPLIT_FILES[wanted]):
            for name, pose_file in _frames(scene, sequence):
                map_from_cam = _read_pose(pose_file)
                if map_from_cam is None:
                    lost.append(name)
                else:
                    images.append(SourceImage(name, camera, map_from_cam.inverse()))
    if lost:
        logger.warning('%s: %d frames without a valid pose, first %s', scene, len(lost), lost[0])
    if not images:
        raise DataError(f'{scene} has no frame with a valid pose: unpack the data set again')
    return SourceImages(images, options.images or scene)


def _sequences(split_file: Path) -> list[str]:
    """Names of the folders of a split."""
    folders = []
    for number, line in enumerate(text_lines(split_file), start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r'sequence\s*(\d+)', line.strip())
        if match is None:
            raise DataError(
                f"{split_file}, line {number} is no sequence like 'sequence1': {line.strip()!r}"
            )
        folders.append(f'seq-{int(match[1]):02d}')
    if not folders:
        raise DataError(f'{split_file} names no sequence: unpack the data set again')
    return folders


def _frames(scene: Path, sequence: str) -> Iterator[tuple[str, Path]]:
    """Name and pose file of each frame, in order."""
    folder = scene / sequence
    if not folder.is_dir():
        raise DataError(f'sequence {folder} is missing: unpack {sequence}.zip there')
    images = sorted(folder.glob(f'*{IMAGE_SUFFIX}'))
    if not images:
        raise DataError(f'{folder} has no images named like frame-000000{IMAGE_SUFFIX}')
    for image in images:
        pose_file = folder / (image.name.removesuffix(IMAGE_SUFFIX) + POSE_SUFFIX)
        yield f'{sequence}/{image.name}', pose_file


def _read_pose(path: Path) -> RigidTransform | None:
    """Read map_from_cam; None where tracking was lost."""
    values = _numbers(path)
    if not np.isfinite(values).all() or not values[:15].any():
        return None
    with locating_errors(str(path)):
        return rigid_from_numbers(values)


def _numbers(path: Path) -> Array:
    """Read the (16,) numbers of a 4x4 matrix, NaN for those that are none."""
    if path.is_file() and path.stat().st_size > MAX_POSE_BYTES:
        raise DataError(f'{path} is too large for a 4x4 matrix')
    text = ' '.join(text_lines(path)).split()
    try:
        values = [float('nan') if NO_NUMBER.fullmatch(item) else float(item) for item in text]
    except ValueError as error:
        raise DataError(f'{path} is no matrix of numbers: {error}') from error
    if len(values) != 16:
        raise DataError(f'{path} holds {len(values)} numbers, a 4x4 matrix has 16')
    return np.array(values)


SEVEN_SCENES = SourceFormat(
    'a scene of 7-Scenes',
    'TrainSplit.txt or TestSplit.txt',
    _is_seven_scenes,
    _read,
    frozenset({'split', 'camera'}),
)
