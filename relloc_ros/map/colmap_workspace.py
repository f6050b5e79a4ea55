# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the COLMAP part of a map: the model in sparse/ and the database beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
import sqlite3
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import ImageEntry
from relloc_ros.map.points import MapPoints
from relloc_ros.vision.features import LocalFeatures

__all__ = ['FeatureWriter', 'write_points', 'write_tables', 'write_workspace']


def write_workspace(
    generation: Generation,
    cameras: Mapping[int, Camera],
    entries: Sequence[ImageEntry],
    poses: Sequence[RigidTransform],
) -> None:
    """Write sparse/ and the tables of database.db that mirror it.

    Every image is a frame of its own, in the trivial rig of its camera. Binary, because COLMAP's
    text format cannot hold names with spaces.

    Args:
        generation: where.
        cameras: by camera ID.
        entries: the images.
        poses: cam_from_map of each.
    """
    model = pycolmap.Reconstruction()
    for camera_id, camera in cameras.items():
        model.add_camera_with_trivial_rig(camera.to_pycolmap(camera_id))
    for entry, pose in zip(entries, poses, strict=True):
        image = pycolmap.Image(name=entry.name, camera_id=entry.camera_id, image_id=entry.image_id)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose.matrix[:3]))
    generation.sparse.mkdir()
    model.write_binary(generation.sparse)
    write_tables(model, generation.database)


def write_points(
    generation: Generation,
    entries: Sequence[ImageEntry],
    keypoints: Iterable[NDArray[np.float32]],
    points: MapPoints,
) -> None:
    """Put 3D points into sparse/, which has none.

    Args:
        generation: where.
        entries: the images.
        keypoints: (M, 2) pixels of each.
        points: and the keypoints that show them.
    """
    model = pycolmap.Reconstruction(generation.sparse)
    for entry, pixels in zip(entries, keypoints, strict=True):
        model.images[entry.image_id].points2D = pycolmap.Point2DList(
            [pycolmap.Point2D(xy) for xy in pixels.astype(np.float64)]
        )
    for point, position in enumerate(points.positions):
        _, images, rows = points.observations_of(np.array([point]))
        track = pycolmap.Track()
        for image, row in zip(images, rows, strict=True):
            track.add_element(entries[image].image_id, int(row))
        model.add_point3D(position, track)
    model.update_point_3d_errors()
    model.write_binary(generation.sparse)


def write_tables(model: pycolmap.Reconstruction, path: Path) -> None:
    """List cameras, rigs, frames and images of a model in a fresh database."""
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


class FeatureWriter:
    """Adds features to the database of a map; a context manager."""

    def __init__(self, generation: Generation, features: str) -> None:
        """Open the database that `write_workspace` has made.

        Args:
            generation: where.
            features: their name.
        """
        self._path = generation.database
        # COLMAP knows no XFeat, and would match by the rules of the type it is told.
        types = pycolmap.FeatureExtractorType
        self._type = types.SIFT if features == 'rootsift' else types.UNDEFINED
        self._database = pycolmap.Database.open(generation.database)

    def write(self, image_id: int, features: LocalFeatures) -> None:
        """Store the features of an image."""
        self.write_stored(image_id, features.points2D.astype(np.float32), features.descriptors)

    def write_stored(
        self, image_id: int, keypoints: NDArray[np.float32], descriptors: NDArray[np.uint8]
    ) -> None:
        """Store keypoints (M, 2) and descriptors (M, D) as another database holds them."""
        self._database.write_keypoints(image_id, keypoints)
        typed = pycolmap.FeatureDescriptors(self._type, descriptors)
        self._database.write_descriptors(image_id, typed)

    def __enter__(self) -> FeatureWriter:
        """Return self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, with everything in the one file, which then opens on read-only media."""
        self._database.close()
        connection = sqlite3.connect(self._path)
        try:
            connection.execute('PRAGMA journal_mode=DELETE')
        finally:
            connection.close()
