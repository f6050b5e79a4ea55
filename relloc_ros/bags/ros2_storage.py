# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a rosbag2, looked at before and after the rosbags library opens them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
import sqlite3
from typing import Any

from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from relloc_ros.bags.expansion import MAX_EXPANDED_BYTES
from relloc_ros.bags.sqlite_tables import not_plain
from relloc_ros.errors import DataError
from relloc_ros.yaml_text import check_yaml

__all__ = ['CheckedReader']

TABLES = ('topics', 'messages', 'message_definitions', 'metadata', 'schema')

MAX_OPEN_BYTES = 2**30
"""Of the chunks whose times overlap: these are in memory together."""

SQLITE_LIMIT_LENGTH = 0


class _CheckedMcap(McapReader):  # type: ignore[misc]
    """An MCAP file."""

    def open(self) -> None:
        """Open it, and see how much of it would be in memory at once."""
        _check_file(self.path)
        super().open()
        expanded = _most_open(self.chunks)
        if expanded > MAX_OPEN_BYTES:
            self.close()
            raise DataError(
                f'{self.path.name} has chunks of the same time that expand to {expanded} bytes, '
                f'more than the {MAX_OPEN_BYTES} allowed'
            )


class _CheckedSqlite3(Sqlite3Reader):  # type: ignore[misc]
    """A SQLite file."""

    def open(self) -> None:
        """Open it if its tables are tables."""
        _check_file(self.path)
        uri = f'{self.path.resolve().as_uri()}?mode=ro&immutable=1'
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            problem = not_plain(connection, TABLES)
        if problem:
            raise DataError(f'{self.path.name} is no bag of ROS 2: {problem}')
        super().open()
        if self.dbconn is not None:
            self.dbconn.limit(SQLITE_LIMIT_LENGTH, MAX_EXPANDED_BYTES)


class _CheckedDirectory(DirectoryReader):  # type: ignore[misc]
    """A folder with metadata.yaml."""

    STORAGE_PLUGINS = {'mcap': _CheckedMcap, 'sqlite3': _CheckedSqlite3}  # noqa: RUF012

    def open(self) -> None:
        """Open it if metadata.yaml is of its own length."""
        check_yaml((self.path / 'metadata.yaml').read_text(encoding='utf-8'))
        super().open()


class CheckedReader(Ros2Reader):  # type: ignore[misc]
    """Reads a rosbag2 folder, or a bare file of one, as the rosbags library does."""

    STORAGE_PLUGINS = {  # noqa: RUF012
        'dir': _CheckedDirectory,
        '.mcap': _CheckedMcap,
        '.db3': _CheckedSqlite3,
    }


def _check_file(path: Path) -> None:
    # Who opens a pipe waits for ever.
    if not path.is_file():
        raise DataError(f'{path.name} is no plain file')


def _most_open(chunks: Sequence[Any]) -> int:
    """Give the most bytes that chunks which overlap in time expand to."""
    changes = [(chunk.message_start_time, 1, chunk.uncompressed_size) for chunk in chunks]
    changes += [(chunk.message_end_time, 2, -chunk.uncompressed_size) for chunk in chunks]
    most = size = 0
    for _, _, change in sorted(changes):
        size += change
        most = max(most, size)
    return most
