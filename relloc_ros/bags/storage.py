# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bag files of ROS 1 and 2: what is in them, and their messages one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from relloc_ros.bags.expansion import limit_expansion
from relloc_ros.bags.ros2_storage import CheckedReader
from relloc_ros.errors import DataError
from relloc_ros.yaml_text import YamlError

__all__ = ['BagFile', 'is_bag', 'ros1_types', 'ros2_types']

FILE_SUFFIXES = ('.bag', '.mcap', '.db3')

REMEDY = (
    'an unfinished or damaged bag is repaired by `ros2 bag reindex` or `mcap recover`, '
    'one of ROS 1 by `rosbag reindex`'
)
DISTRUST = 'no recorder writes that: do not trust this bag'


class BagFile:
    """An open bag: a .bag, a rosbag2 folder, or a bare .mcap or .db3 file. A context manager.

    Messages are read by the standard definitions of their types. These have been the same in all
    releases of ROS 2, while those inside bags may be missing, and would be turned into code.

    Attributes:
        path: the bag.
        is_ros1: whether messages are serialized as in ROS 1.
    """

    def __init__(self, path: Path) -> None:
        """Open the bag.

        Raises:
            DataError: missing, no bag, or damaged.
        """
        self.path = path
        if not path.exists():
            raise DataError(f'bag {path} does not exist')
        if not is_bag(path):
            raise DataError(
                f'{path} is no bag: expected a rosbag2 folder with metadata.yaml, '
                f'or a file ending in {", ".join(FILE_SUFFIXES)}'
            )
        self.is_ros1 = path.suffix == '.bag' and path.is_file()
        self._reader: Ros1Reader | CheckedReader
        limit_expansion()
        file = _storage(path)
        with self._errors():
            self._reader = Ros1Reader(file) if self.is_ros1 else CheckedReader(file)
            self._reader.open()
        types = ros1_types() if self.is_ros1 else ros2_types()
        self._deserialize: Callable[[bytes, str], Any] = (
            types.deserialize_ros1 if self.is_ros1 else types.deserialize_cdr
        )

    @property
    def connections(self) -> list[Connection]:
        """What was recorded: one or more connections a topic, those without messages left out."""
        return [connection for connection in self._reader.connections if connection.msgcount]

    def raw_messages(
        self,
        connections: Sequence[Connection],
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Give connection, time of recording (ns) and bytes, in order of time.

        Args:
            connections: which to read.
            start_ns: first time of recording; None is the beginning.
            stop_ns: the time after the last one; None is the end.

        Raises:
            DataError: the bag is damaged.
        """
        # Without connections the reader would give all messages.
        if connections:
            with self._errors():
                yield from self._reader.messages(connections, start_ns, stop_ns)

    def messages(
        self,
        connections: Sequence[Connection],
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[tuple[Connection, int, Any]]:
        """Give connection, time of recording (ns) and message, as `raw_messages` does.

        Raises:
            DataError: the bag is damaged.
        """
        for connection, time_ns, raw in self.raw_messages(connections, start_ns, stop_ns):
            yield connection, time_ns, self.deserialize(connection, raw)

    def deserialize(self, connection: Connection, raw: bytes) -> Any:
        """Make a message of its bytes.

        Raises:
            DataError: they are none.
        """
        with self._errors():
            return self._deserialize(raw, connection.msgtype)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def __enter__(self) -> BagFile:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        # On a damaged bag the rosbags library raises whatever its parsing runs into: its own
        # errors, struct.error, KeyError, AssertionError, MemoryError, those of decompressors.
        try:
            yield
        except (DataError, YamlError) as error:
            raise DataError(f'cannot read bag {self.path}: {error}; {DISTRUST}') from error
        except Exception as error:
            reason = str(error).rstrip('.') or type(error).__name__
            raise DataError(f'cannot read bag {self.path}: {reason}; {REMEDY}') from error


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag, judged by its names."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_storages(path))
    return path.suffix in FILE_SUFFIXES


@lru_cache(maxsize=1)
def ros2_types() -> Typestore:
    """Message types of ROS 2."""
    return get_typestore(Stores.LATEST)


@lru_cache(maxsize=1)
def ros1_types() -> Typestore:
    """Message types of ROS 1, with those of TF, which are not among its common messages."""
    types = get_typestore(Stores.ROS1_NOETIC)
    definition = ros2_types().fielddefs['tf2_msgs/msg/TFMessage']
    types.register({'tf2_msgs/msg/TFMessage': definition, 'tf/msg/tfMessage': definition})
    return types


def _storage(path: Path) -> Path:
    """Take the only file of a folder that lost its metadata."""
    if not path.is_dir() or (path / 'metadata.yaml').is_file():
        return path
    storages = _storages(path)
    if len(storages) > 1:
        raise DataError(
            f'bag {path} has {len(storages)} files and no metadata.yaml: run `ros2 bag reindex`'
        )
    return storages[0]


def _storages(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if item.suffix in ('.mcap', '.db3'))
