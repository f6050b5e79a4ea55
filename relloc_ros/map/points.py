# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 3D points of a triangulated map: which keypoints show them, and how to find them by words.

Written beside the COLMAP model, because reading that takes seconds for large maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MapError
from relloc_ros.geometry import Array
from relloc_ros.map.stored_rows import load_mapped

__all__ = ['NO_POINT', 'MapPoints', 'flat_ranges']

NO_POINT = -1


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """P points seen by N images that have K keypoints in all; W words with E entries.

    A point has an entry in each word that one of its keypoints falls into, with the descriptor
    that stands for those keypoints.

    Attributes:
        positions: (P, 3) float64 in the map.
        keypoint_offsets: (N + 1,) int64, where the keypoints of each image begin.
        keypoint_points: (K,) int32, the point each keypoint shows, or `NO_POINT`.
        observation_offsets: (P + 1,) int64, where the observations of each point begin.
        observations: (O,) int64 rows among the K keypoints, by point.
        words: (W, D) float32 centres of the visual words.
        word_offsets: (W + 1,) int64, where the entries of each word begin.
        entry_points: (E,) int32 points.
        entry_descriptors: (E, D) uint8, as the extractor stores them.
    """

    positions: Array
    keypoint_offsets: NDArray[np.int64]
    keypoint_points: NDArray[np.int32]
    observation_offsets: NDArray[np.int64]
    observations: NDArray[np.int64]
    words: NDArray[np.float32]
    word_offsets: NDArray[np.int64]
    entry_points: NDArray[np.int32]
    entry_descriptors: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.positions)

    def of_image(self, index: int) -> NDArray[np.int32]:
        """Points that the keypoints of an image show, in the order of the database."""
        start, end = self.keypoint_offsets[index : index + 2]
        return self.keypoint_points[start:end]

    def observations_of(
        self, points: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Find who sees points (Q,).

        Returns:
            For each observation: which of the Q, which image, which of the image's keypoints.
        """
        starts = self.observation_offsets[points]
        counts = self.observation_offsets[np.asarray(points) + 1] - starts
        rows = self.observations[flat_ranges(starts, counts)]
        images = np.searchsorted(self.keypoint_offsets, rows, side='right') - 1
        which = np.repeat(np.arange(len(points)), counts)
        return which, images, rows - self.keypoint_offsets[images]

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Give all arrays by name."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    def write(self, folder: Path) -> None:
        """Write a file for each array into a fresh folder."""
        folder.mkdir()
        for name, array in self.arrays():
            np.save(folder / f'{name}.npy', array)

    @classmethod
    def read(cls, folder: Path, num_images: int) -> MapPoints | None:
        """Map the files into memory; None if there is no such folder.

        Raises:
            MapError: missing or damaged files, or numbers that point out of them.
        """
        if not folder.is_dir():
            return None
        arrays = {field.name: _load(folder / f'{field.name}.npy') for field in fields(cls)}
        points = cls(**arrays)
        problem = next(points._problems(num_images), '')
        if problem:
            raise MapError(f'{folder} is damaged ({problem}): triangulate the map again')
        return points

    def _problems(self, num_images: int) -> Iterator[str]:
        for name, array in self.arrays():
            dimensions, dtype = _LAYOUT[name]
            if array.ndim != dimensions or array.dtype != dtype:
                yield f'{name} is {array.dtype} with {array.ndim} dimensions'
        if self.positions.shape[1] != 3 or not np.isfinite(self.positions).all():
            yield 'positions are no points'
        if len(self.keypoint_offsets) != num_images + 1:
            yield f'keypoints of {len(self.keypoint_offsets) - 1} images, the map has {num_images}'
        for name, offsets, targets, count in (
            ('keypoint', self.keypoint_offsets, self.keypoint_points, num_images),
            ('observation', self.observation_offsets, self.observations, len(self)),
            ('word', self.word_offsets, self.entry_points, len(self.words)),
        ):
            if len(offsets) != count + 1 or offsets[0] != 0 or offsets[-1] != len(targets):
                yield f'{name}_offsets do not fit what they count'
            if (np.diff(offsets) < 0).any():
                yield f'{name}_offsets run backwards'
        for name, targets, limit in (
            ('keypoint_points', self.keypoint_points, len(self)),
            ('observations', self.observations, len(self.keypoint_points)),
            ('entry_points', self.entry_points, len(self)),
        ):
            least = NO_POINT if name == 'keypoint_points' else 0
            if len(targets) and (targets.min() < least or targets.max() >= limit):
                yield f'{name} point outside'
        if self.words.shape[1] != self.entry_descriptors.shape[1]:
            yield 'words and descriptors have different dimensions'
        if len(self.entry_descriptors) != len(self.entry_points):
            yield 'a descriptor is missing, or one too many'


_LAYOUT: dict[str, tuple[int, type]] = {
    'positions': (2, np.float64),
    'keypoint_offsets': (1, np.int64),
    'keypoint_points': (1, np.int32),
    'observation_offsets': (1, np.int64),
    'observations': (1, np.int64),
    'words': (2, np.float32),
    'word_offsets': (1, np.int64),
    'entry_points': (1, np.int32),
    'entry_descriptors': (2, np.uint8),
}


def flat_ranges(
    starts: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """Concatenate the ranges start .. start + count."""
    before = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray(
        np.arange(before[-1]) + np.repeat(np.asarray(starts) - before[:-1], counts), dtype=np.intp
    )


def _load(path: Path) -> NDArray[Any]:
    return np.asarray(load_mapped(path, 'triangulate the map again'))
