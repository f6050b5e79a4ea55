# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps, sources and bags from a stranger: refused with a message, at no great cost."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import sqlite3
import subprocess
import sys

from bag_messages import image, info, pose, tf, write
import cv2
from data_set_layouts import (
    write_cambridge,
    write_colmap,
    write_euroc,
    write_kapture,
    write_kitti,
    write_seven_scenes,
    write_table,
    write_transforms,
    write_tum,
)
import numpy as np
import pytest
from synthetic_maps import make_posed
import yaml

from relloc_ros.bags.storage import BagFile
from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.map.approximate_search import find_faiss
from relloc_ros.map.builder import build_map
from relloc_ros.map.editing import remove_images
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.retrieval_index import write_index
from relloc_ros.map.sources import SOURCES, read_pixels, read_source
from relloc_ros.map.triangulation import triangulate_map

SEED = int(os.environ.get('RELLOC_FUZZ_SEED', '1'))
CASES = int(os.environ.get('RELLOC_FUZZ_CASES', '20'))
TIMEOUT_S = 300
OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'

WRITERS = {
    'colmap': write_colmap,
    'tum': write_tum,
    'kitti': write_kitti,
    'euroc': write_euroc,
    'kapture': write_kapture,
    'csv': write_table,
    'transforms': write_transforms,
}
CONFIG = MapConfig(max_keypoints=30, vlad_clusters=8)
SIMPLE = Camera('SIMPLE_PINHOLE', 120, 90, (100.0, 60.0, 45.0))
VGA = Camera('SIMPLE_PINHOLE', 640, 480, (525.0, 320.0, 240.0))


