# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checksums over the content of a map.

Not over its files: opening the database with COLMAP changes bytes and no content.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
import hashlib

from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import ImageIndex
from relloc_ros.map.points import MapPoints
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS

__all__ = ['content_checksums', 'make_map_id']

CONTENT = ('images', 'poses', 'keypoints', 'descriptors', 'global_descriptors', 'vocabulary')
POINTS = 'points'
"""Only of a triangulated map."""

RETRIEVAL = 'retrieval'
"""Only of a large map, and no part of what names it: it follows from the descriptors."""

BLOCK_BYTES = 2**20


def content_checksums(generation: Generation, config: MapConfig) -> dict[str, str]:
    """Read everything and give the SHA-256 of each kind of content, as hexadecimal text.

    Args:
        generation: the files.
        config: settings the map is built with.

    Raises:
        MapError: something is missing or damaged.
        DataError: the vocabulary is.
    """
    hashes = {kind: hashlib.sha256() for kind in CONTENT}
    index = ImageIndex.read(generation)
    hashes['poses'].update(index.poses.reshape(-1).data)
    hashes['global_descriptors'].update(index.descriptors.reshape(-1).data)
    descriptor = GLOBAL_DESCRIPTORS[config.global_descriptor].load(generation.vocabulary)
    for array in descriptor.arrays:
        hashes['vocabulary'].update(array.tobytes())
    hashes['vocabulary'].update(descriptor.weights.encode())
    with closing(FeatureStore(generation.database, config.features)) as store:
        cameras = store.cameras()
        for entry in index.entries:
            if entry.camera_id not in cameras:
                raise MapError(f'{generation.database} lacks camera {entry.camera_id}')
            hashes['images'].update(f'{entry}|{cameras[entry.camera_id]}\n'.encode())
            keypoints, descriptors = store.stored(entry.image_id)
            hashes['keypoints'].update(keypoints.tobytes())
            hashes['descriptors'].update(descriptors.tobytes())
    points = MapPoints.read(generation.points, len(index.entries))
    if points is not None:
        hashes[POINTS] = hashlib.sha256()
        for name, array in points.arrays():
            hashes[POINTS].update(f'{name} {array.shape}'.encode())
            hashes[POINTS].update(array.tobytes())
    if generation.retrieval.is_dir():
        hashes[RETRIEVAL] = hashlib.sha256()
        for path in sorted(generation.retrieval.iterdir()):
            hashes[RETRIEVAL].update(path.name.encode())
            with path.open('rb') as file:
                while block := file.read(BLOCK_BYTES):
                    hashes[RETRIEVAL].update(block)
    return {kind: value.hexdigest() for kind, value in hashes.items()}


def make_map_id(checksums: Mapping[str, str]) -> str:
    """Give a short name that only this content has."""
    text = ' '.join(checksums[kind] for kind in (*CONTENT, POINTS) if kind in checksums)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
