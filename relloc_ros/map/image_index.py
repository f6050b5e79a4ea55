# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of every image of a map without reading features: name, pose, descriptor.

Derived from the COLMAP model, because reading that takes seconds for large maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from relloc_ros.errors import MapError
from relloc_ros.geometry import MAX_COORDINATE, Array
from relloc_ros.map.format import Generation
from relloc_ros.map.image_table import DIGEST_BYTES, ImageEntry, ImageTable
from relloc_ros.map.retrieval_index import Report, index_for
from relloc_ros.map.stored_rows import map_array

__all__ = ['ImageEntry', 'ImageIndex', 'StoredIndex', 'image_digest']

MAX_QUATERNION_ERROR = 1e-6
POSE_NUMBERS = 7
BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """N images.

    Attributes:
        entries: IDs, stamps and names.
        poses: (N, 7) float64 cam_from_map: qw qx qy qz tx ty tz; memory-mapped when read.
        descriptors: (N, D) float32 global descriptors; memory-mapped when read.
    """

    entries: Sequence[ImageEntry]
    poses: Array
    descriptors: NDArray[np.float32]

    def write(self, generation: Generation, report: Report | None = None) -> float | None:
        """Write images.txt, poses.npy, global_descriptors.npy and, of a large map, its index.

        Args:
            generation: where.
            report: called as the index grows.

        Returns:
            Recall of the index, see `index_for`.
        """
        with generation.images.open('w', encoding='utf-8', newline='\n') as file:
            file.writelines(f'{entry}\n' for entry in self.entries)
        np.save(generation.poses, self.poses)
        np.save(generation.global_descriptors, self.descriptors)
        return index_for(generation, self.descriptors, report)

    @classmethod
    def read(cls, generation: Generation) -> StoredIndex:
        """Read them again.

        Raises:
            MapError: missing or damaged files, or different numbers of images in them.
        """
        entries = ImageTable(generation.images)
        poses = map_array(generation.poses, np.dtype(np.float64))
        descriptors = map_array(generation.global_descriptors, np.dtype(np.float32))
        if not len(entries) == len(poses) == len(descriptors) > 0:
            raise MapError(
                f'map {generation.folder} lists {len(entries)} images and has {len(poses)} poses '
                f'and {len(descriptors)} global descriptors: build it again'
            )
        centres = np.empty((len(poses), 3))
        for start in range(0, len(poses), BLOCK_ROWS):
            # Mapped for each block alone: what was read through a map of its own is resident.
            block = np.array(map_array(generation.poses, poses.dtype)[start : start + BLOCK_ROWS])
            if not _are_poses(block):
                raise MapError(
                    f'{generation.poses} holds numbers that are no poses: build it again'
                )
            rotations = Rotation.from_quat(block[:, [1, 2, 3, 0]])
            centres[start : start + BLOCK_ROWS] = -rotations.apply(block[:, 4:], inverse=True)
        return StoredIndex(entries, np.asarray(poses), np.asarray(descriptors), centres)


@dataclass(frozen=True, slots=True, eq=False)
class StoredIndex(ImageIndex):
    """What `ImageIndex.read` gives.

    Attributes:
        entries: the image list on disk.
        centres: (N, 3) float64 camera centres in the map.
    """

    entries: ImageTable
    centres: Array


def image_digest(image: NDArray[np.uint8]) -> str:
    """Give a hash of an image's grey values, as hexadecimal text.

    Equal for the same image from a file and from a message, in colour or grey.

    Args:
        image: (H, W) grey or (H, W, 3) BGR, uint8.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    content = hashlib.sha256(f'{grey.shape}'.encode())
    content.update(np.ascontiguousarray(grey).tobytes())
    return content.hexdigest()[: 2 * DIGEST_BYTES]


def _are_poses(rows: Array) -> bool:
    if rows.shape[1] != POSE_NUMBERS:
        return False
    lengths = np.linalg.norm(rows[:, :4], axis=1)
    within = (np.abs(rows) <= MAX_COORDINATE).all(axis=1)
    usable = within & (np.abs(lengths - 1.0) < MAX_QUATERNION_ERROR)
    return bool(usable.all())
