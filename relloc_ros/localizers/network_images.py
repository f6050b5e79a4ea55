# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What networks make of the images of a map, whose pixels the map does not hold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MapError
from relloc_ros.map.format import Manifest
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources.posed_image import read_pixels

__all__ = ['DescribedImages', 'images_folder']

T = TypeVar('T')


def images_folder(reference_map: ReferenceMap, given: str, *, setting: str, user: str) -> Path:
    """Find the folder of the map's images.

    Args:
        reference_map: the map.
        given: the folder; empty looks in what the map was built from.
        setting: that gives it, for the message.
        user: who looks at the images, for the message.

    Raises:
        MapError: the first image of the map is not there.
    """
    first = reference_map.image_names[0]
    source = Manifest.read(reference_map.generation.manifest).source
    built_from = (Path(source) / 'images', Path(source)) if source else ()
    folders = (Path(given),) if given else built_from
    for folder in folders:
        if (folder / first).is_file():
            return folder
    looked = ' or '.join(map(str, folders)) or 'no place: the map does not name its source'
    raise MapError(
        f'{user} looks at the images of map {reference_map.path}, which holds none; {first} was '
        f'looked for in {looked}: set {setting} to the folder of the images that the map was '
        'built from'
    )


class DescribedImages(Generic[T]):
    """Features of map images, made when they are asked for; the latest stay. Thread-safe."""

    def __init__(
        self,
        reference_map: ReferenceMap,
        folder: Path,
        describe: Callable[[NDArray[np.uint8]], T],
        num_bytes: Callable[[T], int],
        max_bytes: int,
    ) -> None:
        """Describe nothing yet.

        Args:
            reference_map: the map.
            folder: of its images.
            describe: makes the features of an image (H, W, 3) BGR uint8.
            num_bytes: memory of an image's features.
            max_bytes: memory for those that stay.
        """
        self._map = reference_map
        self._folder = folder
        self._describe = describe
        self._num_bytes = num_bytes
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, T] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, index: int) -> T:
        """Features of a map image.

        Raises:
            DataError: the image is missing, damaged, or not of its camera's size.
        """
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
        path = self._folder / self._map.image_names[index]
        described = self._describe(read_pixels(path, self._map.camera(index)))
        with self._lock:
            self._kept[index] = described
            while sum(map(self._num_bytes, self._kept.values())) > self._max_bytes:
                self._kept.popitem(last=False)
        return described
