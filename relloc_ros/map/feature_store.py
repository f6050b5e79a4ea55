# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints and descriptors in a COLMAP database, read on demand and without locks or writes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.bags.sqlite_tables import not_plain
from relloc_ros.camera import Camera
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import Array
from relloc_ros.vision.features import DESCRIPTOR_DIMENSIONS

__all__ = ['FeatureStore', 'MapFeatures']

MAX_ROWS = 1_000_000
"""More keypoints than this in one image are a damaged file."""

MAX_COLUMNS = 10_000
POINT_DIMENSION = 2

TABLES = (
    *('rigs', 'rig_sensors', 'cameras', 'frames', 'frame_data', 'images', 'pose_priors'),
    *('keypoints', 'descriptors', 'matches', 'two_view_geometries'),
)
"""All that COLMAP reads from a copy; we read four of them."""


@dataclass(frozen=True, slots=True, eq=False)
class MapFeatures:
    """Local features of a map image.

    Attributes:
        points2D: (M, 2) float64 pixels, distorted as in the image.
        normalized: (M, 2) float64, undistorted, on the plane z = 1 of the camera frame.
        descriptors: (M, D) uint8, as the extractor stores them.
        rows: (M,) which of the image's rows in the database they are.
    """

    points2D: Array
    normalized: Array
    descriptors: NDArray[np.uint8]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of keypoints."""
        return len(self.points2D)

    @property
    def num_bytes(self) -> int:
        """Memory taken by the arrays."""
        arrays = (self.points2D, self.normalized, self.descriptors, self.rows)
        return sum(array.nbytes for array in arrays)


class FeatureStore:
    """Features by image ID, with the latest used ones kept in memory. Safe between threads."""

    def __init__(self, path: Path, features: str = 'rootsift', cache_bytes: int = 0) -> None:
        """Open the database; nothing of the features is read yet.

        Args:
            path: of the database.
            features: name of the features in it.
            cache_bytes: memory for features kept.

        Raises:
            MapError: missing, truncated or no database.
        """
        self._path = path
        self._dimension = DESCRIPTOR_DIMENSIONS[features]
        self.cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[int, MapFeatures] = OrderedDict()
        self._lock = Lock()
        if not path.is_file():
            raise MapError(f'map database {path} is missing: build the map again')
        # Immutable: no locks, no journal, so that maps on read-only media open.
        uri = f'{path.resolve().as_uri()}?mode=ro&immutable=1'
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._check_content()

    @property
    def cached_bytes(self) -> int:
        """Memory taken by the features that are kept."""
        return self._cached_bytes

    def close(self) -> None:
        """Close the database and forget the cache."""
        with self._lock:
            self._cache.clear()
            self._cached_bytes = 0
            self._connection.close()

    def image_names(self, image_ids: Sequence[int] | None = None) -> dict[int, str]:
        """Give the names of the images that have keypoints and descriptors, by ID.

        Args:
            image_ids: of these; None is all.
        """
        statement = (
            'SELECT image_id, name FROM images JOIN keypoints USING (image_id) '
            'JOIN descriptors USING (image_id)'
        )
        if image_ids is None:
            rows = self._query(statement)
        else:
            one = f'{statement} WHERE image_id = ?'
            rows = [row for image_id in image_ids for row in self._query(one, image_id)]
        return {self._integer(image_id): str(name) for image_id, name in rows}

    def num_images(self) -> int:
        """Count the images, with features or without."""
        return int(self._query('SELECT COUNT(*) FROM images')[0][0])

    def num_keypoints(self) -> int:
        """Count the keypoints of all images."""
        return self._integer(self._query('SELECT SUM(rows) FROM keypoints')[0][0] or 0)

    def cameras(self) -> dict[int, Camera]:
        """Give the cameras by ID."""
        cameras = {}
        for camera_id, model_id, width, height, params in self._query(
            'SELECT camera_id, model, width, height, params FROM cameras ORDER BY camera_id'
        ):
            try:
                model = pycolmap.CameraModelId(model_id).name
                values = tuple(np.frombuffer(params, dtype='<f8').tolist())
                cameras[int(camera_id)] = Camera(model, int(width), int(height), values)
            except (TypeError, ValueError, OverflowError, DataError) as error:
                raise self._damaged(f'camera {camera_id}: {error}') from error
        return cameras

    def features(self, image_id: int, camera: Camera) -> MapFeatures:
        """Read, or remember, the features of an image.

        Keypoints outside the valid region of the camera's distortion have no ray and are left
        out.

        Raises:
            MapError: missing or damaged rows.
        """
        with self._lock:
            cached = self._cache.get(image_id)
            if cached is not None:
                self._cache.move_to_end(image_id)
                return cached
        keypoints, descriptors = self.stored(image_id)
        points2D = keypoints.astype(np.float64)
        normalized = camera.normalize(points2D)
        rows = np.flatnonzero(np.isfinite(normalized).all(axis=1))
        if len(rows) < len(points2D):
            points2D, normalized, descriptors = points2D[rows], normalized[rows], descriptors[rows]
        features = MapFeatures(points2D, normalized, descriptors, rows)
        self._remember(image_id, features)
        return features

    def stored(self, image_id: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read what the database holds: (M, 2) float32 keypoints, (M, D) uint8 descriptors.

        Raises:
            MapError: missing or damaged rows.
        """
        keypoints = self._blob('keypoints', image_id, np.dtype('<f4'))
        descriptors = self._blob('descriptors', image_id, np.dtype(np.uint8))
        if len(keypoints) != len(descriptors):
            raise self._damaged(
                f'image {image_id} has {len(keypoints)} keypoints, {len(descriptors)} descriptors'
            )
        # COLMAP may add scale and orientation to x and y.
        if keypoints.shape[1] < POINT_DIMENSION or descriptors.shape[1] != self._dimension:
            raise self._damaged(
                f'image {image_id} has {keypoints.shape[1]} columns of keypoints and '
                f'{descriptors.shape[1]} of descriptors'
            )
        return keypoints[:, :POINT_DIMENSION], descriptors

    def _blob(self, table: str, image_id: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        # Sizes first: a damaged row must not decide how much memory is taken.
        sizes = self._query(
            f'SELECT rows, cols, length(data) FROM {table} WHERE image_id = ?', image_id
        )
        if not sizes:
            raise self._damaged(f'image {image_id} has no {table}')
        rows, columns, size = (value or 0 for value in sizes[0])
        counts = isinstance(rows, int) and isinstance(columns, int)
        plausible = counts and 0 <= rows <= MAX_ROWS and 0 <= columns <= MAX_COLUMNS
        if not plausible or rows * columns * dtype.itemsize != size:
            raise self._damaged(
                f'image {image_id} claims {rows} x {columns} {table} in {size} bytes'
            )
        if size == 0:
            return np.empty((0, columns), dtype)
        data = self._query(f'SELECT data FROM {table} WHERE image_id = ?', image_id)[0][0]
        if not isinstance(data, bytes):
            raise self._damaged(f'image {image_id} has text for {table}')
        return np.frombuffer(data, dtype).reshape(rows, columns)

    def _check_content(self) -> None:
        # SQLite itself does not miss the end of the last page.
        try:
            (pages,), (page_size,) = self._query('PRAGMA page_count') + self._query(
                'PRAGMA page_size'
            )
            size = self._path.stat().st_size
            if size < pages * page_size:
                raise self._damaged(f'{size} bytes instead of {pages * page_size}')
            problem = not_plain(self._connection, TABLES)
            if problem:
                raise self._damaged(problem)
        except (sqlite3.Error, UnicodeDecodeError, MapError) as error:
            self._connection.close()
            if isinstance(error, MapError):
                raise
            raise self._damaged(str(error)) from error

    def _query(self, statement: str, *values: int) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OverflowError, MemoryError) as error:
            raise self._damaged(str(error)) from error

    def _integer(self, value: Any) -> int:
        # SQLite keeps whatever it is given, whatever the type of the column.
        if not isinstance(value, int):
            raise self._damaged(f'{value!r:.50} where a number belongs')
        return value

    def _damaged(self, what: str) -> MapError:
        return MapError(
            f'map database {self._path} is damaged or truncated ({what}): copy or build the map '
            'again'
        )

    def _remember(self, image_id: int, features: MapFeatures) -> None:
        with self._lock:
            if image_id in self._cache:
                return
            self._cache[image_id] = features
            self._cached_bytes += features.num_bytes
            while self._cached_bytes > self.cache_bytes and self._cache:
                _, dropped = self._cache.popitem(last=False)
                self._cached_bytes -= dropped.num_bytes
