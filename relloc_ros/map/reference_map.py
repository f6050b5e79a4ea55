# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map opened for localization."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.feature_store import FeatureStore, MapFeatures
from relloc_ros.map.format import Generation, ImageEntry, Manifest, current_generation
from relloc_ros.map.format import read_image_list
from relloc_ros.vision.global_descriptors import DenseVlad

__all__ = ['MapFeatures', 'ReferenceMap']

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]

MAX_QUATERNION_ERROR = 1e-6


class ReferenceMap:
    """Posed images with local features and global descriptors. Images go by index 0 .. N-1.

    Attributes:
        path: folder of the map.
        map_id: short hash of its content.
        config: settings it was built with.
        frame_id: name of its frame.
        units: unit of length.
        num_images: number of images N.
        image_names: N names.
        stamps_ns: (N,) int64.
        centres: (N, 3) float64 camera centres in the map.
        cameras: by camera ID.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        entries: list[ImageEntry],
        poses: Array,
        store: FeatureStore,
        index: GlobalIndex,
        vlad: DenseVlad,
    ) -> None:
        """Put an opened map together; use `open`."""
        self.path = path
        self.map_id = manifest.map_id
        self.config: MapConfig = manifest.config
        self.frame_id = manifest.frame_id
        self.units = manifest.units
        self.num_images = len(entries)
        self.image_names = tuple(entry.name for entry in entries)
        self.stamps_ns = np.array([entry.stamp_ns for entry in entries], dtype=np.int64)
        self.cameras = store.cameras()
        self._entries = entries
        self._poses = poses
        self._store = store
        self._index = index
        self._vlad = vlad
        missing = {entry.camera_id for entry in entries} - self.cameras.keys()
        if missing:
            raise MapError(f'map {path}: cameras {sorted(missing)} are missing; build it again')
        self.centres: Array = _centres(poses, path)

    @classmethod
    def open(cls, path: Path | str, descriptor_cache_mb: int = 128) -> ReferenceMap:
        """Open a map; features are read when they are asked for.

        Args:
            path: folder of the map.
            descriptor_cache_mb: memory for features kept, MiB.

        Raises:
            MapError: missing, no map, another format version, or damaged.
        """
        path = Path(path)
        generation = current_generation(path)
        manifest = Manifest.read(generation.manifest)
        entries = read_image_list(generation.images)
        poses = _load_array(generation.poses, np.dtype(np.float64))
        descriptors = _load_array(generation.global_descriptors, np.dtype(np.float32))
        vlad = _load_vocabulary(generation)
        counts = {
            'map.yaml': manifest.num_images,
            'images.txt': len(entries),
            'poses.npy': len(poses),
            'global_descriptors.npy': len(descriptors),
        }
        if len(set(counts.values())) > 1:
            raise MapError(
                f'map {path} disagrees about its number of images: {counts}; build it again'
            )
        if poses.shape[1] != 7 or descriptors.shape[1] != vlad.dimension:
            raise MapError(
                f'map {path}: poses of {poses.shape[1]} numbers, global descriptors of '
                f'{descriptors.shape[1]} where the vocabulary gives {vlad.dimension}; build it again'
            )
        store = FeatureStore(generation.database, descriptor_cache_mb * 2**20)
        try:
            _check_names(path, entries, store)
            return cls(path, manifest, entries, poses, store, _make_index(descriptors), vlad)
        except MapError:
            store.close()
            raise

    def close(self) -> None:
        """Close the database; features cannot be read any more."""
        self._store.close()

    def __enter__(self) -> ReferenceMap:
        """Return self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def camera(self, index: int) -> Camera:
        """Camera of an image."""
        return self.cameras[self._entries[index].camera_id]

    def the_camera(self) -> Camera:
        """Give the only camera of the map.

        Raises:
            MapError: it has several.
        """
        if len(self.cameras) != 1:
            raise MapError(
                f'map {self.path} has {len(self.cameras)} cameras: choose one by ID '
                f'({", ".join(map(str, self.cameras))})'
            )
        return next(iter(self.cameras.values()))

    def cam_from_map(self, index: int) -> RigidTransform:
        """Pose of an image."""
        pose = self._poses[index]
        return RigidTransform.from_quat_wxyz(pose[:4], pose[4:])

    def features(self, index: int) -> MapFeatures:
        """Local features of an image, read from disk or the cache.

        Raises:
            MapError: damaged database.
        """
        return self._store.features(self._entries[index].image_id, self.camera(index))

    def describe(self, image: NDArray[np.uint8]) -> FloatArray:
        """Global descriptor (D,) float32 of a grey or BGR image; zeros when it has no texture."""
        return self._vlad.describe(image)

    def retrieve(self, descriptor: FloatArray, k: int) -> tuple[IndexArray, FloatArray]:
        """Find the `k` images most similar to a global descriptor (D,).

        Returns:
            Indices and similarities (cosines), best first; fewer than `k` if the map is smaller,
            none for a descriptor of zeros.
        """
        if not descriptor.any():
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        similarities, indices = self._index.search(descriptor[np.newaxis], min(k, self.num_images))
        return indices[0], similarities[0]


class GlobalIndex(Protocol):
    """Search by inner product, with the signature of faiss."""

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        """Give similarities and indices (Q, k), best first."""


class ExactIndex:
    """Inner product with every row; `descriptors` (N, D) may be memory-mapped."""

    def __init__(self, descriptors: FloatArray) -> None:
        """Keep the rows."""
        self._descriptors = descriptors

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IndexArray]:
        """Give similarities and indices (Q, k), best first."""
        similarities = queries @ self._descriptors.T
        indices = np.argsort(-similarities, axis=1, kind='stable')[:, :k]
        return np.take_along_axis(similarities, indices, axis=1), indices


def _make_index(descriptors: FloatArray) -> GlobalIndex:
    try:
        import faiss
    except ImportError:
        return ExactIndex(descriptors)
    index: Any = faiss.IndexFlatIP(descriptors.shape[1])
    index.add(np.ascontiguousarray(descriptors))
    return index  # type: ignore[no-any-return]


def _centres(poses: Array, path: Path) -> Array:
    lengths = np.linalg.norm(poses[:, :4], axis=1)
    usable = np.isfinite(poses).all(axis=1) & (np.abs(lengths - 1.0) < MAX_QUATERNION_ERROR)
    if not usable.all():
        raise MapError(f'map {path}: pose {np.argmin(usable)} is no pose; build it again')
    rotations = Rotation.from_quat(poses[:, [1, 2, 3, 0]])
    # A copy: scipy refuses read-only memory.
    return -rotations.apply(poses[:, 4:].copy(), inverse=True)


def _check_names(path: Path, entries: list[ImageEntry], store: FeatureStore) -> None:
    listed = {entry.image_id: entry.name for entry in entries}
    stored = store.image_names()
    if listed != stored:
        different = sorted(set(listed.items()) ^ set(stored.items()))
        raise MapError(
            f'map {path}: its image list ({len(listed)}) and its database ({len(stored)}) disagree, '
            f'first about image {different[0]}; build it again'
        )


def _load_array(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MapError(f'cannot read {path}: {error}; build the map again') from error
    if array.ndim != 2 or array.dtype != dtype:
        raise MapError(f'{path} holds {array.ndim}-dimensional {array.dtype}; build the map again')
    return np.asarray(array)


def _load_vocabulary(generation: Generation) -> DenseVlad:
    try:
        return DenseVlad.load(generation.vocabulary)
    except DataError as error:
        raise MapError(f'{error}; build the map again') from error
