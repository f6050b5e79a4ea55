# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps from a stranger: links out of them, databases that compute, sizes that are none."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import sqlite3

import cv2
import numpy as np
import pytest
from synthetic_maps import make_posed

from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.map.builder import build_map
from relloc_ros.map.editing import remove_images
from relloc_ros.map.reference_map import ReferenceMap

CONFIG = MapConfig(max_keypoints=30, vlad_clusters=8)
ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS {} FROM n'


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('built')
    return build_map(make_posed(root / 'images', 3), root / 'map', CONFIG)


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """A map, to be spoiled."""
    return Path(shutil.copytree(built, tmp_path / 'map', symlinks=True))


def make_endless(database: Path, table: str, column: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(f'DROP TABLE {table}')
        connection.execute(f'CREATE VIEW {table} AS {ENDLESS.format(column)}')
    connection.close()


def test_view_instead_of_a_table_of_a_map(copied: Path) -> None:
    make_endless(copied / 'database.db', 'images', 'image_id')
    with pytest.raises(MapError, match='images is a view instead of a table'):
        ReferenceMap.open(copied)


def test_trigger_of_a_map(copied: Path) -> None:
    with sqlite3.connect(copied / 'database.db') as connection:
        connection.execute(
            'CREATE TRIGGER slow AFTER INSERT ON matches BEGIN SELECT hex(zeroblob(1e9)); END'
        )
    connection.close()
    with pytest.raises(MapError, match="it has a trigger, 'slow'"):
        ReferenceMap.open(copied)


def test_view_of_what_only_colmap_reads(copied: Path) -> None:
    make_endless(copied / 'database.db', 'pose_priors', 'pose_prior_id')
    with pytest.raises(MapError, match='pose_priors is a view instead of a table'):
        ReferenceMap.open(copied)


def test_huge_values_of_a_map(copied: Path) -> None:
    """What rows claim is compared with what they have before it is read."""
    with sqlite3.connect(copied / 'database.db') as connection:
        connection.execute('UPDATE keypoints SET rows = 900000, cols = 9000')
    connection.close()
    with (
        ReferenceMap.open(copied) as opened,
        pytest.raises(MapError, match=r'claims 900000 x 9000 keypoints in \d+ bytes'),
    ):
        opened.features(0)


def test_descriptors_of_another_length(copied: Path) -> None:
    with sqlite3.connect(copied / 'database.db') as connection:
        connection.execute('UPDATE descriptors SET cols = cols / 2, rows = rows * 2')
        connection.execute('UPDATE keypoints SET data = zeroblob(16 * rows), rows = 2 * rows')
    connection.close()
    with (
        ReferenceMap.open(copied) as opened,
        pytest.raises(MapError, match=r'columns of keypoints and 64 of descriptors'),
    ):
        opened.features(0)


def test_link_in_a_map(copied: Path, tmp_path: Path) -> None:
    poses = (copied / 'current').resolve() / 'poses.npy'
    poses.rename(tmp_path / 'outside.npy')
    poses.symlink_to(tmp_path / 'outside.npy')
    with pytest.raises(MapError, match=r'poses\.npy is a link'):
        ReferenceMap.open(copied)


@pytest.mark.parametrize('folder', ['sparse', 'points', 'retrieval'])
def test_link_in_a_folder_of_a_map(copied: Path, tmp_path: Path, folder: str) -> None:
    place = (copied / 'current').resolve() / folder
    place.mkdir(exist_ok=True)
    (tmp_path / 'outside').write_text('secret')
    (place / 'a file').symlink_to(tmp_path / 'outside')
    with pytest.raises(MapError, match=rf'{folder}/a file is a link'):
        ReferenceMap.open(copied)


def test_pipe_in_a_map(copied: Path) -> None:
    manifest = (copied / 'current').resolve() / 'map.yaml'
    manifest.unlink()
    os.mkfifo(manifest)
    with pytest.raises(MapError, match=r'map\.yaml is no plain file'):
        ReferenceMap.open(copied)


def test_links_among_thumbnails(copied: Path, tmp_path: Path) -> None:
    with ReferenceMap.open(copied) as opened:
        assert opened.thumbnail(0) is not None
    thumbnails = sorted(((copied / 'current').resolve() / 'thumbnails').iterdir())
    outside = tmp_path / 'outside.jpg'
    thumbnails[0].rename(outside)
    thumbnails[0].symlink_to(outside)
    with ReferenceMap.open(copied) as opened:
        assert opened.thumbnail(0) is None
        name = opened.image_names[1]
    remove_images(copied, [name])
    left = ((copied / 'current').resolve() / 'thumbnails').iterdir()
    assert [path.name for path in left] == [thumbnails[2].name]


@pytest.mark.parametrize('start', [0, 16])
def test_size_of_a_thumbnail(copied: Path, start: int) -> None:
    (path, *_) = sorted(((copied / 'current').resolve() / 'thumbnails').iterdir())
    content = bytearray(cv2.imencode('.png', np.zeros((90, 120), np.uint8))[1])
    if start:
        content[start : start + 8] = (30_000).to_bytes(4, 'big') * 2
    else:
        content[:start] = b'P5 60000 60000 255 '
    path.write_bytes(content)
    with ReferenceMap.open(copied) as opened:
        assert opened.thumbnail(0) is None


def test_lock_that_leads_out_of_a_map(copied: Path, tmp_path: Path) -> None:
    outside = tmp_path / 'outside'
    outside.write_text('precious')
    (copied / 'writer.lock').unlink(missing_ok=True)
    (copied / 'writer.lock').symlink_to(outside)
    with ReferenceMap.open(copied) as opened:
        name = opened.image_names[0]
    with pytest.raises(MapError, match=r'writer\.lock'):
        remove_images(copied, [name])
    assert outside.read_text() == 'precious'


def test_references_in_a_manifest(copied: Path) -> None:
    manifest = (copied / 'current').resolve() / 'map.yaml'
    bomb = ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30))
    manifest.write_text(f'a0: &a0 x\n{bomb}{manifest.read_text()}'.replace('units:', 'units_:'))
    with pytest.raises(MapError, match='it has references'):
        ReferenceMap.open(copied)
