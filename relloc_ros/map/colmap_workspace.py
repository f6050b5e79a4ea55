# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the COLMAP part of a map: the model in sparse/ and the database beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import sqlite3
from types import TracebackType

import numpy as np
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.format import Generation
from relloc_ros.map.image_index import ImageEntry
from relloc_ros.vision.features import LocalFeatures

__all__ = ['FeatureWriter', 'write_workspace']


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
    _write_tables(model, generation)


def _write_tables(model: pycolmap.Reconstruction, generation: Generation) -> None:
    database = pycolmap.Database.open(generation.database)
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
        descriptors = pycolmap.FeatureDescriptors(self._type, features.descriptors)
        self._database.write_keypoints(image_id, features.points2D.astype(np.float32))
        self._database.write_descriptors(image_id, descriptors)

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
