# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps opened for localization, and every way they can be broken."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import sqlite3
import threading
import time
from typing import Any

import numpy as np
import pycolmap
import pytest
from synthetic_maps import FISHEYE, PINHOLE, make_posed
import yaml

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.map.builder import build_map
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.vision.features import extract_features

CONFIG = MapConfig(max_keypoints=100, vlad_clusters=8)


@pytest.fixture(scope='module')
def posed(tmp_path_factory: pytest.TempPathFactory) -> list[PosedImage]:
    """Five posed images."""
    return make_posed(tmp_path_factory.mktemp('images'), 5)


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory, posed: list[PosedImage]) -> Path:
    """Build a map, not to be changed."""
    return build_map(posed, tmp_path_factory.mktemp('maps') / 'map', CONFIG, units='units')


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """Copy the map, to be spoiled."""
    return Path(shutil.copytree(built, tmp_path / 'map', symlinks=True))


def test_what_was_built_is_opened(built: Path, posed: list[PosedImage]) -> None:
    with ReferenceMap.open(built) as reference_map:
        assert reference_map.path == built
        assert reference_map.num_images == 5
        assert reference_map.image_names == tuple(image.name for image in posed)
        assert reference_map.stamps_ns.tolist() == [image.stamp_ns for image in posed]
        assert (reference_map.frame_id, reference_map.units) == ('map', 'units')
        assert reference_map.config == CONFIG
        assert reference_map.the_camera() == reference_map.camera(2) == PINHOLE
        for i, image in enumerate(posed):
            pose = reference_map.cam_from_map(i)
            np.testing.assert_allclose(pose.matrix, image.cam_from_map.matrix, atol=1e-12)
            centre = image.cam_from_map.inverse().translation
            np.testing.assert_allclose(reference_map.centres[i], centre, atol=1e-12)


def test_features(built: Path, posed: list[PosedImage]) -> None:
    reference_map = ReferenceMap.open(built)
    for i, image in enumerate(posed):
        features = reference_map.features(i)
        expected = extract_features(read_image(image), CONFIG.max_keypoints)
        np.testing.assert_allclose(features.points2D, expected.points2D, atol=1e-4)
        np.testing.assert_array_equal(features.descriptors, expected.descriptors)
        np.testing.assert_allclose(
            PINHOLE.project(np.column_stack([features.normalized, np.ones(len(features))])),
            features.points2D,
            atol=1e-9,
        )
        assert features.points2D.dtype == features.normalized.dtype == np.float64
    total = sum(len(reference_map.features(i)) for i in range(5))
    assert reference_map.num_keypoints() == total


@pytest.mark.parametrize(
    'camera',
    [
        FISHEYE,
        Camera('OPENCV', 120, 90, (100, 100, 60, 45, 0.1, -0.05, 0.001, 0.002)),
        Camera('FULL_OPENCV', 120, 90, (90, 90, 60, 45, 0.26, -0.95, -0.005, 0.003, 1.2, 0, 0, 0)),
        Camera('SIMPLE_RADIAL', 120, 90, (100, 60, 45, -1.4)),
    ],
    ids=lambda camera: camera.model,
)
def test_keypoints_are_undistorted(tmp_path: Path, camera: Camera) -> None:
    output = build_map(make_posed(tmp_path, 2, camera), tmp_path / 'map', CONFIG)
    reference_map = ReferenceMap.open(output)
    with pycolmap.Database.open(output / 'database.db') as database:
        stored = database.read_keypoints(1)[:, :2]
    features = reference_map.features(0)
    # Strong distortion has a border beyond which a pixel has no ray: consistently left out.
    assert np.isfinite(features.normalized).all()
    has_ray = np.isfinite(camera.normalize(stored.astype(float))).all(axis=1)
    assert 0 < len(features) == np.count_nonzero(has_ray) == len(features.descriptors)
    assert camera.model != 'SIMPLE_RADIAL' or not has_ray.all()
    np.testing.assert_array_equal(features.points2D, stored[has_ray])
    rays = np.column_stack([features.normalized, np.ones(len(features))])
    np.testing.assert_allclose(camera.project(rays), features.points2D, atol=0.1)


