# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PCA whitening of global descriptors, and the .npz file it is kept in."""

from __future__ import annotations

from pathlib import Path
import zipfile

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError

__all__ = ['normalize', 'read_arrays', 'train_whitening', 'write_arrays']

FloatArray = NDArray[np.float32]

MIN_DEVIATION = 1e-4
"""Directions in which the training images vary less are rounding errors."""
SHRINKAGE = 1.0
"""Added to each variance before whitening, in units of the largest variance.

Without it a ranking of 20 images of a video map is noise beyond the first five.
"""


def train_whitening(vectors: FloatArray, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Learn to centre, rotate and scale vectors.

    N images span at most N - 1 directions around their mean, and the last of those carry hardly
    more than noise: the variances are raised, so that these are not blown up.

    Args:
        vectors: (N, L) float32, of the training images.
        dimension: largest number of directions kept.

    Returns:
        Mean (L,) and projection (D, L).
    """
    mean = vectors.mean(axis=0)
    if np.linalg.norm(vectors - mean) < MIN_DEVIATION:
        # One image, or always the same: there is no direction but its own.
        mean = np.zeros_like(mean)
    _, singular, directions = np.linalg.svd(vectors - mean, full_matrices=False)
    kept = int(np.count_nonzero(singular[:dimension] > MIN_DEVIATION))
    variances = singular[:kept] ** 2
    scale = 1.0 / np.sqrt(variances + SHRINKAGE * variances[0])
    return mean, directions[:kept] * scale[:, np.newaxis]


def normalize(vectors: FloatArray) -> FloatArray:
    """Scale vectors along the last axis to length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    normalized: FloatArray = vectors / np.maximum(lengths, 1e-12)
    return normalized


def write_arrays(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays to an .npz file of exactly this name."""
    with path.open('wb') as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, names: tuple[str, ...]) -> list[NDArray[np.generic]]:
    """Read arrays of an .npz file.

    Raises:
        DataError: missing or damaged file, or one without these arrays.
    """
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    # zipfile and numpy raise whatever their parsing runs into: NotImplementedError, struct.error,
    # zlib.error, SyntaxError, TokenError, RuntimeError of an encrypted file.
    except Exception as error:
        raise DataError(f'cannot read vocabulary {path}: {error}') from error


def _check_size(path: Path) -> None:
    # Stored as is: a file that unpacks to more than its size is none of ours.
    with zipfile.ZipFile(path) as file:
        if sum(member.file_size for member in file.infolist()) > path.stat().st_size:
            raise ValueError('it is compressed or damaged')
