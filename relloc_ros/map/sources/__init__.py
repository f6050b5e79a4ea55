# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images from files; one module for each data format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.cambridge import is_cambridge, read_cambridge
from relloc_ros.map.sources.colmap import find_model, read_model
from relloc_ros.map.sources.reading import SourceImage, Split
from relloc_ros.map.sources.seven_scenes import is_seven_scenes, read_seven_scenes

__all__ = [
    'PosedImage',
    'read_image',
    'read_list',
    'read_pixels',
    'read_source',
    'stamp_from_name',
]

TIMESTAMP_RANGE_S = (Decimal(10) ** 8, Decimal(10) ** 10)
"""A file named by a number of seconds in this range is named by its time, as in TUM data sets."""

FRAME_PERIOD_NS = 100_000_000
FIRST_STAMP_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class PosedImage:
    """An image file with camera and pose.

    Attributes:
        name: path relative to the images folder, unique in its source.
        path: the file.
        camera: intrinsics and distortion.
        cam_from_map: pose, COLMAP's cam_from_world.
        stamp_ns: from the name if it is a time, otherwise counted up by name.
    """

    name: str
    path: Path
    camera: Camera
    cam_from_map: RigidTransform
    stamp_ns: int


def read_source(
    source: Path,
    images_dir: Path | None = None,
    list_file: Path | None = None,
    split: Split | None = None,
) -> list[PosedImage]:
    """Read posed images of any known format, found out by looking at the folder.

    Args:
        source: a scene of 7-Scenes or Cambridge Landmarks in its original layout, or the folder
            of a COLMAP model, text or binary, or one that holds it as ``sparse`` or ``sparse/0``.
        images_dir: folder of the images; None looks for ``images`` beside the model, and for the
            images of a scene in its own folder.
        list_file: names of the images wanted, in their order; None takes all, by name.
        split: the part of a scene that is wanted; None takes both.

    Raises:
        DataError: unknown format or damaged files, missing list, folder or image, or a split of
            what has none.
    """
    images, folder = _read_images(source, images_dir, split)
    if not folder.is_dir():
        raise DataError(f'images folder {folder} does not exist: name it with --images')
    posed = {image.name: image for image in images}
    names = sorted(posed)
    stamps = dict(zip(names, _stamps(names), strict=True))
    wanted = names if list_file is None else _listed(list_file, names, source)
    result = []
    for name in wanted:
        image = posed[name]
        path = _inside(folder, name)
        result.append(PosedImage(name, path, image.camera, image.cam_from_map, stamps[name]))
    missing = [image.path for image in result if not image.path.is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} images are missing, the first is {missing[0]}: copy them there, or '
            'name their folder with --images'
        )
    return result


def _read_images(
    source: Path, images_dir: Path | None, split: Split | None
) -> tuple[list[SourceImage], Path]:
    """Images of a source, and the folder their names are relative to."""
    if is_cambridge(source):
        return read_cambridge(source, split, images_dir), images_dir or source
    if is_seven_scenes(source):
        return read_seven_scenes(source, split), images_dir or source
    model = find_model(source)
    if split is not None:
        raise DataError(
            f'{source} is a COLMAP model, which has no {split} split: name the images with --list'
        )
    folder = _find_images(source, model) if images_dir is None else images_dir
    return read_model(model), folder


def read_image(posed: PosedImage) -> NDArray[np.uint8]:
    """Read the image as (H, W, 3) BGR uint8.

    Raises:
        DataError: not readable, or not of the camera's size.
    """
    return read_pixels(posed.path, posed.camera)


def read_pixels(path: Path, camera: Camera) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) BGR uint8, as large as its camera says.

    Raises:
        DataError: not readable, or not of the camera's size.
    """
    if not path.is_file():
        raise DataError(f'cannot decode image {path}: no such file')
    # Calibration belongs to the stored pixels, whatever EXIF says about turning them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imread(str(path), flags)
    except cv2.error as error:
        raise DataError(f'cannot decode image {path}: {error}') from error
    if image is None:
        raise DataError(f'cannot decode image {path}: damaged or no image file')
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DataError(
            f'image {path} is {width}x{height} pixels, its camera {camera.width}x'
            f'{camera.height}: scale the calibration, or use the images it was made for'
        )
    return np.asarray(image, dtype=np.uint8)


def read_list(path: Path) -> list[str]:
    """Read image names, one a line, spaces allowed; empty lines and repetitions are dropped.

    Raises:
        DataError: missing, empty, or not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except OSError as error:
        raise DataError(f'cannot read list {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise DataError(f'list {path} is not UTF-8 text: {error}') from error
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise DataError(f'list {path} is empty: give one image name a line')
    return names


def _listed(list_file: Path, posed: Sequence[str], source: Path) -> list[str]:
    wanted = read_list(list_file)
    unknown = sorted(set(wanted) - set(posed))
    if unknown:
        raise DataError(
            f'{list_file} names {len(unknown)} images without a pose in {source}, '
            f'the first is {unknown[0]!r}'
        )
    return wanted


def _find_images(source: Path, model: Path) -> Path:
    # Up to the folder that holds sparse/0, no further: other data may lie there.
    parents = [source, model, model.parent, model.parent.parent]
    for parent in parents:
        if (parent / 'images').is_dir():
            return parent / 'images'
    raise DataError(f'no images folder beside model {model}: name it with --images')


def _inside(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or '..' in relative.parts or '\n' in name:
        raise DataError(f'image name {name!r} does not stay inside the images folder {folder}')
    return folder / relative


def _stamps(names: Sequence[str]) -> list[int]:
    times = [stamp_from_name(name) for name in names]
    if all(time is not None for time in times):
        return [time for time in times if time is not None]
    return [FIRST_STAMP_NS + i * FRAME_PERIOD_NS for i in range(len(names))]


def stamp_from_name(name: str) -> int | None:
    """Nanoseconds, if an image is named by a number of seconds; None otherwise."""
    try:
        seconds = Decimal(PurePosixPath(name).stem)
    except InvalidOperation:
        return None
    low, high = TIMESTAMP_RANGE_S
    if not (seconds.is_finite() and low < seconds < high):
        return None
    return int(seconds * 1_000_000_000)
