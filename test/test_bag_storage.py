# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bag files of each format, without metadata, damaged, or no bags at all."""

from __future__ import annotations

from pathlib import Path
import shutil

from bag_messages import Kind, image, info, read, tf, write
import numpy as np
import pytest
from rosbags.rosbag2 import Writer

from relloc_ros.bags.reader import BagReader
from relloc_ros.bags.storage import BagFile, is_bag, ros2_types
from relloc_ros.errors import DataError


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3'])
def test_bare_file_and_folder_without_metadata(tmp_path: Path, kind: Kind) -> None:
    path = write(tmp_path / 'bag', [info(1), image(1)], kind)
    (path / 'metadata.yaml').unlink()
    (file,) = path.iterdir()
    assert is_bag(path)
    assert is_bag(file)
    assert len(read(path)) == len(read(file)) == 1


def test_unknown_types_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / 'bag'
    known = write(tmp_path / 'known', [info(1), image(1)])
    with Writer(path, version=8) as writer, BagFile(known) as source:
        custom = writer.add_connection(
            '/custom', 'my_msgs/msg/Custom', msgdef='their_msgs/Missing field', rihs01='RIHS01_0'
        )
        writer.write(custom, 1, b'\0\1\2\3')
        for connection, time_ns, raw in source.raw_messages(source.connections):
            copied = writer.add_connection(
                connection.topic, connection.msgtype, typestore=ros2_types()
            )
            writer.write(copied, time_ns, raw)
    assert len(read(path)) == 1


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.3, 0.7, 0.95])
def test_truncated_bag(tmp_path: Path, kind: Kind, share: float) -> None:
    path = write(tmp_path / 'bag', [info(1), *(image(second) for second in range(1, 60))], kind)
    file = path if kind == 'ros1' else next(path.glob('bag*'))
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r'cannot read bag .*reindex'):
        read(path)


def test_damaged_bags_never_crash(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', [info(1), tf(1, 'a', 'b', 0.0), *map(image, range(1, 9))])
    content = np.frombuffer((path / 'bag.mcap').read_bytes(), np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = content.copy()
        damaged[rng.integers(0, len(content), 20)] = rng.integers(0, 256, 20)
        (path / 'bag.mcap').write_bytes(damaged.tobytes())
        try:
            read(path)
        except DataError:
            continue


def test_what_is_no_bag(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='does not exist'):
        BagReader(tmp_path / 'none')
    with pytest.raises(DataError, match='is no bag'):
        BagReader(tmp_path)
    (tmp_path / 'file.txt').write_text('text')
    with pytest.raises(DataError, match='is no bag'):
        BagReader(tmp_path / 'file.txt')
    (tmp_path / 'file.bag').write_text('text')
    with pytest.raises(DataError, match='cannot read bag'):
        BagReader(tmp_path / 'file.bag')
    assert not is_bag(tmp_path / 'none')


def test_lost_file_of_a_bag(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', [info(1), image(1)])
    shutil.move(path / 'bag.mcap', tmp_path / 'away.mcap')
    with pytest.raises(DataError, match=r'cannot read bag.*bag\.mcap'):
        BagReader(path)


def test_empty_bag(tmp_path: Path) -> None:
    path = write(tmp_path / 'bag', [])
    with pytest.raises(DataError, match=r'none with messages|cannot read bag'):
        BagReader(path)
