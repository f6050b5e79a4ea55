# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build a map from posed images. A killed build leaves no map, or the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.colmap_workspace import FeatureWriter, write_workspace
from relloc_ros.map.format import FRAME_ID, Generation, Manifest
from relloc_ros.map.global_frame import GlobalFrame
from relloc_ros.map.image_description import Describer, describe, in_full, open_describer
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.publication import new_generation
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.parallel import Task, TaskPool, ThreadTasks
from relloc_ros.vision.features import FeatureExtractor, create_extractor
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS, GlobalDescriptor

__all__ = ['Progress', 'build_map', 'check_names', 'write_features', 'write_manifest']

Progress = Callable[[int, int, str], None]
"""Called with the number done, the number in all and the name of the stage."""

MAX_TRAINING_IMAGES = 1000
WORKERS = 2
BATCH = 4
"""Images described together: each message to a worker keeps this process busy, too."""


def build_map(
    posed: Sequence[PosedImage],
    output: Path,
    config: MapConfig | None = None,
    *,
    overwrite: bool = False,
    vocabulary: Path | None = None,
    source: str = '',
    units: str = 'm',
    global_frame: GlobalFrame | None = None,
    keyframes: Mapping[str, float] | None = None,
    wait: float = 0.0,
    progress: Progress | None = None,
    pool: TaskPool | None = None,
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
        global_frame: where the map lies in another frame; None is in none.
        keyframes: what leaving images out has cost, see `Manifest`.
        wait: seconds to wait for another process that changes the map.
        progress: called after every image.
        pool: extracts the features; None takes threads of this process. The map is the same.

    Returns:
        `output`.

    Raises:
        MapError: `output` exists and must not be replaced, is no map, is being changed, or cannot
            be written.
        DataError: no images, unusable names, an image that is unreadable or not of its camera's
            size; weights missing from `config.weights_folder`, or unusable.
        MissingDependencyError: a network is asked for whose packages are not installed.
        WorkerError: the pool's workers cannot be reached, or die.
    """
    config = config or MapConfig()
    check_names(posed)
    extractor = create_extractor(config.features, config.weights_folder)
    extractor.prepare()
    report = progress or (lambda done, total, stage: None)
    with new_generation(output, overwrite=overwrite, wait=wait) as generation:
        entries, cameras = _enumerate(posed)
        poses = [image.cam_from_map for image in posed]
        write_workspace(generation, cameras, entries, poses)
        descriptor = _make_vocabulary(posed, config, vocabulary, report)
        descriptor.save(generation.vocabulary)
        descriptors, digests = write_features(
            posed, entries, extractor, descriptor, config, generation, report, pool
        )
        entries = [
            replace(entry, digest=digest) for entry, digest in zip(entries, digests, strict=True)
        ]
        numbers = np.array([[*pose.quat_wxyz, *pose.translation] for pose in poses])
        recall = ImageIndex(entries, numbers, descriptors).write(generation, report)
        write_manifest(
            generation,
            len(posed),
            config,
            extractor.weights,
            recall,
            source,
            units,
            global_frame,
            keyframes,
        )
    return output


def write_manifest(
    generation: Generation,
    num_images: int,
    config: MapConfig,
    features_weights: str,
    retrieval_recall: float | None,
    source: str,
    units: str,
    global_frame: GlobalFrame | None = None,
    keyframes: Mapping[str, float] | None = None,
) -> None:
    """Write map.yaml of a map whose other files are written; see `Manifest`."""
    checksums = content_checksums(generation, config)
    Manifest(
        map_id=make_map_id(checksums),
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        source=source,
        frame_id=FRAME_ID,
        units=units,
        num_images=num_images,
        config=config,
        features_weights=features_weights,
        checksums=checksums,
        retrieval_recall=retrieval_recall,
        global_frame=global_frame or GlobalFrame.identity(),
        keyframes=keyframes or {},
    ).write(generation.manifest)


def check_names(posed: Sequence[PosedImage]) -> None:
    """Refuse images that no map can hold by their names.

    Raises:
        DataError: no images, a name twice, or one that cannot be stored.
    """
    if not posed:
        raise DataError('there are no images to build a map from')
    names = [image.name for image in posed]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'image {twice!r} is given more than once')
    for name in names:
        if not name or '\n' in name or '\0' in name:
            raise DataError(f'image name {name!r} cannot be used in a map: rename the file')


def _enumerate(posed: Sequence[PosedImage]) -> tuple[list[ImageEntry], dict[int, Camera]]:
    """Number the images and the different cameras, from 1 as COLMAP does."""
    camera_ids: dict[Camera, int] = {}
    entries = []
    for image_id, image in enumerate(posed, start=1):
        camera_id = camera_ids.setdefault(image.camera, len(camera_ids) + 1)
        entries.append(ImageEntry(image_id, camera_id, image.stamp_ns, image.name))
    return entries, {camera_id: camera for camera, camera_id in camera_ids.items()}


def _make_vocabulary(
    posed: Sequence[PosedImage], config: MapConfig, given: Path | None, report: Progress
) -> GlobalDescriptor:
    kind = GLOBAL_DESCRIPTORS[config.global_descriptor]
    if given is not None:
        descriptor = kind.load(given, config.weights_folder)
        descriptor.prepare()
        return descriptor
    step = -(-len(posed) // MAX_TRAINING_IMAGES)
    images = _TrainingImages(posed[::step], kind.TRAINING_PASSES, report)
    return kind.train(images, config)


class _TrainingImages(Sequence[NDArray[np.uint8]]):
    """Image files, read one at a time, as often as they are asked for."""

    def __init__(self, posed: Sequence[PosedImage], passes: int, report: Progress) -> None:
        self._posed = posed
        self._num_reads = passes * len(posed)
        self._report = report
        self._num_read = 0

    def __len__(self) -> int:
        return len(self._posed)

    def __getitem__(self, index: Any) -> Any:
        image = read_image(self._posed[index])
        self._num_read += 1
        self._report(self._num_read, self._num_reads, 'vocabulary')
        return image


def write_features(
    posed: Sequence[PosedImage],
    entries: Sequence[ImageEntry],
    extractor: FeatureExtractor,
    descriptor: GlobalDescriptor,
    config: MapConfig,
    generation: Generation,
    report: Progress,
    pool: TaskPool | None = None,
) -> tuple[NDArray[np.float32], list[str]]:
    """Store the local features of images, and small copies of them, in a map being made.

    Args:
        posed: the images.
        entries: their numbers in the map, whose database lists them already.
        extractor: of the local features.
        descriptor: gives their global descriptors; the vocabulary of the map.
        config: settings of the map.
        generation: where.
        report: called after every image.
        pool: describes the images; None takes threads of this process.

    Returns:
        Global descriptors (N, D) and digests of the pixels.

    Raises:
        DataError: an image that is unreadable or not of its camera's size.
        WorkerError: the pool's workers cannot be reached, or die.
    """
    weights = extractor.weights
    task = Task(
        describe,
        Describer(extractor, config.max_keypoints, descriptor),
        partial(open_describer, in_full(config), generation.vocabulary.absolute(), weights),
        BATCH,
    )
    descriptors = np.empty((len(posed), descriptor.dimension), dtype=np.float32)
    digests = []
    generation.thumbnails.mkdir(exist_ok=True)
    with (
        FeatureWriter(generation, config.features) as writer,
        ThreadTasks(WORKERS) if pool is None else nullcontext(pool) as tasks,
    ):
        for i, described in enumerate(tasks.map(task, posed)):
            writer.write(entries[i].image_id, described.features)
            generation.thumbnail(entries[i].image_id).write_bytes(described.thumbnail)
            descriptors[i] = described.vector
            digests.append(described.digest)
            report(i + 1, len(posed), 'features')
    return descriptors, digests
