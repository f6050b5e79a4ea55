# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Complete maps of any size without images: made descriptors, a few keypoints an image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.builder import write_manifest
from relloc_ros.map.colmap_workspace import FeatureWriter, write_workspace
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.publication import new_generation
from relloc_ros.vision.dense_vlad import PATCH_DIMENSION, DenseVlad

FloatArray = NDArray[np.float32]

CAMERA = Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0))
DIMENSION, WORDS = 512, 8
KEYPOINTS = 4
COUNT_BYTES = 8
TABLES = ('frames', 'frame_data', 'images', 'keypoints', 'descriptors')
PERIOD_NS = 10**8
SPACING = 0.5

REGION_SHARE, WAY_SHARE, IMAGE_SHARE = 0.3, 0.35, 0.35
REGION_DIMENSION = 6
REGION_IMAGES, ANCHOR_IMAGES = 100, 10
BLOCK_REGIONS = 100


def make_map(path: Path, count: int) -> None:
    """Write a map of images along streets of 1000 images each.

    Args:
        path: of the map, which must not exist.
        count: number of images.
    """
    rng = np.random.default_rng(0)
    config = MapConfig(vlad_clusters=WORDS, descriptor_dimension=DIMENSION)
    entries = [
        ImageEntry(
            number + 1,
            1,
            number * PERIOD_NS,
            f'street_{number // 1000:04d}/{number:07d}.jpg',
            rng.bytes(16).hex(),
        )
        for number in range(count)
    ]
    poses = _poses(count)
    with new_generation(path, overwrite=False) as generation:
        _write_model(generation, entries, poses)
        _vocabulary(rng).save(generation.vocabulary)
        _write_database(generation, entries, config.features, rng)
        recall = ImageIndex(entries, poses, make_descriptors(count, rng)).write(generation)
        write_manifest(generation, count, config, '', recall, 'made', 'm')


def _write_model(
    generation: Generation, entries: Sequence[ImageEntry], poses: NDArray[np.float64]
) -> None:
    """Write sparse/, of a million images in a second: the first by COLMAP, the others like it."""
    first = RigidTransform.from_quat_wxyz(poses[0, :4], poses[0, 4:])
    write_workspace(generation, {1: CAMERA}, entries[:1], [first])
    posed = [('id', '<u4'), ('rig', '<u4'), ('pose', '<f8', 7)]
    name_type = f'S{len(entries[0].name) + 1}'
    layouts: dict[str, list[Any]] = {
        'images.bin': [*posed[::2], ('camera', '<u4'), ('name', name_type), ('points', '<u8')],
        'frames.bin': [*posed, ('data', '<u4'), ('sensor', '<u4', 2), ('image', '<u8')],
    }
    for name, layout in layouts.items():
        path = generation.sparse / name
        rows = np.repeat(np.frombuffer(path.read_bytes()[COUNT_BYTES:], layout), len(entries))
        rows['id'] = [entry.image_id for entry in entries]
        rows['pose'] = poses
        if name == 'images.bin':
            rows['name'] = [entry.name for entry in entries]
        else:
            rows['image'] = rows['id']
        path.write_bytes(np.uint64(len(rows)).tobytes() + rows.tobytes())


def _write_database(
    generation: Generation, entries: Sequence[ImageEntry], features: str, rng: np.random.Generator
) -> None:
    """Fill database.db in one transaction: the first image by COLMAP, the others like it."""
    keypoints = (100.0 * rng.random((len(entries), KEYPOINTS, 2))).astype(np.float32)
    descriptors = rng.integers(256, size=(len(entries), KEYPOINTS, 128), dtype=np.uint8)
    with FeatureWriter(generation, features) as writer:
        writer.write_stored(entries[0].image_id, keypoints[0], descriptors[0])
    with closing(sqlite3.connect(generation.database)) as connection, connection:
        for table in TABLES:
            (first,) = connection.execute(f'SELECT * FROM {table}')
            places = ', '.join('?' * len(first))
            rows = (
                _row(table, first, entry, keypoints[i], descriptors[i])
                for i, entry in enumerate(entries[1:], start=1)
            )
            connection.executemany(f'INSERT INTO {table} VALUES ({places})', rows)


def _row(
    table: str,
    first: tuple[Any, ...],
    entry: ImageEntry,
    keypoints: NDArray[np.float32],
    descriptors: NDArray[np.uint8],
) -> tuple[Any, ...]:
    if table == 'frame_data':
        return (entry.image_id, entry.image_id, *first[2:])
    if table == 'images':
        return (entry.image_id, entry.name, *first[2:])
    data = {'keypoints': (keypoints.tobytes(),), 'descriptors': (descriptors.tobytes(),)}
    return (entry.image_id, *first[1 : len(first) - (table in data)], *data.get(table, ()))


def make_descriptors(count: int, rng: np.random.Generator) -> FloatArray:
    """Draw global descriptors (N, D): of regions, changing along the way, and of each image."""
    rows = np.empty((count, DIMENSION), np.float32)
    basis = _unit(rng, REGION_DIMENSION, DIMENSION)
    step = BLOCK_REGIONS * REGION_IMAGES
    for start in range(0, count, step):
        regions = _unit(rng, BLOCK_REGIONS, REGION_DIMENSION) @ basis
        anchors = _unit(rng, step // ANCHOR_IMAGES + 1, DIMENSION)
        passed = np.linspace(0, 1, ANCHOR_IMAGES, endpoint=False, dtype=np.float32)[:, np.newaxis]
        way = (1 - passed) * anchors[:-1, np.newaxis] + passed * anchors[1:, np.newaxis]
        way = way.reshape(step, DIMENSION)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        block = np.sqrt(REGION_SHARE) * np.repeat(regions, REGION_IMAGES, axis=0)
        block += np.sqrt(WAY_SHARE) * way
        block += np.sqrt(IMAGE_SHARE) * _unit(rng, step, DIMENSION)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        rows[start : start + step] = block[: count - start]
    return rows


def _unit(rng: np.random.Generator, count: int, dimension: int) -> FloatArray:
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _poses(count: int) -> NDArray[np.float64]:
    numbers = np.arange(count)
    poses = np.zeros((count, 7))
    poses[:, 0] = 1.0
    poses[:, 4] = -SPACING * (numbers % 1000)
    poses[:, 5] = -10.0 * (numbers // 1000)
    return poses


def _vocabulary(rng: np.random.Generator) -> DenseVlad:
    length = WORDS * PATCH_DIMENSION
    return DenseVlad(
        _unit(rng, WORDS, PATCH_DIMENSION),
        np.zeros(length, np.float32),
        _unit(rng, DIMENSION, length),
    )
