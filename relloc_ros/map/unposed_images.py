# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images without poses: those in a folder, with cameras as good as can be known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.map.sources.names import file_of, read_list, stamps_from_names
from relloc_ros.map.sources.posed_image import image_size, read_pixels

__all__ = ['UnposedImage', 'find_images', 'image_files']

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
)
FOCAL_LENGTH = 1.2
"""Of the longer side, where nobody says: COLMAP's guess, about that of a telephone."""
GUESSED_MODEL = 'SIMPLE_RADIAL'


@dataclass(frozen=True, slots=True, eq=False)
class UnposedImage:
    """An image of a folder.

    Attributes:
        name: path relative to the folder.
        path: the file.
        camera: given, or guessed.
        focal_known: whether the camera's focal length is more than a guess.
        stamp_ns: from the name if it is a time, else counted up by name.
    """

    name: str
    path: Path
    camera: Camera
    focal_known: bool
    stamp_ns: int

    def read(self) -> NDArray[np.uint8]:
        """Read (H, W, 3) BGR uint8.

        Raises:
            DataError: not readable, or not of the camera's size.
        """
        return read_pixels(self.path, self.camera)


def find_images(
    folder: Path, list_file: Path | None = None, camera: Camera | None = None
) -> list[UnposedImage]:
    """Find the images in a folder and below, in order of time or name.

    Args:
        folder: of the images.
        list_file: names of those wanted; None takes all.
        camera: calibration of all of them; None guesses from the sizes and from focal lengths in
            EXIF.

    Raises:
        DataError: no such folder, no images, a listed one is missing, or one is unreadable.
    """
    if not folder.is_dir():
        raise DataError(f'{folder} is no folder: structure from motion takes a folder of images')
    if list_file is None:
        names = [name for name, _ in image_files(folder)]
    else:
        names = read_list(list_file)
    if not names:
        raise DataError(
            f'{folder} holds no images ({", ".join(sorted(IMAGE_SUFFIXES))}): name their folder'
        )
    images = []
    for name, stamp_ns in stamps_from_names(names).items():
        path = file_of(folder, name)
        if not path.is_file():
            raise DataError(f'{path} is missing: correct the list, or name the folder of images')
        chosen, known = (camera, True) if camera is not None else _guess(path)
        images.append(UnposedImage(name, path, chosen, known, stamp_ns))
    return images


def image_files(folder: Path) -> list[tuple[str, Path]]:
    """Give name and path of the image files in a folder and below, in order of name."""
    found = []
    # Hidden folders and files hold what other programs keep for themselves.
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in IMAGE_SUFFIXES and not name.startswith('.'):
                found.append((path.relative_to(folder).as_posix(), path))
    return sorted(found)


def _guess(path: Path) -> tuple[Camera, bool]:
    """Guess a camera from EXIF, else from the size; says whether EXIF has its focal length."""
    try:
        width, height = image_size(path)
    except DataError as error:
        raise DataError(f'{error}: delete it, or name the others with --list') from error
    try:
        found = pycolmap.infer_camera_from_image(path)
        if (found.width, found.height) == (width, height) and found.has_prior_focal_length:
            return Camera.from_pycolmap(found), True
    except (RuntimeError, ValueError):
        # COLMAP reads fewer formats than OpenCV.
        pass
    focal_length = FOCAL_LENGTH * max(width, height)
    return Camera(GUESSED_MODEL, width, height, (focal_length, width / 2, height / 2, 0.0)), False