def test_retrieval(built: Path, posed: list[PosedImage]) -> None:
    reference_map = ReferenceMap.open(built)
    for i, image in enumerate(posed):
        descriptor = reference_map.describe(read_image(image))
        indices, similarities = reference_map.retrieve(descriptor, 3)
        assert len(indices) == len(similarities) == 3
        assert indices[0] == i
        assert similarities[0] == pytest.approx(1.0, abs=1e-5)
        assert (np.diff(similarities) <= 0).all()
    indices, _ = reference_map.retrieve(descriptor, 99)
    assert sorted(indices) == [0, 1, 2, 3, 4]


def test_retrieval_among_some_images_keeps_their_order(
    built: Path, posed: list[PosedImage]
) -> None:
    reference_map = ReferenceMap.open(built)
    descriptor = reference_map.describe(read_image(posed[0]))
    everywhere, similarities = reference_map.retrieve(descriptor, 5)
    allowed = np.array([False, True, False, True, True])
    found, values = reference_map.retrieve(descriptor, 2, allowed)
    np.testing.assert_array_equal(found, everywhere[allowed[everywhere]][:2])
    np.testing.assert_allclose(values, similarities[allowed[everywhere]][:2], rtol=1e-5)
    assert sorted(reference_map.retrieve(descriptor, 9, allowed)[0]) == [1, 3, 4]


def test_images_near_a_place(built: Path, posed: list[PosedImage]) -> None:
    reference_map = ReferenceMap.open(built)
    assert reference_map.images_near(reference_map.centres[0], 0.0, 99).all()
    far = reference_map.centres[-1] * 1000.0
    nearest = reference_map.images_near(far, 0.0, 2)
    assert nearest.sum() == 2
    distances = np.linalg.norm(reference_map.centres - far, axis=1)
    assert distances[nearest].max() < distances[~nearest].min()


def test_image_without_texture_retrieves_nothing(built: Path) -> None:
    reference_map = ReferenceMap.open(built)
    descriptor = reference_map.describe(np.zeros((90, 120), np.uint8))
    indices, similarities = reference_map.retrieve(descriptor, 3)
    assert len(indices) == len(similarities) == 0


def test_image_with_the_same_content_is_found(built: Path, posed: list[PosedImage]) -> None:
    reference_map = ReferenceMap.open(built)
    image = read_image(posed[3])
    assert reference_map.find_same(image) == posed[3].name
    image[5, 5] ^= 255
    assert reference_map.find_same(image) is None
    assert reference_map.find_same(image[1:]) is None


def test_cache_stays_within_its_limit(built: Path) -> None:
    database = built / 'current' / 'database.db'
    sizes = [FeatureStore(database).features(i, PINHOLE).num_bytes for i in range(1, 6)]
    store = FeatureStore(database, cache_bytes=sizes[0] + sizes[1])
    first = store.features(1, PINHOLE)
    assert store.features(1, PINHOLE) is first
    store.features(2, PINHOLE)
    assert store.features(1, PINHOLE) is first
    store.features(3, PINHOLE)  # the second goes, as the first was used after it
    assert store.cached_bytes <= sizes[0] + sizes[1]
    assert store.features(1, PINHOLE) is first or sizes[2] > sizes[1]
    nothing = FeatureStore(database, cache_bytes=0)
    assert nothing.features(1, PINHOLE) is not nothing.features(1, PINHOLE)
    assert nothing.cached_bytes == 0


def test_features_from_several_threads(built: Path) -> None:
    reference_map = ReferenceMap.open(built, descriptor_cache_mb=1)
    expected = [len(ReferenceMap.open(built).features(i)) for i in range(5)]
    wrong: list[int] = []

    def read() -> None:
        for i in np.random.default_rng(0).integers(5, size=50):
            if len(reference_map.features(i)) != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_several_cameras(tmp_path: Path, posed: list[PosedImage]) -> None:
    other = make_posed(tmp_path / 'other', 1, FISHEYE)[0]
    renamed = PosedImage('x.png', other.path, FISHEYE, other.cam_from_map, 0)
    reference_map = ReferenceMap.open(build_map([*posed, renamed], tmp_path / 'map', CONFIG))
    with pytest.raises(MapError, match=r'has 2 cameras: choose one by ID \(1, 2\)'):
        reference_map.the_camera()


def listing(path: Path) -> dict[str, tuple[int, int]]:
    """Give size and time of change of all files."""
    return {
        str(file): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in path.rglob('*')
        if file.is_file()
    }


