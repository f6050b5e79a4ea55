# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of every image of a map without reading features: name, pose, descriptor.

Derived from the COLMAP model, because reading that takes seconds for large maps.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from relloc_ros.errors import MapError
from relloc_ros.geometry import Array
from relloc_ros.map.format import Generation

__all__ = ['ImageEntry', 'ImageIndex', 'image_digest']

MAX_QUATERNION_ERROR = 1e-6
POSE_NUMBERS = 7
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """A line of the image list; the digest tells whether another image has the same content."""

    image_id: int
    camera_id: int
    stamp_ns: int
    name: str
    digest: str = ''

    def __str__(self) -> str:
        """Return the line."""
        return f'{self.image_id} {self.camera_id} {self.stamp_ns} {self.digest} {self.name}'

    @classmethod
    def parse(cls, line: str) -> ImageEntry:
        """Read a line; the name is all the rest of it. Raises ValueError."""
        image_id, camera_id, stamp_ns, digest, name = line.split(' ', 4)
        if len(bytes.fromhex(digest)) != DIGEST_BYTES:
            raise ValueError(f'{digest!r} is no digest of {DIGEST_BYTES} bytes')
        return cls(int(image_id), int(camera_id), int(stamp_ns), name, digest)


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """N images.

    Attributes:
        entries: IDs, stamps and names.
        poses: (N, 7) float64 cam_from_map: qw qx qy qz tx ty tz; memory-mapped when read.
        descriptors: (N, D) float32 global descriptors; memory-mapped when read.
    """

    entries: list[ImageEntry]
    poses: Array
    descriptors: NDArray[np.float32]

    def write(self, generation: Generation) -> None:
        """Write images.txt, poses.npy and global_descriptors.npy."""
        generation.images.write_text(''.join(f'{entry}\n' for entry in self.entries), 'utf-8')
        np.save(generation.poses, self.poses)
        np.save(generation.global_descriptors, self.descriptors)

    @classmethod
    def read(cls, generation: Generation) -> ImageIndex:
        """Read them again.

        Raises:
            MapError: missing or damaged files, or different numbers of images in them.
        """
        entries = _read_entries(generation.images)
        poses = _load_array(generation.poses, np.dtype(np.float64))
        descriptors = _load_array(generation.global_descriptors, np.dtype(np.float32))
        if not len(entries) == len(poses) == len(descriptors) > 0:
            raise MapError(
                f'map {generation.folder} lists {len(entries)} images and has {len(poses)} poses '
                f'and {len(descriptors)} global descriptors: build it again'
            )
        lengths = np.linalg.norm(poses[:, :4], axis=1)
        usable = np.isfinite(poses).all(axis=1) & (np.abs(lengths - 1.0) < MAX_QUATERNION_ERROR)
        if poses.shape[1] != POSE_NUMBERS or not usable.all():
            raise MapError(f'{generation.poses} holds numbers that are no poses: build it again')
        return cls(entries, poses, descriptors)

    def centres(self) -> Array:
        """Give the camera centres in the map, (N, 3)."""
        rotations = Rotation.from_quat(self.poses[:, [1, 2, 3, 0]])
        # A copy: scipy refuses read-only memory.
        centres: Array = -rotations.apply(self.poses[:, 4:].copy(), inverse=True)
        return centres


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


def _read_entries(path: Path) -> list[ImageEntry]:
    try:
        lines = path.read_text('utf-8').split('\n')[:-1]
        return [ImageEntry.parse(line) for line in lines]
    except (OSError, ValueError) as error:
        raise MapError(f'{path} is missing or damaged ({error}): build the map again') from error


def _load_array(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MapError(f'{path} is missing or damaged ({error}): build the map again') from error
    if array.ndim != 2 or array.dtype != dtype:
        raise MapError(f'{path} holds {array.shape} {array.dtype}: build the map again')
    return np.asarray(array)
