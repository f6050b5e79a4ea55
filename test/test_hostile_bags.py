# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that would fill memory or disk, or compute for ever: refused, and at no great cost."""

from __future__ import annotations

import os
from pathlib import Path
import sqlite3
import struct
import subprocess
import sys
from typing import Any

from bag_messages import S
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
import rosbags.rosbag2.reader
from rosbags.typesys.store import Typestore

from relloc_ros.bags import expansion, ros2_storage
from relloc_ros.bags.messages import image_message
from relloc_ros.bags.storage import BagFile, ros1_types, ros2_types
from relloc_ros.errors import DataError

MIB = 2**20
MAGIC = b'\x89MCAP0\r\n'
TIMEOUT_S = 120

READ = """
import sys
from pathlib import Path
import cv2
import numpy
from hostile_reading import limit_memory
from relloc_ros.bags.storage import BagFile
from relloc_ros.errors import RellocError
limit_memory(400 * 2**20)
try:
    with BagFile(Path(sys.argv[1])) as bag:
        print(sum(1 for _ in bag.messages(bag.connections)))
except RellocError as error:
    print(error)
"""


def read_all(path: Path) -> int:
    with BagFile(path) as bag:
        return sum(1 for _ in bag.messages(bag.connections))


def read_with_little_memory(path: Path) -> str:
    result = subprocess.run(
        [sys.executable, '-c', READ, str(path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def zeros_in_zstd(size: int) -> bytes:
    compressor = rosbags.rosbag2.reader.zstd._zstd.ZstdCompressor()
    block = bytes(16 * MIB)
    parts = [compressor.compress(block) for _ in range(size // len(block))]
    return b''.join([*parts, compressor.flush()])


def record(kind: int, content: bytes) -> bytes:
    return struct.pack('<BQ', kind, len(content)) + content


def text(content: str) -> bytes:
    return struct.pack('<I', len(content)) + content.encode()


def chunk_of(size: int, data: bytes, compression: str = 'zstd') -> bytes:
    """Make a chunk with one image message in its header."""
    content = struct.pack('<QQQI', S, S, size, 0) + text(compression)
    return record(0x06, content + struct.pack('<Q', len(data)) + data)


def mcap_of(chunks: list[bytes]) -> bytes:
    """Make a file without index, whose channel comes before the chunks."""
    schema = record(0x03, struct.pack('<H', 1) + text('sensor_msgs/msg/Image') + text('') * 2)
    channel = struct.pack('<HH', 1, 1) + text('/cam/image_raw') + text('cdr') + text('')
    message = record(0x05, struct.pack('<HIQQ', 1, 0, 0, 0) + b'\0\1\0\0')
    parts = [record(0x01, text('ros2') + text('')), schema, record(0x04, channel), message]
    footer = record(0x02, bytes(20))
    return b''.join([MAGIC, *parts, *chunks, footer, MAGIC])


@pytest.fixture(scope='module')
def bomb() -> bytes:
    """Four gibibytes in some hundred kilobytes."""
    expansion.limit_expansion()
    return zeros_in_zstd(4 * 1024 * MIB)


@pytest.mark.parametrize(
    ('size', 'message'),
    [
        (4 * 1024 * MIB, 'claims 4294967296 bytes, 268435456 are allowed'),
        (200 * MIB, 'expands to more than 209715200 bytes'),
        (1000, 'expands to more than 1000 bytes'),
    ],
)
def test_chunk_that_expands_to_gigabytes(
    tmp_path: Path, bomb: bytes, size: int, message: str
) -> None:
    path = tmp_path / 'bomb.mcap'
    path.write_bytes(mcap_of([chunk_of(size, bomb)]))
    assert path.stat().st_size < MIB
    said = read_with_little_memory(path)
    assert message in said
    assert f'cannot read bag {path}' in said
    assert 'do not trust this bag' in said


def test_file_that_expands_to_gigabytes(tmp_path: Path, bomb: bytes) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.FILE)
    (compressed,) = bag.glob('*.zstd')
    compressed.write_bytes(bomb)
    with pytest.raises(DataError, match=r'file of it expands to more than the \d+ bytes allowed'):
        read_all(bag)


def test_message_that_expands_to_gigabytes(tmp_path: Path, bomb: bytes) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.MESSAGE, StoragePlugin.SQLITE3)
    with sqlite3.connect(next(bag.glob('*.db3'))) as connection:
        connection.execute('UPDATE messages SET data = ?', (bomb,))
    connection.close()
    assert 'expands to more than 268435456 bytes' in read_with_little_memory(bag)


LARGE = np.zeros((1000, 1000, 3), np.uint8)


def write_large(
    path: Path, mode: CompressionMode, plugin: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    writer = Writer(path, version=8, storage_plugin=plugin)
    if mode is not CompressionMode.NONE:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        add_large(writer, ros2_types())
    return path


def add_large(writer: Any, store: Typestore) -> None:
    message = image_message(LARGE, S, 'cam')
    kind = message.__msgtype__
    raw = ros2_types().serialize_cdr(message, kind)
    if store is ros1_types():
        raw = ros2_types().cdr_to_ros1(raw, kind)
    writer.write(writer.add_connection('/cam/image_raw', kind, typestore=store), S, raw)


@pytest.mark.parametrize(
    ('mode', 'plugin'),
    [
        *[(mode, StoragePlugin.MCAP) for mode in CompressionMode],
        *[(mode, StoragePlugin.SQLITE3) for mode in CompressionMode if mode.name != 'STORAGE'],
    ],
)
def test_limit_of_each_compression_of_ros2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: CompressionMode, plugin: StoragePlugin
) -> None:
    bag = write_large(tmp_path / 'bag', mode, plugin)
    assert read_all(bag) == 1
    monkeypatch.setattr(expansion, 'MAX_EXPANDED_BYTES', MIB)
    monkeypatch.setattr(expansion, 'MAX_FILE_RATIO', 10)
    if mode is CompressionMode.NONE:
        assert read_all(bag) == 1
        return
    with pytest.raises(DataError, match=r'expands to more than|claims \d+ bytes'):
        read_all(bag)


@pytest.mark.parametrize('compression', [*Ros1Writer.CompressionFormat])
def test_limit_of_each_compression_of_ros1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Any
) -> None:
    bag = tmp_path / 'bag.bag'
    writer = Ros1Writer(bag)
    writer.set_compression(compression)
    with writer:
        add_large(writer, ros1_types())
    assert read_all(bag) == 1
    monkeypatch.setattr(expansion, 'MAX_EXPANDED_BYTES', MIB)
    with pytest.raises(DataError, match=r'expands to more than|claims \d+ bytes'):
        read_all(bag)


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
@pytest.mark.parametrize('bare', [True, False])
def test_pipe_instead_of_a_file(tmp_path: Path, suffix: str, bare: bool) -> None:
    plugin = StoragePlugin.MCAP if suffix == '.mcap' else StoragePlugin.SQLITE3
    bag = write_large(tmp_path / 'bag', CompressionMode.NONE, plugin)
    (file,) = bag.glob(f'*{suffix}')
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match=rf'bag{suffix} is no plain file'):
        read_all(file if bare else bag)


def test_huge_values_in_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.NONE, StoragePlugin.SQLITE3)
    monkeypatch.setattr(ros2_storage, 'MAX_EXPANDED_BYTES', MIB)
    with pytest.raises(DataError, match='too big'):
        read_all(bag)


