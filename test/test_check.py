# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `relloc map check` and `relloc map info` say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import shutil
import sqlite3

import numpy as np
import pycolmap
import pytest
from synthetic_maps import make_posed
import yaml

from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.vision.dense_vlad import DenseVlad

CONFIG = MapConfig(max_keypoints=60, vlad_clusters=4)


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a map, not to be changed."""
    folder = tmp_path_factory.mktemp('maps')
    return build_map(make_posed(folder / 'images', 3), folder / 'map', CONFIG, source='textures')


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """Copy the map, to be spoiled."""
    return Path(shutil.copytree(built, tmp_path / 'map', symlinks=True))


def test_info(built: Path) -> None:
    info = map_info(built)
    assert info['images'] == 3
    assert info['source'] == 'textures'
    assert info['format_version'] == 1
    assert info['cameras'] == {1: 'PINHOLE 120x90 100 101 60 45'}
    assert info['config']['vlad_clusters'] == 4
    assert info['extent'] == pytest.approx([0.2, 0.0, 0.2], abs=0.3)
    with pycolmap.Database.open(built / 'database.db') as database:
        assert info['keypoints'] == database.num_keypoints()
    assert yaml.safe_load(yaml.safe_dump(info)) == info


def test_info_of_no_map(tmp_path: Path) -> None:
    with pytest.raises(MapError, match='does not exist'):
        map_info(tmp_path / 'nowhere')


def test_good_map(built: Path) -> None:
    assert check_map(built) == []


def test_use_by_colmap_changes_no_content(copied: Path) -> None:
    before = (copied / 'database.db').read_bytes()
    with pycolmap.Database.open(copied / 'database.db') as database:
        database.clear_matches()
    assert (copied / 'database.db').read_bytes() != before
    assert check_map(copied) == []


def test_no_map(tmp_path: Path) -> None:
    (problem,) = check_map(tmp_path / 'nowhere')
    assert 'does not exist' in problem


def zero_descriptors(path: Path) -> None:
    """Change one image's descriptors, keeping their number."""
    connection = sqlite3.connect(path / 'database.db')
    connection.execute('UPDATE descriptors SET data = zeroblob(length(data)) WHERE image_id = 2')
    connection.commit()
    connection.close()


def short_keypoints(path: Path) -> None:
    """Let one image's rows disagree."""
    connection = sqlite3.connect(path / 'database.db')
    connection.execute('UPDATE keypoints SET rows = rows + 1 WHERE image_id = 2')
    connection.commit()
    connection.close()


def move_camera(path: Path) -> None:
    """Change a pose in the index, not in the model."""
    poses = np.load(path / 'current' / 'poses.npy')
    poses[1, 4] += 1e-3
    np.save(path / 'current' / 'poses.npy', poses)


def change_model(path: Path) -> None:
    """Let COLMAP move the model to another frame."""
    model = pycolmap.Reconstruction(path / 'sparse')
    model.transform(pycolmap.Sim3d(2.0, pycolmap.Rotation3d(), np.zeros(3)))
    model.write_binary(path / 'sparse')


def change_camera(path: Path) -> None:
    """Let COLMAP change the calibration."""
    model = pycolmap.Reconstruction(path / 'sparse')
    model.cameras[1].params = [90.0, 90.0, 60.0, 45.0]
    model.write_binary(path / 'sparse')


def remove_model(path: Path) -> None:
    """Remove a file of the COLMAP model."""
    (path / 'sparse' / 'images.bin').unlink()


def change_vocabulary(path: Path) -> None:
    """Replace the vocabulary by another of the same size."""
    file = path / 'current' / 'vocabulary.npz'
    vlad = DenseVlad.load(file)
    DenseVlad(vlad.centres[::-1], vlad.mean, vlad.projection).save(file)


def rename_map(path: Path) -> None:
    """Give the map a false name."""
    text = (path / 'map.yaml').read_text()
    map_id = yaml.safe_load(text)['map_id']
    (path / 'map.yaml').write_text(text.replace(map_id, 'abcdefabcdef'))


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (zero_descriptors, 'descriptors: the content has changed since the build'),
        (short_keypoints, 'image 2 claims'),
        (move_camera, "disagree about the pose of 'left cam/image 1.png'"),
        (change_model, "disagree about the pose of 'left cam/image 1.png'"),
        (change_camera, 'different cameras'),
        (remove_model, 'COLMAP cannot read'),
        (change_vocabulary, 'vocabulary: the content has changed'),
        (rename_map, 'map_id abcdefabcdef does not belong'),
    ],
)
def test_problem_is_named(copied: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(copied)
    assert message in '\n'.join(check_map(copied))
