# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of Cambridge Landmarks (Kendall et al., ICCV 2015) in their original layout.

A scene's folder holds ``dataset_train.txt`` and ``dataset_test.txt``, whose lines
``seq1/frame00001.png X Y Z W P Q R`` give the camera's centre in the map (metres) and the
quaternion (w first) of the rotation from map to camera. ``reconstruction.nvm`` of VisualSFM has
focal length and distortion of each image; it may call it ``seq1/frame00001.jpg``.

The NVM file has poses too: without the two text files, it is read alone.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.names import file_of
from relloc_ros.map.sources.nvm import NvmImage, camera_of, key_of, pose_from_centre, read_nvm
from relloc_ros.map.sources.posed_image import image_size
from relloc_ros.map.sources.reading import (
    SPLITS,
    SourceFormat,
    SourceImage,
    SourceImages,
    SourceOptions,
    Split,
    locating_errors,
    text_lines,
)

__all__ = ['CAMBRIDGE']

logger = logging.getLogger(__name__)

SPLIT_FILES: dict[Split, str] = {'train': 'dataset_train.txt', 'test': 'dataset_test.txt'}
MODEL = 'reconstruction.nvm'
HEADER_LINES = 2
"""The name of the format and of the columns; an empty line follows."""

IMAGE_SUFFIX = '.png'


def _has_splits(scene: Path) -> bool:
    return any((scene / name).is_file() for name in SPLIT_FILES.values())


def _is_cambridge(scene: Path) -> bool:
    is_nvm = scene.suffix == '.nvm' and scene.is_file()
    return is_nvm or _has_splits(scene) or (scene / MODEL).is_file()


def _read(source: Path, options: SourceOptions) -> SourceImages:
    """Read the images of a scene, both splits if None is named.

    Images without intrinsics are left out with a warning.

    Raises:
        DataError: a file is missing or malformed, or nothing is left.
    """
    scene, model = (source.parent, source) if source.is_file() else (source, source / MODEL)
    folder = options.images or scene
    intrinsics = read_nvm(model)
    if source.is_file() or not _has_splits(scene):
        if options.split is not None:
            raise DataError(
                f'{scene} has no {SPLIT_FILES[options.split]}: name images with --list'
            )
        poses = {_existing(folder, image): image.cam_from_map for image in intrinsics.values()}
    else:
        poses = _read_poses(scene, options.split)
    images = []
    unknown = []
    for name, cam_from_map in poses.items():
        if key_of(name) not in intrinsics:
            unknown.append(name)
            continue
        size = image_size(file_of(folder, name))
        with locating_errors(f'{model}, image {name!r}'):
            camera = camera_of(intrinsics[key_of(name)], *size)
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
        raise DataError(f'{model} has none of the images of {scene}')
    return SourceImages(images, folder)


def _existing(folder: Path, image: NvmImage) -> str:
    """Give the name of the file: as in the model, or as the data set has it."""
    name = image.name.replace('\\', '/').removeprefix('./')
    names = (name, key_of(name) + IMAGE_SUFFIX)
    found = next((item for item in names if file_of(folder, item).is_file()), None)
    if found is None:
        raise DataError(f'image {folder / name} is missing: name the images folder with --images')
    return found


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
    return name, pose_from_centre((x, y, z), quat_wxyz)


CAMBRIDGE = SourceFormat(
    'a scene of Cambridge Landmarks',
    'dataset_train.txt, dataset_test.txt or reconstruction.nvm',
    _is_cambridge,
    _read,
    frozenset({'split'}),
)
