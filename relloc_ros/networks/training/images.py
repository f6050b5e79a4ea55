# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pixels of a map's images, which the map itself does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array
from relloc_ros.map.image_index import image_digest
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.networks.preprocessing import resize_shorter_side

__all__ = ['ResizedImages', 'TrainingImage', 'images_of_map']

CACHE_BYTES = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImage:
    """An image of a map.

    Attributes:
        posed: where its pixels are; pose and camera are the map's.
        digest: `image_digest` of the pixels; '' where the map has none.
    """

    posed: PosedImage
    digest: str

    def read(self) -> NDArray[np.uint8]:
        """Read the image as (H, W, 3) BGR uint8.

        Raises:
            DataError: not readable, or not the image that the map was built from.
        """
        image = read_image(self.posed)
        if self.digest not in ('', image_digest(image)):
            raise DataError(
                f'image {self.posed.name!r} of {self.posed.path} is not the one that the map was '
                'built from: name the source of the map with --source'
            )
        return image


def images_of_map(
    reference_map: ReferenceMap, source: Sequence[PosedImage]
) -> list[TrainingImage]:
    """Find the images of a map (N,) in a source, by their names.

    Raises:
        DataError: some are not there.
    """
    found = {image.name: image for image in source}
    names = list(reference_map.image_names)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f'{len(missing)} of the {len(names)} images of map {reference_map.path} are not in '
            f'its source, the first is {missing[0]!r}: name the source that the map was built '
            'from with --source'
        )
    return [
        TrainingImage(
            replace(
                found[name],
                camera=reference_map.camera(index),
                cam_from_map=reference_map.cam_from_map(index),
            ),
            reference_map.digest(index),
        )
        for index, name in enumerate(names)
    ]


def _no_cache() -> dict[int, tuple[NDArray[np.uint8], Array]]:
    return {}


@dataclass(slots=True, eq=False)
class ResizedImages:
    """Images of one size, kept in memory as far as they have room; used by several threads.

    Attributes:
        images: all of them.
        shorter_side: pixels.
        room: bytes left for further ones.
    """

    images: Sequence[TrainingImage]
    shorter_side: int
    room: int = CACHE_BYTES
    _kept: dict[int, tuple[NDArray[np.uint8], Array]] = field(default_factory=_no_cache)

    def read(self, index: int) -> tuple[NDArray[np.uint8], Array]:
        """Give an image (H, W, 3) BGR uint8 and its intrinsics (3, 3).

        Raises:
            DataError: not readable, or not the image that the map was built from.
        """
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        image = self.images[index]
        intrinsics = _intrinsics(image.posed.camera)
        resized = resize_shorter_side(image.read(), intrinsics, self.shorter_side)
        # Two threads may do this at once: then a little more than the room is used.
        if resized[0].nbytes <= self.room:
            self.room -= resized[0].nbytes
            self._kept[index] = resized
        return resized


def _intrinsics(camera: Camera) -> Array:
    """Give the (3, 3) matrix of a camera; networks see the image as it is, distorted."""
    pinhole = camera.to_pycolmap(1)
    return np.asarray(pinhole.calibration_matrix(), dtype=np.float64)
