# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A complete map with an index, large by a low limit: opened, checked, damaged, changed."""

from __future__ import annotations

from pathlib import Path
import shutil

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map import consistency, retrieval_index, similarity_search
from relloc_ros.map.builder import write_manifest
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.colmap_workspace import FeatureWriter, write_workspace
from relloc_ros.map.editing import remove_images
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.dense_vlad import PATCH_DIMENSION, DenseVlad

pytest.importorskip('faiss')

COUNT, DIMENSION = 600, 16
CAMERA = Camera('PINHOLE', 64, 48, (50.0, 50.0, 32.0, 24.0))


@pytest.fixture(autouse=True)
def _low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    _lower(monkeypatch)


def _lower(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (retrieval_index, similarity_search):
        monkeypatch.setattr(module, 'LARGE_MAP', 500)
    monkeypatch.setattr(consistency, 'MANY_IMAGES', 500)
    monkeypatch.setattr(consistency, 'SAMPLES', 50)


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of places that ten images show each, along a way."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('maps') / 'map'
    config = MapConfig(vlad_clusters=2, descriptor_dimension=DIMENSION)
    entries = [ImageEntry(i + 1, 1, i, f'{i:04d}.jpg', rng.bytes(16).hex()) for i in range(COUNT)]
    poses = np.zeros((COUNT, 7))
    poses[:, 0], poses[:, 4] = 1.0, -0.1 * np.arange(COUNT)
    rows = np.repeat(rng.standard_normal((COUNT // 10, DIMENSION)), 10, axis=0)
    rows += 0.3 * rng.standard_normal(rows.shape)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    words = rng.standard_normal((2, PATCH_DIMENSION)).astype(np.float32)
    vocabulary = DenseVlad(words, words.ravel(), np.tile(words.ravel(), (DIMENSION, 1)))
    with pytest.MonkeyPatch.context() as patch, new_generation(path, overwrite=False) as new:
        _lower(patch)
        transforms = [RigidTransform.from_quat_wxyz(row[:4], row[4:]) for row in poses]
        write_workspace(new, {1: CAMERA}, entries, transforms)
        vocabulary.save(new.vocabulary)
        with FeatureWriter(new, config.features) as writer:
            for entry in entries:
                writer.write_stored(
                    entry.image_id, np.ones((3, 2), np.float32), np.ones((3, 128), np.uint8)
                )
        stages: list[tuple[int, int, str]] = []
        recall = ImageIndex(entries, poses, rows.astype(np.float32)).write(
            new, lambda *progress: stages.append(progress)
        )
        assert stages[-1] == (COUNT, COUNT, 'retrieval index')
        write_manifest(new, COUNT, config, '', recall, 'made', 'm')
    return path


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / 'map', symlinks=True))


def test_it_opens_finds_and_is_undamaged(made: Path) -> None:
    with ReferenceMap.open(made) as reference_map:
        rows = reference_map.global_descriptors(np.arange(COUNT))
        for index in range(0, COUNT, 50):
            found, similarities = reference_map.retrieve(rows[index], 5)
            assert found[0] == index
            assert {*(found // 10)} == {index // 10}
            assert similarities[0] == pytest.approx(1.0, abs=1e-5)
        assert reference_map.index_of('0123.jpg') == 123
    assert check_map(made) == []
    recall = Manifest.read(current_generation(made).manifest).retrieval_recall
    assert recall is not None
    assert 0.8 <= recall <= 1.0
    assert map_info(made)['retrieval'].startswith('approximate, finds')


def test_only_images_of_an_area_are_found(made: Path) -> None:
    with ReferenceMap.open(made) as reference_map:
        row = reference_map.global_descriptors(np.array([30]))[0]
        near = reference_map.images_near(np.array([50.0, 0.0, 0.0]), 1.0, 5)
        assert near[490:511].all()
        assert not near[:100].any()
        found, _ = reference_map.retrieve(row, 5, near)
        assert len(found) == 5
        assert near[found].all()


def test_check_sees_what_opening_does_not(copy: Path) -> None:
    lists = current_generation(copy).retrieval / 'lists.bin'
    content = bytearray(lists.read_bytes())
    content[5] ^= 1
    lists.write_bytes(content)
    assert any('retrieval' in problem for problem in check_map(copy))


def test_names_that_the_database_does_not_know_are_noticed(copy: Path) -> None:
    images = current_generation(copy).images
    images.write_text(images.read_text().replace(' 0', ' 1'))
    with pytest.raises(MapError, match='they disagree about image'):
        ReferenceMap.open(copy)


def test_a_changed_map_has_an_index_of_its_own(copy: Path) -> None:
    remove_images(copy, ['0003.jpg', '0300.jpg'])
    assert check_map(copy) == []
    with ReferenceMap.open(copy) as reference_map:
        rows = reference_map.global_descriptors(np.array([299]))
        assert reference_map.image_names[299] == '0301.jpg'
        assert reference_map.retrieve(rows[0], 3)[0][0] == 299


def test_a_map_that_became_small_has_none(copy: Path) -> None:
    remove_images(copy, [f'{i:04d}.jpg' for i in range(150)])
    assert not current_generation(copy).retrieval.exists()
    assert Manifest.read(current_generation(copy).manifest).retrieval_recall is None
    assert map_info(copy)['retrieval'] == 'exact'
    assert check_map(copy) == []
