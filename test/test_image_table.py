# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image list of a map: what is in the file comes back, what is no list is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from relloc_ros.errors import MapError
from relloc_ros.map import image_table
from relloc_ros.map.image_table import ImageEntry, ImageTable

DIGEST = '0123456789abcdef' * 2


def write(path: Path, entries: list[ImageEntry]) -> Path:
    path.write_text(''.join(f'{entry}\n' for entry in entries), 'utf-8')
    return path


def some_entries(count: int) -> list[ImageEntry]:
    rng = np.random.default_rng(0)
    return [
        ImageEntry(
            3 * i + 1,
            i % 7 + 1,
            int(rng.integers(-(10**6), 2**63 - 1)),
            f'Straße {i}/a b  c.jpg' if i % 2 else f'{i}.png',
            rng.bytes(16).hex(),
        )
        for i in range(count)
    ]


def test_entries_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Lines cross the ends of blocks.
    monkeypatch.setattr(image_table, 'BLOCK_BYTES', 1000)
    monkeypatch.setattr(image_table, 'LINES_AT_ONCE', 7)
    entries = some_entries(200)
    table = ImageTable(write(tmp_path / 'images.txt', entries))
    assert list(table) == entries
    assert [table[i] for i in range(200)] == entries
    assert table[np.int64(-1)] == entries[-1]
    assert table[5:100:9] == tuple(entries[5:100:9])
    assert table.image_ids.tolist() == [entry.image_id for entry in entries]
    assert table.camera_ids.tolist() == [entry.camera_id for entry in entries]
    assert table.stamps_ns.tolist() == [entry.stamp_ns for entry in entries]


def test_names_behave_like_a_tuple(tmp_path: Path) -> None:
    entries = some_entries(20)
    names = ImageTable(write(tmp_path / 'images.txt', entries)).names
    expected = tuple(entry.name for entry in entries)
    assert len(names) == 20
    assert names == expected
    assert names != expected[:-1]
    assert names != (*expected[:-1], 'other')
    assert (names[3], names[-2], names[:4]) == (expected[3], expected[-2], expected[:4])
    assert names.index(expected[7]) == 7
    assert expected[9] in names
    assert 'other' not in names
    assert repr(names) == repr(expected)
    with pytest.raises(IndexError):
        names[20]


def test_names_are_read_after_the_file_is_deleted(tmp_path: Path) -> None:
    entries = some_entries(3)
    table = ImageTable(write(tmp_path / 'images.txt', entries))
    (tmp_path / 'images.txt').unlink()
    assert list(table) == entries


def test_files_are_closed(tmp_path: Path) -> None:
    path = write(tmp_path / 'images.txt', some_entries(3))
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(20):
        assert len(ImageTable(path).names) == 3
    assert len(os.listdir('/proc/self/fd')) <= before + 2


def test_images_are_found_by_digest(tmp_path: Path) -> None:
    entries = some_entries(50)
    entries[40] = ImageEntry(900, 1, 0, 'copy', entries[11].digest)
    table = ImageTable(write(tmp_path / 'images.txt', entries))
    assert table.with_digest(entries[11].digest).tolist() == [11, 40]
    assert table.with_digest('ff' * 16).tolist() == []


def test_images_are_found_by_name(tmp_path: Path) -> None:
    entries = some_entries(50)
    table = ImageTable(write(tmp_path / 'images.txt', entries))
    assert [table.with_name(entry.name) for entry in entries] == list(range(50))
    assert table.with_name('other') is None


def test_an_empty_list_has_no_images(tmp_path: Path) -> None:
    assert len(ImageTable(write(tmp_path / 'images.txt', []))) == 0


@pytest.mark.parametrize(
    'line',
    [
        f'1 2 3 {DIGEST}',
        '1 2',
        '',
        f'a 2 3 {DIGEST} name',
        f'1 - 3 {DIGEST} name',
        f'1 2.5 3 {DIGEST} name',
        f' 2 3 {DIGEST} name',
        f'1 2 {2**63} {DIGEST} name',
        f'1 2 {10**20} {DIGEST} name',
        f'1 {2**31} 3 {DIGEST} name',
        f'1 2 3 {DIGEST[1:]} name',
        f'1 2 3 {DIGEST[1:]}x name',
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / 'images.txt'
    path.write_text(f'1 1 1 {DIGEST} good\n{line}\n2 1 1 {DIGEST} good\n')
    with pytest.raises(MapError, match=r'images\.txt is missing or damaged'):
        ImageTable(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'images.txt'
    path.write_bytes(f'1 1 1 {DIGEST} '.encode() + b'\xff\xfe\n')
    with pytest.raises(MapError, match='missing or damaged'):
        ImageTable(path)


def test_a_line_without_end_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_table, 'BLOCK_BYTES', 1000)
    path = tmp_path / 'images.txt'
    path.write_bytes(b'1' * 10_000)
    with pytest.raises(MapError, match='a line of more than 1000 bytes'):
        ImageTable(path)
