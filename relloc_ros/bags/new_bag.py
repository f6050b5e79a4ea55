# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A new rosbag2 that gets its name when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from relloc_ros.bags.storage import ros2_types
from relloc_ros.errors import DataError

__all__ = ['FOREVER', 'NewBag', 'Storage', 'check_new', 'new_bag']

Storage = Literal['mcap', 'sqlite3']

FOREVER = QosTime(9223372036, 854775807)

BAG_VERSION: Literal[8] = 8
"""The newest that Humble's player understands; 9 spells QoS in another way."""


class NewBag:
    """Topics of an open bag and the messages on them."""

    def __init__(self, writer: Writer) -> None:
        """Take an open writer."""
        self._writer = writer

    def add(
        self, topic: str, msgtype: str, depth: int = 10, *, latched: bool = False
    ) -> Connection:
        """Add a topic; players give messages of a latched one to late listeners too."""
        durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
        return self._writer.add_connection(
            topic, msgtype, typestore=ros2_types(), offered_qos_profiles=[_qos(depth, durability)]
        )

    def put(self, connection: Connection, stamp_ns: int, message: Any) -> None:
        """Write a message as if recorded at a time."""
        raw = ros2_types().serialize_cdr(message, connection.msgtype)
        self._writer.write(connection, stamp_ns, raw)


@contextmanager
def new_bag(output: Path, storage: Storage = 'mcap') -> Iterator[NewBag]:
    """Write a bag; nothing is left under its name if the block fails.

    Args:
        output: folder to create; with the suffix `.mcap`, a bare file without metadata.yaml.
        storage: file format.

    Raises:
        DataError: output exists or cannot be written.
    """
    check_new(output)
    partial = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f'.{output.name}-', dir=output.parent))
        # The files in a bag carry its name.
        bag = partial / output.name
        with Writer(
            bag, version=BAG_VERSION, storage_plugin=StoragePlugin[storage.upper()]
        ) as writer:
            yield NewBag(writer)
        bare = output.suffix == '.mcap' and storage == 'mcap'
        os.rename(next(bag.glob('*.mcap')) if bare else bag, output)
    except OSError as error:
        raise DataError(f'cannot write bag {output}: {error.strerror or error}') from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def check_new(output: Path) -> None:
    """Refuse to replace a bag.

    Raises:
        DataError: output exists.
    """
    if output.exists() or output.is_symlink():
        raise DataError(f'{output} exists: remove it or choose another name')


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )
