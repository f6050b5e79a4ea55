# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bounds on what the compressed parts of a bag expand to.

The rosbags library expands chunks, messages and files whatever they come to: a few kilobytes may
fill memory or disk. Its decompressors are replaced by these, which stop at a limit.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
import logging
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any, Protocol

from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]
import rosbags.rosbag1.reader
import rosbags.rosbag2.reader
import rosbags.rosbag2.storage_mcap
import rosbags.rosbag2.storage_sqlite3

from relloc_ros.errors import DataError
from relloc_ros.yaml_text import check_yaml

__all__ = ['MAX_EXPANDED_BYTES', 'expand', 'limit_expansion']

logger = logging.getLogger(__name__)

MAX_EXPANDED_BYTES = 256 * 2**20
"""Of one chunk or message: recorders make chunks of about one megabyte."""

MAX_FILE_RATIO = 100
"""Of a whole file that is compressed; camera images come to 2 or 3."""

STEP_BYTES = 8 * 2**20

TRUSTED = 'one you trust is read after `ros2 bag convert` or `rosbag decompress`'


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def expand(make: Callable[[], _Decompressor], data: bytes, limit: int) -> bytes:
    """Expand one or several compressed frames.

    Args:
        make: gives a decompressor for one frame.
        data: the frames.
        limit: bytes that they may come to.

    Raises:
        DataError: they come to more.
        ValueError: they are truncated.
    """
    if limit > MAX_EXPANDED_BYTES:
        raise DataError(
            f'a compressed part claims {limit} bytes, {MAX_EXPANDED_BYTES} are allowed ({TRUSTED})'
        )
    parts: list[bytes] = []
    total = 0
    while data:
        frame = make()
        while not frame.eof:
            part = frame.decompress(data, STEP_BYTES)
            data = b''
            total += len(part)
            if total > limit:
                raise DataError(
                    f'a compressed part expands to more than {limit} bytes ({TRUSTED})'
                )
            if not part and not frame.eof and frame.needs_input:
                raise ValueError('a compressed part is truncated')
            parts.append(part)
        data = frame.unused_data or b''
    return b''.join(parts)


def limit_expansion() -> None:
    """Make the rosbags library use these limits; what it has no place for is warned of."""
    ros1, ros2 = rosbags.rosbag1.reader, rosbags.rosbag2.reader
    mcap, sqlite = rosbags.rosbag2.storage_mcap, rosbags.rosbag2.storage_sqlite3
    zstd: Any = getattr(ros2, 'zstd', None)
    if isinstance(zstd, _LimitedZstd):
        return
    if zstd is None or not hasattr(ros1, 'decompressors') or not hasattr(mcap, 'DECOMPRESSORS'):
        logger.warning(
            'this version of the rosbags library cannot be kept from filling memory with a '
            'hostile bag: install another (pip install -U rosbags)'
        )
        return
    ros1.decompressors['bz2'] = lambda data: expand(bz2.BZ2Decompressor, data, MAX_EXPANDED_BYTES)
    ros1.decompressors['lz4'] = lambda data: expand(LZ4FrameDecompressor, data, MAX_EXPANDED_BYTES)
    mcap.DECOMPRESSORS['lz4'] = lambda data, size: expand(LZ4FrameDecompressor, data, size)
    mcap.DECOMPRESSORS['zstd'] = lambda data, size: expand(zstd.ZstdDecompressor, data, size)
    ros2.zstd = _LimitedZstd(zstd)  # type: ignore[misc, assignment]
    for module in (mcap, sqlite, ros2):
        if hasattr(module, 'parse_qos'):
            module.parse_qos = _checked(module.parse_qos)


class _LimitedZstd:
    """Stands for the zstd module where whole files and single messages are expanded."""

    def __init__(self, zstd: Any) -> None:
        self._zstd = zstd

    def decompress(self, data: bytes) -> bytes:
        return expand(self._zstd.ZstdDecompressor, data, MAX_EXPANDED_BYTES)

    def open(self, file: Any, mode: str) -> _LimitedFile:
        compressed = os.fstat(file.fileno()).st_size
        folder = Path(tempfile.gettempdir())
        limit = min(
            max(MAX_EXPANDED_BYTES, MAX_FILE_RATIO * compressed),
            shutil.disk_usage(folder).free // 2,
        )
        return _LimitedFile(self._zstd.open(file, mode), limit, folder)


class _LimitedFile:
    """A file being expanded into a folder."""

    def __init__(self, file: Any, limit: int, folder: Path) -> None:
        self._file = file
        self._limit = self._left = limit
        self._folder = folder

    def read(self, size: int) -> bytes:
        block: bytes = self._file.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise DataError(
                f'a compressed file of it expands to more than the {self._limit} bytes allowed in '
                f'{self._folder} (half of what is free, and {MAX_FILE_RATIO} times its size): '
                'expand it with `zstd -d` if you trust it'
            )
        return block

    def __enter__(self) -> _LimitedFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def _checked(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(profiles: Any) -> Any:
        if isinstance(profiles, str):
            check_yaml(profiles)
        return parse(profiles)

    return checked