@pytest.fixture(scope='module')
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small valid trees for every reader, by what `hostile_reading` calls them."""
    # TUM sequences are calibrated by the name of their folder.
    root = tmp_path_factory.mktemp('freiburg2')
    posed = make_posed(root / 'posed', 3)
    trees = {}
    for name, writer in WRITERS.items():
        folder = trees[f'source:{name}'] = root / name
        folder.mkdir()
        writer(folder, make_posed(root / 'posed VGA', 3, VGA) if name == 'tum' else posed)
    for name, camera, split_writer in (
        ('7scenes', VGA, write_seven_scenes),
        ('cambridge', SIMPLE, write_cambridge),
    ):
        folder = trees[f'source:{name}'] = root / name
        images = make_posed(root / f'posed {name}', 3, camera)
        split_writer(folder, images[:2], images[2:])
    trees['map'] = build_map(posed, root / 'map', CONFIG)
    binary = trees['source:colmap '] = root / 'binary'
    shutil.copytree(trees['map'] / 'sparse', binary / 'sparse')
    shutil.copytree(root / 'posed', binary / 'images')
    nvm = trees['source:cambridge '] = root / 'nvm'
    shutil.copytree(trees['source:cambridge'], nvm)
    for path in nvm.glob('dataset_*.txt'):
        path.unlink()
    return trees | write_bags(root) | write_others(root)


def write_others(root: Path) -> dict[str, Path]:
    """Write a map with points, an index of a large map, tables of places, and settings."""
    names = ('map with points', 'changed map', 'retrieval', 'places', 'settings')
    mapped, changed, retrieval, places, settings = folders = [root / name for name in names]
    posed = read_source(OFFICE)[:5]
    build_map(posed, mapped, MapConfig(max_keypoints=300, vlad_clusters=8))
    triangulate_map(mapped)
    shutil.copytree(mapped, changed, symlinks=True)
    for folder in folders[2:]:
        folder.mkdir()
    rows = np.random.default_rng(0).standard_normal((600, 16)).astype(np.float32)
    np.save(retrieval / 'rows.npy', rows)
    if find_faiss():
        write_index(retrieval / 'retrieval', rows)
    for name, content in {
        places / 'table.csv': 'image,x,y,z,qx,qy,qz,qw\na.jpg,1,2,3,0,0,0,1\nb.jpg,1,2,4,0,0,1,0',
        places / 'gps.csv': 'image,lat,lon,alt\na.jpg,48.1,9.5,200\nb.jpg,48.1002,9.5,201\n',
        places / 'track.csv': 'stamp,x,y,z\n1.5,0,0,0\n2.5,1,0,0\n',
        places / 'track.txt': '# track\n1.5 0 0 0 0 0 0 1\n2.5 1 0 0 0 0 1 0\n',
        settings / 'settings.yaml': '/**:\n  ros__parameters:\n    max_keypoints: 30\n',
        settings / 'list.txt': 'a.jpg\nfolder/b c.jpg\n',
        settings / 'camera.yaml': yaml.safe_dump(
            {
                'image_width': 640,
                'image_height': 480,
                'distortion_model': 'plumb_bob',
                'camera_matrix': {'data': [500.0, 0, 320, 0, 500.0, 240, 0, 0, 1]},
                'distortion_coefficients': {'data': [0.1, 0, 0, 0, 0]},
            }
        ),
    }.items():
        name.write_text(content)
    trees = {'map ': mapped, **dict(zip(names[1:], folders[1:], strict=True))}
    if not find_faiss():
        del trees['retrieval']
    return trees


def write_bags(root: Path) -> dict[str, Path]:
    moves = [
        tf(second, 'map', 'base_link', second) for second in np.arange(0.5, 3.6, 0.2).tolist()
    ]
    frames = [part for second in (1.0, 2.0, 3.0) for part in (info(second), image(second))]
    mount = tf(0.1, 'base_link', 'cam', 0.5, static=True)
    truth = [pose(second, second) for second in (0.5, 3.5)]
    messages = sorted([mount, *moves, *frames, *truth], key=lambda message: message[1])
    for kind in ('mcap', 'sqlite3', 'ros1'):
        (root / kind).mkdir()
        write(root / kind / 'bag', messages, kind)
        (root / f'compressed {kind}').mkdir()
        write(root / f'compressed {kind}' / 'bag', messages, kind, compressed=True)
    return {
        'bag:compressed mcap': root / 'compressed mcap' / 'bag',
        'bag:compressed sqlite3': root / 'compressed sqlite3' / 'bag',
        'bag:compressed ros1': root / 'compressed ros1',
        'bag:mcap': root / 'mcap' / 'bag',
        'bag:sqlite3': root / 'sqlite3' / 'bag',
        'bag:ros1': root / 'ros1',
        'source:rosbag mcap': root / 'mcap' / 'bag',
        'source:rosbag sqlite3': root / 'sqlite3' / 'bag',
    }


def test_every_reader_refuses_damage_with_a_message(trees: dict[str, Path]) -> None:
    assert {name.partition(':')[2].split()[0] for name in trees if name[:3] == 'sou'} == {*SOURCES}
    program = Path(__file__).with_name('hostile_reading.py')
    targets = [f'{kind.rstrip()}={folder}' for kind, folder in trees.items()]
    result = subprocess.run(
        [sys.executable, str(program), *targets, str(SEED), str(CASES)],
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]
    assert result.stdout == 'finished\n', result.stdout[-5000:]


ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i AS {} FROM n'


@pytest.fixture
def copied(trees: dict[str, Path], tmp_path: Path) -> Path:
    """A map, to be spoiled."""
    return Path(shutil.copytree(trees['map'], tmp_path / 'map', symlinks=True))


def make_endless(database: Path, table: str, column: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(f'DROP TABLE {table}')
        connection.execute(f'CREATE VIEW {table} AS {ENDLESS.format(column)}')
    connection.close()


def test_view_instead_of_a_table_of_a_map(copied: Path) -> None:
    make_endless(copied / 'database.db', 'images', 'image_id')
    with pytest.raises(MapError, match='images is a view instead of a table'):
        ReferenceMap.open(copied)


def test_view_instead_of_a_table_of_a_bag(trees: dict[str, Path], tmp_path: Path) -> None:
    bag = Path(shutil.copytree(trees['bag:sqlite3'], tmp_path / 'bag'))
    make_endless(next(bag.glob('*.db3')), 'topics', 'id')
    with pytest.raises(DataError, match='topics is a view instead of a table'):
        BagFile(bag)


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


def test_size_in_a_header(trees: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(next(trees['source:colmap'].rglob('*.png')).read_bytes())
    content[16:24] = (30_000).to_bytes(4, 'big') * 2
    path = tmp_path / 'image.png'
    path.write_bytes(content)
    with pytest.raises(DataError, match='is 30000x30000 pixels, its camera 120x90'):
        read_pixels(path, SIMPLE)


def test_size_of_a_camera() -> None:
    with pytest.raises(DataError, match='larger than 100000 pixels a side'):
        Camera('SIMPLE_PINHOLE', 10**12, 90, (100.0, 60.0, 45.0))
