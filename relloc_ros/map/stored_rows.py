# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a matrix on disk, read when they are asked for, none kept in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
import weakref

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MapError

__all__ = ['StoredRows', 'load_mapped', 'map_array']

NDIM = 2


class StoredRows:
    """Rows of an .npy file. Safe between threads.

    Reading through a memory map leaves the pages around each row resident, 64 KiB for one of
    2 KiB: after some hundred queries that is the whole map.

    Attributes:
        shape: (N, D).
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        """Open the file.

        Raises:
            MapError: missing, truncated, or something else than a matrix of this type.
        """
        mapped = map_array(path, dtype)
        self.shape: tuple[int, int] = (len(mapped), mapped.shape[1])
        self._dtype = dtype
        self._offset = int(mapped.offset)
        self._row_bytes = self.shape[1] * dtype.itemsize
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, indices: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Read rows (K, D), given by (K,) indices from 0 on."""
        if ((indices < 0) | (indices >= len(self))).any():
            raise IndexError(f'rows {indices} of {len(self)}')
        content = b''.join(
            os.pread(self._descriptor, self._row_bytes, self._offset + row * self._row_bytes)
            for row in indices.tolist()
        )
        return np.frombuffer(bytearray(content), self._dtype).reshape(-1, self.shape[1])


def map_array(path: Path, dtype: np.dtype[Any]) -> np.memmap[Any, np.dtype[Any]]:
    """Map a matrix on disk into memory.

    Raises:
        MapError: missing, truncated, or something else than a matrix of this type.
    """
    array = load_mapped(path, 'build the map again')
    if array.ndim != NDIM or array.dtype != dtype:
        raise MapError(f'{path} holds {array.shape} {array.dtype}: build the map again')
    if not array.flags.c_contiguous:
        raise MapError(f'{path} is stored by columns: build the map again')
    return array


def load_mapped(path: Path, remedy: str) -> np.memmap[Any, np.dtype[Any]]:
    """Map an array on disk into memory, whatever its type.

    Args:
        path: an .npy file.
        remedy: what to do about a damaged one.

    Raises:
        MapError: missing, truncated, or no array.
    """
    # numpy hands the header to Python's parser, which raises whatever it runs into: SyntaxError,
    # TokenError, RecursionError, OverflowError, MemoryError.
    try:
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except Exception as error:
        raise MapError(f'{path} is missing or damaged ({error}): {remedy}') from error
    if not isinstance(array, np.memmap):
        raise MapError(f'{path} is no array: {remedy}')
    return array
