# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image list of a map: numbers as arrays, names left in the file until they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase
import os
from pathlib import Path
from typing import Any, Literal, TypeVar, overload
import weakref

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MapError
from relloc_ros.map.line_fields import LineFields

__all__ = ['ImageEntry', 'ImageTable', 'LazySequence']

DIGEST_BYTES = 16
BLOCK_BYTES = 2**20
LINES_AT_ONCE = 10_000
NEWLINE = ord('\n')
SIDES: tuple[Literal['left'], Literal['right']] = ('left', 'right')

T_co = TypeVar('T_co', covariant=True)


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


class LazySequence(Sequence[T_co]):
    """A sequence whose items are made from lines of a file; equal to a tuple of the same items."""

    def __init__(self, lines: _Lines, make: Callable[[str], T_co]) -> None:
        """Take lines and what makes an item of one."""
        self._lines = lines
        self._make = make

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        """Read one item, or a tuple of them."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._make(self._lines.read(range(len(self))[index]))

    def __iter__(self) -> Iterator[T_co]:
        """Read all, a block of the file at a time."""
        return map(self._make, self._lines)

    def __eq__(self, other: object) -> bool:
        """Compare with another sequence, item by item."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show a tuple."""
        return repr(tuple(self))


class ImageTable(LazySequence[ImageEntry]):
    """N images, as images.txt lists them: 44 bytes of memory an image.

    Attributes:
        image_ids: (N,) int64.
        camera_ids: (N,) int32.
        stamps_ns: (N,) int64.
        digests: (N, 16) uint8.
        names: N names.
    """

    def __init__(self, path: Path) -> None:
        """Read images.txt.

        Raises:
            MapError: missing or damaged.
        """
        try:
            with path.open('rb', buffering=0) as file:
                count = sum(int(np.count_nonzero(block == NEWLINE)) for block in _blocks(file))
                self.image_ids = np.empty(count, np.int64)
                self.camera_ids = np.empty(count, np.int32)
                self.stamps_ns = np.empty(count, np.int64)
                self.digests = np.empty((count, DIGEST_BYTES), np.uint8)
                starts = np.zeros(count + 1, np.int64)
                self._fill(file, starts)
                lines = _Lines(os.dup(file.fileno()), starts)
        except (OSError, ValueError) as error:
            raise MapError(
                f'{path} is missing or damaged ({error}): build the map again'
            ) from error
        super().__init__(lines, ImageEntry.parse)
        self.names: Sequence[str] = LazySequence(lines, _name)
        self._by_hash: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None

    def with_digest(self, digest: str) -> NDArray[np.intp]:
        """Find the images with this content."""
        wanted = np.frombuffer(bytes.fromhex(digest), np.uint8)
        return np.flatnonzero((self.digests == wanted).all(axis=1))

    def with_name(self, name: str) -> int | None:
        """Find the image of this name.

        The first call reads all names, which takes a second for a million.
        """
        if self._by_hash is None:
            hashes = np.fromiter(map(hash, self.names), np.int64, len(self))
            order = np.argsort(hashes).astype(np.int32)
            self._by_hash = hashes[order], order
        hashes, order = self._by_hash
        first, last = (np.searchsorted(hashes, hash(name), side) for side in SIDES)
        rows = (int(row) for row in order[first:last])
        return next((row for row in rows if self.names[row] == name), None)

    def _fill(self, file: RawIOBase, starts: NDArray[np.int64]) -> None:
        done, position = 0, 0
        for block in _blocks(file):
            lines = LineFields.split(block)
            some = slice(done, done + len(lines))
            self.image_ids[some] = lines.integers(0)
            self.camera_ids[some] = lines.integers(1, 9)
            self.stamps_ns[some] = lines.integers(2)
            self.digests[some] = lines.hexadecimals(3, DIGEST_BYTES)
            done += len(lines)
            starts[some.start + 1 : done + 1] = position + lines.ends + 1
            position += len(block)


class _Lines:
    """Lines of a text file, found by where they begin. Safe between threads."""

    def __init__(self, descriptor: int, starts: NDArray[np.int64]) -> None:
        self._descriptor = descriptor
        self._starts = starts
        weakref.finalize(self, os.close, descriptor)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def read(self, index: int) -> str:
        return self._between(index, index + 1)[:-1]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), LINES_AT_ONCE):
            yield from self._between(first, min(first + LINES_AT_ONCE, len(self))).split('\n')[:-1]

    def _between(self, first: int, last: int) -> str:
        start, end = int(self._starts[first]), int(self._starts[last])
        return os.pread(self._descriptor, end - start, start).decode()


def _blocks(file: RawIOBase) -> Iterator[NDArray[np.uint8]]:
    """Read a file in blocks of whole lines; what follows the last newline is no line."""
    file.seek(0)
    rest = b''
    while block := file.read(BLOCK_BYTES):
        lines, newline, rest = (rest + block).rpartition(b'\n')
        if newline:
            (lines + newline).decode()
            yield np.frombuffer(lines + newline, np.uint8)
        if len(rest) > BLOCK_BYTES:
            raise ValueError(f'a line of more than {BLOCK_BYTES} bytes')


def _name(line: str) -> str:
    return line.split(' ', 4)[4]
