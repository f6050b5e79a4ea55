# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps, sources and bags from a stranger: refused with a message, at no great cost."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

from bag_messages import image, info, pose, tf, write
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

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.map.approximate_search import find_faiss
from relloc_ros.map.builder import build_map
from relloc_ros.map.retrieval_index import write_index
from relloc_ros.map.sources import SOURCES, read_source
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
