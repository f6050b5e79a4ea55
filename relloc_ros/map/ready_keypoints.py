# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints of map images, ready for matching; those of the latest images are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import TypeVar
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.map.feature_store import FeatureStore, MapFeatures
from relloc_ros.map.image_table import ImageTable
from relloc_ros.vision.features import FeatureExtractor
from relloc_ros.vision.matching import Keypoints, compact_basis

__all__ = ['ReadyKeypoints']

FloatArray = NDArray[np.float32]
Kept = TypeVar('Kept')

SAMPLE_IMAGES = 32
OUTLINE_KEYPOINTS = 512
OUTLINES_KEPT = 512
"""64 KiB each."""
KEYPOINTS_BYTES = 4 * 2**20
"""Of the cache for each image whose keypoints are kept: 1.5 MiB for 2000, full and compact."""


class ReadyKeypoints:
    """Descriptors of a map's images: full, compact, and outlines of the strongest.

    Attributes:
        of: keypoints of an image by its index.
        outlines: `outline` of the strongest keypoints of an image, by its index.
    """

    def __init__(
        self,
        store: FeatureStore,
        cameras: Mapping[int, Camera],
        images: ImageTable,
        extractor: FeatureExtractor,
    ) -> None:
        """Prepare nothing yet.

        Args:
            store: of the features.
            cameras: by camera ID.
            images: of the map.
            extractor: of the kind of features.
        """
        self._store = store
        self._images = images
        self._extractor = extractor
        self._cameras = cameras
        self.of = _keeping(store.cache_bytes // KEYPOINTS_BYTES, self._keypoints)
        self.outlines = _keeping(OUTLINES_KEPT, self._outline)

    def compact(self, descriptors: FloatArray) -> FloatArray:
        """Put unit descriptors (M, D) into few numbers (M, C), to search the map's quickly."""
        return np.asarray(descriptors @ self._basis)

    def outline(self, descriptors: FloatArray) -> FloatArray:
        """Give unit descriptors (M, D) in few numbers (M, C), of unit length again.

        They tell which images look alike, not which keypoints are the same.
        """
        few = self.compact(descriptors)
        return few / np.maximum(np.linalg.norm(few, axis=1, keepdims=True), 1e-6)

    def _keypoints(self, index: int) -> Keypoints:
        camera, features = self._camera(index), self._features(index)
        descriptors = self._extractor.unit_descriptors(features.descriptors)
        size = (camera.width, camera.height)
        return Keypoints(features.points2D, descriptors, size, self.compact(descriptors))

    def _outline(self, index: int) -> FloatArray:
        strongest = self._features(index).descriptors[:OUTLINE_KEYPOINTS]
        return self.outline(self._extractor.unit_descriptors(strongest))

    def _features(self, index: int) -> MapFeatures:
        return self._store.features(int(self._images.image_ids[index]), self._camera(index))

    def _camera(self, index: int) -> Camera:
        return self._cameras[int(self._images.camera_ids[index])]

    @cached_property
    def _basis(self) -> FloatArray:
        step = -(-len(self._images) // SAMPLE_IMAGES)
        sample = [self._features(index).descriptors for index in range(0, len(self._images), step)]
        return compact_basis(self._extractor.unit_descriptors(np.concatenate(sample)))


def _keeping(count: int, method: Callable[[int], Kept]) -> Callable[[int], Kept]:
    """Keep the latest results of a method.

    The cache must not keep what the method belongs to: a map that nobody has any more closes its
    files at once, not when garbage is collected.
    """
    weak = WeakMethod(method)

    @lru_cache(count)
    def call(index: int) -> Kept:
        alive = weak()
        assert alive is not None
        return alive(index)

    return call
