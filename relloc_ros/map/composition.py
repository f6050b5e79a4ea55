# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put a state of a map together from images of existing maps and new ones.

What is known of an image in a map is taken over: features, descriptors, thumbnail, 3D points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
import os
import shutil

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.builder import Progress, write_features
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.colmap_workspace import FeatureWriter, write_points, write_workspace
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Generation, Manifest
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.point_index import index_points
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.sources import PosedImage
from relloc_ros.vision.features import create_extractor
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS

__all__ = ['Part', 'compose']

LEAST_OBSERVATIONS = 2
"""A point needs two images."""

FloatArray = NDArray[np.float32]
Shown = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Images of a map that are taken over.

    Attributes:
        generation: state of the map.
        index: all its images.
        rows: which of them are taken, in this order.
        prefix: put before their names.
        descriptors: (K, D) global descriptors to take instead of those in the index.
    """

    generation: Generation
    index: ImageIndex
    rows: NDArray[np.intp]
    prefix: str = ''
    descriptors: FloatArray | None = None

    @property
    def entries(self) -> list[ImageEntry]:
        """The images taken, as numbered and named in their own map."""
        return [self.index.entries[row] for row in self.rows]

    @property
    def global_descriptors(self) -> FloatArray:
        """(K, D) of the images taken."""
        if self.descriptors is not None:
            return self.descriptors
        return np.asarray(self.index.descriptors[self.rows])


def compose(
    new: Generation,
    parts: Sequence[Part],
    added: Sequence[PosedImage],
    manifest: Manifest,
    report: Progress,
) -> list[ImageEntry]:
    """Write a complete state of a map.

    Images of the first part keep their numbers and those of their cameras.

    Args:
        new: empty folder.
        parts: images taken over, all with features of the same kind.
        added: further images, whose features are extracted.
        manifest: what to say in map.yaml; number of images and checksums are filled in.
        report: called after every image.

    Returns:
        The images as listed in the new state.

    Raises:
        MapError: a part is damaged.
        DataError: an added image is unreadable or not of its camera's size, or weights are
            missing.
    """
    entries, cameras = _enumerate(parts, added)
    numbers = np.concatenate([part.index.poses[part.rows] for part in parts] + _numbers(added))
    poses = [RigidTransform.from_quat_wxyz(row[:4], row[4:]) for row in numbers]
    write_workspace(new, cameras, entries, poses)
    shutil.copyfile(parts[0].generation.vocabulary, new.vocabulary)
    new.thumbnails.mkdir()
    features = manifest.config.features
    num_kept = sum(len(part.rows) for part in parts)
    _copy_images(parts, entries, features, new, report)
    descriptors = [part.global_descriptors for part in parts]
    if added:
        vectors, digests = _describe(added, entries[num_kept:], manifest, new, report)
        descriptors.append(vectors)
        entries[num_kept:] = [
            replace(entry, digest=digest)
            for entry, digest in zip(entries[num_kept:], digests, strict=True)
        ]
    recall = ImageIndex(entries, numbers, np.concatenate(descriptors)).write(new, report)
    _write_points(parts, entries, manifest, new, report)
    checksums = content_checksums(new, manifest.config)
    map_id = make_map_id(checksums)
    replace(
        manifest,
        map_id=map_id,
        num_images=len(entries),
        checksums=checksums,
        retrieval_recall=recall,
        keyframes={},
    ).write(new.manifest)
    return entries


def _numbers(added: Sequence[PosedImage]) -> list[Array]:
    poses = [image.cam_from_map for image in added]
    return [np.array([[*pose.quat_wxyz, *pose.translation]]) for pose in poses]


def _enumerate(
    parts: Sequence[Part], added: Sequence[PosedImage]
) -> tuple[list[ImageEntry], dict[int, Camera]]:
    """Number images and different cameras; those of the first part have their numbers."""
    first = parts[0]
    with closing(FeatureStore(first.generation.database)) as store:
        known = store.cameras()
    entries = [replace(entry, name=first.prefix + entry.name) for entry in first.entries]
    cameras = {entry.camera_id: known[entry.camera_id] for entry in entries}
    ids = {camera: camera_id for camera_id, camera in reversed(cameras.items())}
    next_image = 1 + max((entry.image_id for entry in first.index.entries), default=0)
    next_camera = 1 + max(known, default=0)
    for entry, camera in _further(parts[1:], added):
        if camera not in ids:
            ids[camera] = next_camera
            cameras[next_camera] = camera
            next_camera += 1
        entries.append(replace(entry, image_id=next_image, camera_id=ids[camera]))
        next_image += 1
    return entries, cameras


def _further(
    parts: Sequence[Part], added: Sequence[PosedImage]
) -> Iterator[tuple[ImageEntry, Camera]]:
    for part in parts:
        with closing(FeatureStore(part.generation.database)) as store:
            cameras = store.cameras()
        for entry in part.entries:
            yield replace(entry, name=part.prefix + entry.name), cameras[entry.camera_id]
    for image in added:
        yield ImageEntry(0, 0, image.stamp_ns, image.name), image.camera


def _copy_images(
    parts: Sequence[Part],
    entries: Sequence[ImageEntry],
    features: str,
    new: Generation,
    report: Progress,
) -> None:
    total = sum(len(part.rows) for part in parts)
    targets = iter(entries)
    done = 0
    with FeatureWriter(new, features) as writer:
        for part in parts:
            with closing(FeatureStore(part.generation.database, features)) as store:
                for source in part.entries:
                    image_id = next(targets).image_id
                    writer.write_stored(image_id, *store.stored(source.image_id))
                    _copy_thumbnail(part.generation, source.image_id, new, image_id)
                    done += 1
                    report(done, total, 'taking over')


def _copy_thumbnail(old: Generation, old_id: int, new: Generation, new_id: int) -> None:
    source, target = old.thumbnail(old_id), new.thumbnail(new_id)
    if source.is_symlink() or not source.is_file():
        return
    try:
        # Nobody ever writes into one.
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _describe(
    added: Sequence[PosedImage],
    entries: Sequence[ImageEntry],
    manifest: Manifest,
    new: Generation,
    report: Progress,
) -> tuple[FloatArray, list[str]]:
    config = manifest.config
    kind = GLOBAL_DESCRIPTORS[config.global_descriptor]
    descriptor = kind.load(new.vocabulary, config.weights_folder)
    descriptor.prepare()
    extractor = create_extractor(config.features, config.weights_folder)
    extractor.prepare()
    return write_features(added, entries, extractor, descriptor, config, new, report)


def _write_points(
    parts: Sequence[Part],
    entries: Sequence[ImageEntry],
    manifest: Manifest,
    new: Generation,
    report: Progress,
) -> None:
    """Take over the points that two or more of the images show; without any there are none."""
    positions: list[Array] = [np.empty((0, 3))]
    shown: list[Shown | None] = []
    for part in parts:
        points = MapPoints.read(part.generation.points, len(part.index.entries))
        if points is None:
            shown.extend([None] * len(part.rows))
            continue
        kept, of_images = _kept_points(points, part.rows)
        start = sum(map(len, positions))
        shown.extend(np.where(rows == NO_POINT, rows, rows + start) for rows in of_images)
        positions.append(points.positions[kept])
    all_positions = np.concatenate(positions)
    if len(all_positions) == 0:
        return
    report(0, 1, 'points')
    config = manifest.config
    extractor = create_extractor(config.features)
    with closing(FeatureStore(new.database, config.features)) as store:
        counts = [len(store.stored(entry.image_id)[0]) for entry in entries]
        known = shown + [None] * (len(entries) - len(shown))
        filled = [
            np.full(count, NO_POINT, np.int32) if rows is None else rows.astype(np.int32)
            for rows, count in zip(known, counts, strict=True)
        ]
        stored = (store.stored(entry.image_id)[1] for entry in entries)
        found = index_points(all_positions, filled, stored, extractor, config.random_seed)
        found.write(new.points)
        keypoints = (store.stored(entry.image_id)[0] for entry in entries)
        write_points(new, entries, keypoints, found)
    report(1, 1, 'points')


def _kept_points(
    points: MapPoints, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], list[Shown]]:
    """Find the points that enough of the images show, and what each image's keypoints show."""
    of_images = [points.of_image(row) for row in rows]
    seen = np.concatenate(of_images)
    counts = np.bincount(seen[seen != NO_POINT], minlength=len(points))
    kept = np.flatnonzero(counts >= LEAST_OBSERVATIONS)
    # The last place is for NO_POINT, -1.
    renumbered = np.full(len(points) + 1, NO_POINT, dtype=np.int32)
    renumbered[kept] = np.arange(len(kept))
    return kept, [renumbered[shown] for shown in of_images]
