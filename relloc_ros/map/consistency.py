# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is checked when a map is opened: whether its files speak of the same images.

In a large map of some of them only: to find a million images in the database takes minutes on a
cold disk. `relloc map check` reads everything.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relloc_ros.errors import MapError
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Manifest
from relloc_ros.map.image_index import StoredIndex
from relloc_ros.vision.global_descriptors import GlobalDescriptor

__all__ = ['check_database', 'check_sizes']

MANY_IMAGES = 20_000
SAMPLES = 1000


def check_sizes(
    path: Path, manifest: Manifest, index: StoredIndex, descriptor: GlobalDescriptor
) -> None:
    """Compare the numbers of images, and the dimensions of their global descriptors.

    Raises:
        MapError: they differ.
    """
    if manifest.num_images != len(index.entries):
        raise MapError(
            f'map {path}: map.yaml speaks of {manifest.num_images} images, images.txt lists '
            f'{len(index.entries)}: build it again'
        )
    if index.descriptors.shape[1] != descriptor.dimension:
        raise MapError(
            f'map {path}: global descriptors have {index.descriptors.shape[1]} dimensions, its '
            f'vocabulary gives {descriptor.dimension}: build it again'
        )


def check_database(path: Path, index: StoredIndex, store: FeatureStore) -> None:
    """Look for the images and their cameras in the database.

    Raises:
        MapError: something is missing there, or is called otherwise.
    """
    entries = index.entries
    if len(entries) <= MANY_IMAGES:
        listed = {entry.image_id: entry.name for entry in entries}
        stored = store.image_names()
        num_stored = len(stored)
    else:
        some = np.linspace(0, len(entries) - 1, SAMPLES).astype(np.intp)
        listed = {entries[row].image_id: entries[row].name for row in some}
        stored = store.image_names(list(listed))
        num_stored = store.num_images()
    if listed != stored or num_stored != len(entries):
        different = min(set(listed.items()) ^ set(stored.items()), default='')
        raise MapError(
            f'map {path}: images.txt lists {len(entries)} images, database.db has features of '
            f'{num_stored}; they disagree about image {different}: build the map again'
        )
    missing = {*np.unique(entries.camera_ids).tolist()} - store.cameras().keys()
    if missing:
        raise MapError(f'map {path}: database.db lacks cameras {sorted(missing)}: build it again')