def test_many_chunks_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.NONE)
    monkeypatch.setattr(ros2_storage, 'MAX_OPEN_BYTES', MIB)
    with pytest.raises(DataError, match=r'chunks of the same time that expand to 3\d{6} bytes'):
        read_all(bag)


def test_endless_references_in_metadata(tmp_path: Path) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.NONE)
    path = bag / 'metadata.yaml'
    layers = ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30))
    path.write_text(f'a0: &a0 x\n{layers}' + path.read_text())
    with pytest.raises(DataError, match=r'cannot read bag .* its references stand for more than'):
        read_all(bag)


@pytest.mark.parametrize('suffix', ['.db3', '.data'])
@pytest.mark.parametrize('mode', [CompressionMode.NONE, CompressionMode.FILE])
def test_view_behind_any_name(tmp_path: Path, suffix: str, mode: CompressionMode) -> None:
    bag = write_large(tmp_path / 'bag', CompressionMode.NONE, StoragePlugin.SQLITE3)
    (database,) = bag.glob('*.db3')
    with sqlite3.connect(database) as connection:
        connection.execute('DROP TABLE topics')
        connection.execute('CREATE VIEW topics AS SELECT 1 AS id FROM messages')
    connection.close()
    metadata = bag / 'metadata.yaml'
    content = metadata.read_text().replace(database.name, f'other{suffix}')
    database.rename(bag / f'other{suffix}')
    if mode is CompressionMode.FILE:
        content = content.replace("compression_mode: ''", 'compression_mode: file')
        content = content.replace("compression_format: ''", 'compression_format: zstd')
        content = content.replace(f'other{suffix}', f'other{suffix}.zstd')
        compress = rosbags.rosbag2.reader.zstd._zstd.compress
        data = (bag / f'other{suffix}').read_bytes()
        (bag / f'other{suffix}.zstd').write_bytes(compress(data))
        (bag / f'other{suffix}').unlink()
    metadata.write_text(content)
    with pytest.raises(DataError, match='topics is a view instead of a table'):
        read_all(bag)