@pytest.mark.parametrize('opened_by_colmap', [False, True])
def test_reading_writes_nothing(copied: Path, opened_by_colmap: bool) -> None:
    if opened_by_colmap:
        # Leaves the database in write-ahead mode, which a plain reader could not open.
        pycolmap.Database.open(copied / 'database.db').close()
    for path in [copied, *copied.rglob('*')]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    before = listing(copied)
    reference_map = ReferenceMap.open(copied)
    for i in range(5):
        reference_map.features(i)
    reference_map.close()
    assert listing(copied) == before
    for path in [copied, *copied.rglob('*')]:
        if not path.is_symlink():
            path.chmod(0o755)


def test_path_with_odd_characters(built: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(built, tmp_path / 'a map?#100%', symlinks=True)
    assert len(ReferenceMap.open(str(moved)).features(0)) > 0


def test_opens_quickly(built: Path) -> None:
    start = time.perf_counter()
    ReferenceMap.open(built)
    assert time.perf_counter() - start < 2


# Bad maps.


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change values of map.yaml."""
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def set_value(key: str, value: object) -> Callable[[Path], None]:
    """Spoil a value of map.yaml."""
    return lambda path: rewrite(path / 'map.yaml', lambda content: content.update({key: value}))


def run_sql(*statements: str) -> Callable[[Path], None]:
    """Spoil the database."""

    def spoil(path: Path) -> None:
        connection = sqlite3.connect(path / 'database.db')
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return spoil


def cut(name: str, share: float) -> Callable[[Path], None]:
    """Truncate a file."""

    def spoil(path: Path) -> None:
        file = path / 'current' / name
        os.truncate(file, int(file.stat().st_size * share))

    return spoil


def remove(name: str) -> Callable[[Path], None]:
    """Remove a file."""
    return lambda path: (path / 'current' / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    """Replace a file."""

    def spoil(path: Path) -> None:
        (path / 'current' / name).write_bytes(content)

    return spoil


def save(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change an array."""

    def spoil(path: Path) -> None:
        file = path / 'current' / name
        np.save(file, change(np.load(file)))

    return spoil


def drop_line(path: Path) -> None:
    """Remove an image from the list."""
    lines = (path / 'current' / 'images.txt').read_text().splitlines(keepends=True)
    (path / 'current' / 'images.txt').write_text(''.join(lines[:-1]))


def relink(target: str) -> Callable[[Path], None]:
    """Let the map show something else."""

    def spoil(path: Path) -> None:
        (path / 'current').unlink()
        (path / 'current').symlink_to(target)

    return spoil


BAD_MAPS = {
    'no current': (lambda path: (path / 'current').unlink(), 'is not a map'),
    'dangling current': (relink('generations/000009'), 'is not a map'),
    'current leads out': (relink('/'), 'leads out of the map'),
    'no map.yaml': (remove('map.yaml'), 'cannot read .*map.yaml'),
    'map.yaml no YAML': (write('map.yaml', b'{'), 'cannot read .*map.yaml'),
    'map.yaml no text': (write('map.yaml', b'\xff'), 'cannot read .*map.yaml'),
    'map.yaml empty': (write('map.yaml', b''), 'format version None'),
    'old version': (set_value('format_version', 0), 'format version 0, this program reads 1'),
    'new version': (set_value('format_version', 2), 'format version 2, this program reads 1'),
    'odd config': (set_value('config', {'colour': 'red'}), 'damaged .*colour'),
    'odd checksums': (set_value('checksums', 3), 'damaged'),
    'other number': (set_value('num_images', 4), 'speaks of 4 images, images.txt lists 5'),
    'no database': (remove('database.db'), 'database .* is missing'),
    'empty database': (cut('database.db', 0), 'database .* is damaged or truncated'),
    'cut database': (cut('database.db', 0.5), 'database .* is damaged or truncated'),
    'hardly cut database': (cut('database.db', 0.99), 'database .* is damaged or truncated'),
    'database no database': (write('database.db', b'text' * 999), 'is damaged or truncated'),
    'unlisted image': (drop_line, 'lists 4 images and has 5 poses and 5 global descriptors'),
    'image list no list': (write('images.txt', b'1 2\n'), 'images.txt is missing or damaged'),
    'no image list': (remove('images.txt'), 'images.txt is missing or damaged'),
    'descriptors lack one': (
        run_sql('DELETE FROM descriptors WHERE image_id = 3'),
        r'lists 5 images, database.db has features of 4.*\(3, .left cam/image 2.png',
    ),
    'other name': (
        run_sql("UPDATE images SET name = 'other.png' WHERE image_id = 2"),
        'disagree about image',
    ),
    'no cameras': (run_sql('DELETE FROM cameras'), r'lacks cameras \[1\]'),
    'odd camera': (run_sql('UPDATE cameras SET model = 99'), 'camera 1: unknown camera model'),
    'short camera': (run_sql("UPDATE cameras SET params = x'00'"), 'camera 1'),
    'text camera': (run_sql("UPDATE cameras SET params = 'text'"), 'camera 1'),
    'cut poses': (cut('poses.npy', 0.7), 'poses.npy is missing or damaged'),
    'no poses': (remove('poses.npy'), 'poses.npy is missing or damaged'),
    'fewer poses': (save('poses.npy', lambda poses: poses[:3]), 'has 3 poses'),
    'nan poses': (save('poses.npy', lambda poses: poses * np.nan), 'no poses'),
    'flat poses': (save('poses.npy', lambda poses: poses[:, :6]), 'no poses'),
    'short quaternions': (save('poses.npy', lambda poses: poses / 2), 'no poses'),
    'pickled poses': (
        lambda path: np.save(path / 'current' / 'poses.npy', np.array([{}]), allow_pickle=True),
        'poses.npy is missing or damaged',
    ),
    'huge poses': (
        write(
            'poses.npy',
            b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, "
            b"'shape': (99999999999, 7), }".ljust(127)
            + b'\n',
        ),
        'poses.npy is missing or damaged',
    ),
    'single poses': (save('poses.npy', lambda poses: poses.astype(np.float32)), 'float32'),
    'narrow descriptors': (
        save('global_descriptors.npy', lambda rows: rows[:, :2]),
        'have 2 dimensions, its vocabulary gives 4',
    ),
    'fewer descriptors': (
        save('global_descriptors.npy', lambda rows: rows[:2]),
        '2 global descriptors',
    ),
    'no vocabulary': (remove('vocabulary.npz'), 'cannot read vocabulary'),
    'cut vocabulary': (cut('vocabulary.npz', 0.9), 'cannot read vocabulary'),
}


@pytest.mark.parametrize(('spoil', 'message'), BAD_MAPS.values(), ids=BAD_MAPS.keys())
def test_bad_map(copied: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(copied)
    with pytest.raises(MapError, match=message) as caught:
        ReferenceMap.open(copied)
    assert str(copied) in str(caught.value)
    assert 'again' in str(caught.value) or 'relloc map build' in str(caught.value)


def test_no_map(tmp_path: Path) -> None:
    with pytest.raises(MapError, match='does not exist: make one with `relloc map build`'):
        ReferenceMap.open(tmp_path / 'nowhere')
    with pytest.raises(MapError, match='is not a map'):
        ReferenceMap.open(tmp_path)
    (tmp_path / 'file').write_text('text')
    with pytest.raises(MapError, match='does not exist'):
        ReferenceMap.open(tmp_path / 'file')


@pytest.mark.parametrize(
    ('statement', 'message'),
    [
        ('UPDATE keypoints SET rows = 99999999999', 'claims 99999999999 x 2 keypoints'),
        ('UPDATE keypoints SET rows = -1', 'claims -1 x 2'),
        ("UPDATE keypoints SET rows = 'many'", 'claims many x 2'),
        ('UPDATE descriptors SET cols = 64, rows = rows * 2', r'\d+ keypoints, \d+ descriptors'),
        ("UPDATE descriptors SET data = x'00'", 'in 1 bytes'),
        ('UPDATE descriptors SET data = NULL', 'in 0 bytes'),
        ('UPDATE keypoints SET data = zeroblob(24), rows = 3', '3 keypoints, .* descriptors'),
        ('UPDATE keypoints SET cols = 1, rows = rows * 2', r'keypoints, \d+ descriptors'),
    ],
)
def test_damaged_features(copied: Path, statement: str, message: str) -> None:
    run_sql(f'{statement} WHERE image_id = 2')(copied)
    reference_map = ReferenceMap.open(copied)
    assert len(reference_map.features(0)) > 0
    with pytest.raises(MapError, match=message):
        reference_map.features(1)


def test_use_needs_no_pycolmap_model(copied: Path) -> None:
    shutil.rmtree(copied / 'current' / 'sparse')
    assert len(ReferenceMap.open(copied).features(0)) > 0
