# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who names the wrong folder is told the right one."""

from __future__ import annotations

from pathlib import Path

from data_set_layouts import write_kitti, write_tum
import pytest
from synthetic_maps import make_posed

from relloc_ros.errors import DataError
from relloc_ros.map.sources import read_source
from relloc_ros.map.sources.looking_around import meant_instead


def test_the_sequence_around_the_images(tmp_path: Path) -> None:
    write_tum(tmp_path / 'desk', make_posed(tmp_path / 'posed', 2))
    expected = r'desk is a sequence of TUM RGB-D: did you mean that\?'
    with pytest.raises(DataError, match=rf'desk/rgb holds no posed images; .*{expected}'):
        read_source(tmp_path / 'desk' / 'rgb')


def test_the_sequence_in_the_data_set(tmp_path: Path) -> None:
    write_kitti(tmp_path / 'data', make_posed(tmp_path / 'posed', 2))
    expected = r'data/sequences/07 is a sequence of KITTI odometry: did you mean that\?'
    with pytest.raises(DataError, match=expected):
        read_source(tmp_path / 'data')


def test_images_without_poses(tmp_path: Path) -> None:
    make_posed(tmp_path, 2)
    with pytest.raises(DataError, match=r'it holds images without poses: .*--sfm'):
        read_source(tmp_path / 'left cam')


def test_nothing_near(tmp_path: Path) -> None:
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    assert meant_instead(tmp_path / 'a', lambda path: None) == ''
    with pytest.raises(DataError, match='looked for a COLMAP model'):
        read_source(tmp_path / 'a')


def test_a_whole_disk_is_not_searched(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / 'disk' / f'{number:04d}').mkdir(parents=True)
    seen: list[Path] = []
    assert meant_instead(tmp_path / 'disk', seen.append) == ''
    assert len(seen) <= 510
