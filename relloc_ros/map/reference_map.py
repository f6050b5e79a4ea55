# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map opened for localization."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.consistency import check_database, check_sizes
from relloc_ros.map.feature_store import FeatureStore, MapFeatures
from relloc_ros.map.format import Generation, Manifest
from relloc_ros.map.image_index import ImageIndex, StoredIndex, image_digest
from relloc_ros.map.image_search import ImageSearch
from relloc_ros.map.locks import reading
from relloc_ros.map.points import MapPoints
from relloc_ros.map.ready_keypoints import ReadyKeypoints
from relloc_ros.map.thumbnails import read_thumbnail
from relloc_ros.vision.features import FeatureExtractor, create_extractor
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS, GlobalDescriptor

__all__ = ['MapFeatures', 'ReferenceMap']

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]


class ReferenceMap:
    """Posed images with local features and global descriptors. Images go by index 0 .. N-1.

    Attributes:
        path: folder of the map.
        generation: files of its state when it was opened.
        map_id: short hash of its content.
        config: settings it was built with.
        frame_id: name of its frame.
        units: unit of length.
        extractor: of the kind of features it holds; `prepare` it before use on images.
        num_images: number of images N.
        image_names: N names, which are read when they are asked for.
        stamps_ns: (N,) int64.
        centres: (N, 3) float64 camera centres in the map.
        cameras: by camera ID.
        points: 3D points; None before `relloc map triangulate`.
        calibrations: of the covariances; none before `relloc map calibrate`.
        ready: keypoints of its images, ready for matching.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        index: StoredIndex,
        store: FeatureStore,
        descriptor: GlobalDescriptor,
        generation: Generation,
        weights_folder: str = '',
    ) -> None:
        """Put an opened map together; use `open`."""
        self.path = path
        self.points = MapPoints.read(generation.points, len(index.entries))
        self.generation = generation
        self._resources = ExitStack()
        self.map_id = manifest.map_id
        self.config: MapConfig = manifest.config
        self.frame_id = manifest.frame_id
        self.units = manifest.units
        self.calibrations = manifest.calibrations
        self.num_images = len(index.entries)
        self.image_names = index.entries.names
        self.stamps_ns = index.entries.stamps_ns
        self.centres: Array = index.centres
        self.cameras = store.cameras()
        self._entries = index.entries
        self._poses = index.poses
        self._search = ImageSearch(generation, index)
        self._store = store
        self._descriptor = descriptor
        self._features_weights = manifest.features_weights
        self.extractor: FeatureExtractor = create_extractor(self.config.features, weights_folder)
        self.ready = ReadyKeypoints(store, self.cameras, index.entries, self.extractor)

    @classmethod
    def open(
        cls, path: Path | str, descriptor_cache_mb: int = 128, weights_folder: str = ''
    ) -> ReferenceMap:
        """Open a map; features are read when they are asked for.

        Args:
            path: folder of the map.
            descriptor_cache_mb: memory for features kept, MiB.
            weights_folder: with the weights of the map's networks; '' takes installed packages.
                They are read when they are needed.

        Raises:
            MapError: missing, no map, another format version, or damaged.
        """
        path = Path(path)
        with ExitStack() as resources:
            generation = resources.enter_context(reading(path))
            manifest = Manifest.read(generation.manifest)
            index = ImageIndex.read(generation)
            descriptor = _load_vocabulary(generation, manifest.config, weights_folder)
            check_sizes(path, manifest, index, descriptor)
            store = FeatureStore(
                generation.database, manifest.config.features, descriptor_cache_mb * 2**20
            )
            resources.callback(store.close)
            check_database(path, index, store)
            opened = cls(path, manifest, index, store, descriptor, generation, weights_folder)
            opened._resources = resources.pop_all()
        return opened

    def close(self) -> None:
        """Close the files, which may be deleted then; features cannot be read any more."""
        self._resources.close()

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

    def num_keypoints(self) -> int:
        """Count the keypoints of all images, as stored."""
        return self._store.num_keypoints()

    def camera(self, index: int) -> Camera:
        """Camera of an image."""
        return self.cameras[int(self._entries.camera_ids[index])]

    def camera_id(self, index: int) -> int:
        """ID of an image's camera."""
        return int(self._entries.camera_ids[index])

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

    def find_same(self, image: NDArray[np.uint8]) -> str | None:
        """Give the name of the map image with the same content as a grey or BGR image."""
        same = self._entries.with_digest(image_digest(image))
        return self.image_names[int(same[-1])] if len(same) else None

    def digest(self, index: int) -> str:
        """Give the `image_digest` of an image; '' where the map has none."""
        return self._entries[index].digest

    def index_of(self, name: str) -> int | None:
        """Give the index of the image of this name; None if there is none."""
        return self._entries.with_name(name)

    def cam_from_map(self, index: int) -> RigidTransform:
        """Pose of an image."""
        pose = self._poses[index]
        return RigidTransform.from_quat_wxyz(pose[:4], pose[4:])

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """(N,) IDs of the images in the database and the model."""
        return np.asarray(self._entries.image_ids, dtype=np.int64)

    @property
    def rotations(self) -> Array:
        """(N, 3, 3) rotations cam_from_map of all images."""
        rotations = Rotation.from_quat(self._poses[:, [1, 2, 3, 0]])
        return np.asarray(rotations.as_matrix())

    def features(self, index: int) -> MapFeatures:
        """Local features of an image, read from disk or the cache.

        Raises:
            MapError: damaged database.
        """
        return self._store.features(int(self._entries.image_ids[index]), self.camera(index))

    def thumbnail(self, index: int) -> NDArray[np.uint8] | None:
        """Small copy of an image, BGR; None where the map has none or it cannot be read."""
        return read_thumbnail(self.generation.thumbnail(int(self._entries.image_ids[index])))

    def prepare(self) -> None:
        """Load the networks whose features the map holds, so that no query fails over them.

        Raises:
            MapError: their weights are missing, damaged or others than the map was built with.
            MissingDependencyError: their packages are not installed.
        """
        try:
            self._descriptor.prepare()
            self.extractor.prepare()
        except DataError as error:
            raise MapError(f'map {self.path}: {error}') from error
        if self.extractor.weights != self._features_weights:
            raise MapError(
                f'map {self.path}: its {self.extractor.name} features were made with other '
                f'weights (SHA-256 {self._features_weights[:12]}, here '
                f'{self.extractor.weights[:12]}): set weights_folder to those, or build the map '
                'again'
            )

    def describe(self, image: NDArray[np.uint8]) -> FloatArray:
        """Global descriptor (D,) float32 of a grey or BGR image; zeros when it has no texture."""
        return self._descriptor.describe(image)

    def global_descriptors(self, indices: IndexArray) -> FloatArray:
        """Global descriptors (K, D) float32 of images, as stored."""
        return np.asarray(self._search.descriptors[indices])

    def retrieve(
        self, descriptor: FloatArray, k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[IndexArray, FloatArray]:
        """Find the `k` images most similar to a global descriptor (D,).

        Args:
            descriptor: of the query.
            k: how many.
            allowed: (N,) which images may be found; None is all.

        Returns:
            Indices and similarities (cosines), best first; fewer than `k` if the map is smaller,
            none for a descriptor of zeros.
        """
        return self._search.similar(descriptor, k, allowed)

    def images_near(self, centre: Array, radius: float, k: int) -> NDArray[np.bool_]:
        """Find the images that may show what a camera somewhere in an area sees.

        These are the images within the radius and the `reach` of the map. Who drives a few metres
        beside the way of the mapping camera has none there: the `k` nearest are always among them.

        Args:
            centre: (3,) of the area, in the map.
            radius: of the area, map units.
            k: number of images that will be retrieved.

        Returns:
            (N,) bool.
        """
        return self._search.near(centre, radius, k)


def _load_vocabulary(
    generation: Generation, config: MapConfig, weights_folder: str
) -> GlobalDescriptor:
    try:
        kind = GLOBAL_DESCRIPTORS[config.global_descriptor]
        return kind.load(generation.vocabulary, weights_folder)
    except DataError as error:
        raise MapError(f'{error}; build the map again') from error
