# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build a map from posed images. A killed build leaves no map, or the old one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError
from relloc_ros.map.format import FRAME_ID, Checksums, Generation, ImageEntry, Manifest, map_id
from relloc_ros.map.format import write_image_list
from relloc_ros.map.publication import new_generation
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.vision.features import LocalFeatures, extract_features
from relloc_ros.vision.global_descriptors import DenseVlad

__all__ = ['Progress', 'build_map']

Progress = Callable[[int, int, str], None]
"""Called with the number done, the number in all and the name of the stage."""

MAX_TRAINING_IMAGES = 1000
PASSES = 2
"""DenseVlad.train goes through its images this often."""
WORKERS = 2


def build_map(
    posed: Sequence[PosedImage],
    output: Path,
    config: MapConfig | None = None,
    *,
    overwrite: bool = False,
    vocabulary: Path | None = None,
    source: str = '',
    units: str = 'm',
    progress: Progress | None = None,
) -> Path:
    """Extract features and global descriptors of posed images and write a map.

    Args:
        posed: the images, in the order the map gets.
        output: folder of the map.
        config: settings; None takes the defaults.
        overwrite: replace an existing map, which stays intact until the new one is complete.
        vocabulary: vocabulary.npz of another map; None learns one from these images.
        source: where the images come from, for people.
        units: unit of length of the poses.
        progress: called after every image.

    Returns:
        `output`.

    Raises:
        MapError: `output` exists and must not be replaced, is no map, or cannot be written.
        DataError: no images, unusable names, an image that is unreadable or not of its camera's
            size.
    """
    config = config or MapConfig()
    _check_names(posed)
    report = progress or (lambda done, total, stage: None)
    with new_generation(output, overwrite=overwrite) as generation:
        entries, cameras = _enumerate(posed)
        checksums = Checksums()
        _write_poses(posed, entries, cameras, generation, checksums)
        vlad = _make_vocabulary(posed, config, vocabulary, report)
        vlad.save(generation.vocabulary)
        _write_features(posed, entries, vlad, config, generation, checksums, report)
        digests = checksums.digests()
        Manifest(
            map_id=map_id(digests),
            created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            source=source,
            frame_id=FRAME_ID,
            units=units,
            num_images=len(entries),
            config=config,
            checksums=digests,
        ).write(generation.manifest)
    return output


def _check_names(posed: Sequence[PosedImage]) -> None:
    if not posed:
        raise DataError('there are no images to build a map from')
    names = [image.name for image in posed]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'image {twice!r} is given more than once')
    for name in names:
        if not name or '\n' in name or '\0' in name:
            raise DataError(f'image name {name!r} cannot be used in a map: rename the file')


def _enumerate(posed: Sequence[PosedImage]) -> tuple[list[ImageEntry], dict[Camera, int]]:
    cameras: dict[Camera, int] = {}
    entries = []
    for image_id, image in enumerate(posed, start=1):
        camera_id = cameras.setdefault(image.camera, len(cameras) + 1)
        entries.append(ImageEntry(image_id, camera_id, image.stamp_ns, image.name))
    return entries, cameras


def _write_poses(
    posed: Sequence[PosedImage],
    entries: Sequence[ImageEntry],
    cameras: dict[Camera, int],
    generation: Generation,
    checksums: Checksums,
) -> None:
    """Write sparse/, the tables of the database that mirror it, poses.npy and images.txt."""
    model = pycolmap.Reconstruction()
    for camera, camera_id in cameras.items():
        model.add_camera_with_trivial_rig(camera.to_pycolmap(camera_id))
    for image, entry in zip(posed, entries, strict=True):
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=entry.name, camera_id=entry.camera_id, image_id=entry.image_id),
            pycolmap.Rigid3d(image.cam_from_map.matrix[:3]),
        )
        checksums.add_entry(entry, image.camera)
    generation.sparse.mkdir()
    model.write_binary(generation.sparse)
    _write_tables(model, generation.database)
    poses = np.array(
        [[*image.cam_from_map.quat_wxyz, *image.cam_from_map.translation] for image in posed]
    )
    checksums.add('poses', poses)
    np.save(generation.poses, poses)
    write_image_list(generation.images, entries)


def _write_tables(model: pycolmap.Reconstruction, path: Path) -> None:
    database = pycolmap.Database.open(path)
    with pycolmap.DatabaseTransaction(database):
        for camera in model.cameras.values():
            database.write_camera(camera, use_camera_id=True)
        for rig in model.rigs.values():
            database.write_rig(rig, use_rig_id=True)
        for frame in model.frames.values():
            database.write_frame(frame, use_frame_id=True)
        for image_id in sorted(model.images):
            database.write_image(model.images[image_id], use_image_id=True)
    database.close()


def _make_vocabulary(
    posed: Sequence[PosedImage], config: MapConfig, given: Path | None, report: Progress
) -> DenseVlad:
    if given is not None:
        return DenseVlad.load(given)
    step = -(-len(posed) // MAX_TRAINING_IMAGES)
    return DenseVlad.train(_TrainingImages(posed[::step], report), config)


class _TrainingImages(Sequence[NDArray[np.uint8]]):
    """Image files, read one at a time, as often as they are asked for."""

    def __init__(self, posed: Sequence[PosedImage], report: Progress) -> None:
        self._posed = posed
        self._report = report
        self._num_read = 0

    def __len__(self) -> int:
        return len(self._posed)

    def __getitem__(self, index: Any) -> Any:
        image = read_image(self._posed[index])
        self._num_read += 1
        self._report(self._num_read, PASSES * len(self), 'vocabulary')
        return image


def _write_features(
    posed: Sequence[PosedImage],
    entries: Sequence[ImageEntry],
    vlad: DenseVlad,
    config: MapConfig,
    generation: Generation,
    checksums: Checksums,
    report: Progress,
) -> None:
    def extract(image: PosedImage) -> tuple[LocalFeatures, NDArray[np.float32]]:
        pixels = read_image(image)
        return extract_features(pixels, config.max_keypoints), vlad.describe(pixels)

    descriptors = np.empty((len(posed), vlad.dimension), dtype=np.float32)
    database = pycolmap.Database.open(generation.database)
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for i, (features, descriptor) in enumerate(pool.map(extract, posed)):
            _write_image_features(database, entries[i].image_id, features, checksums)
            descriptors[i] = descriptor
            report(i + 1, len(posed), 'features')
    finally:
        pool.shutdown(cancel_futures=True)
        database.close()
    _leave_write_ahead_log(generation.database)
    checksums.add('global_descriptors', descriptors)
    np.save(generation.global_descriptors, descriptors)


def _write_image_features(
    database: pycolmap.Database, image_id: int, features: LocalFeatures, checksums: Checksums
) -> None:
    keypoints = features.points2D.astype(np.float32)
    sift = pycolmap.FeatureExtractorType.SIFT
    database.write_keypoints(image_id, keypoints)
    database.write_descriptors(image_id, pycolmap.FeatureDescriptors(sift, features.descriptors))
    checksums.add('keypoints', keypoints)
    checksums.add('descriptors', features.descriptors)


def _leave_write_ahead_log(path: Path) -> None:
    """Put everything into the one file, which then opens on read-only media."""
    connection = sqlite3.connect(path)
    try:
        connection.execute('PRAGMA journal_mode=DELETE')
    finally:
        connection.close()
