# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map that does without some of its images, one of which is the query.

Localizers take it for the map, and its stored features and descriptor for what they extract from
the query's pixels, which a map does not hold. So every localizer is measured by its own code.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.evaluation.calibration.points_without import points_without
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources.posed_image import read_pixels
from relloc_ros.structures import QueryImage
from relloc_ros.vision.features import FeatureExtractor, LocalFeatures

__all__ = ['HeldOutMap']

NO_PIXEL = np.uint8(0)


class HeldOutMap(ReferenceMap):
    """A view of an opened map, which stays the owner of the files."""

    def __init__(
        self, reference_map: ReferenceMap, *, with_points: bool, images: Path | None = None
    ) -> None:
        """Hide nothing yet.

        Args:
            reference_map: the map.
            with_points: whether the localizer looks at its 3D points; where it does, they are
                triangulated again for each query.
            images: folder of the map's images, if the localizer looks at the pixels of queries.
        """
        vars(self).update(vars(reference_map))
        self.calibrations = ()
        self._with_points = with_points
        self._images = images
        self._whole = reference_map
        self._query = 0
        self._kept = np.ones(self.num_images, dtype=bool)
        self._stored = _StoredFeatures(reference_map.extractor)
        self.extractor = self._stored

    def hold_out(self, index: int, excluded: NDArray[np.bool_]) -> QueryImage:
        """Make an image the query, and hide images (N,), itself among them.

        Returns:
            The image, without the folder of images with pixels that say nothing: of all the
            localizer does, only what it asks this map for is of use then.

        Raises:
            DataError: the image in the folder cannot be read.
        """
        self._query = index
        self._kept = ~excluded
        stored = self._whole.features(index)
        self._stored.features = LocalFeatures(stored.points2D, stored.descriptors)
        if self._with_points and self._whole.points is not None:
            self.points = points_without(self._whole, self._whole.points, excluded)
        camera = self.camera(index)
        name = self.image_names[index]
        if self._images is not None:
            pixels = read_pixels(self._images / name, camera)
        else:
            pixels = np.broadcast_to(NO_PIXEL, (camera.height, camera.width))
        return QueryImage(pixels, camera, int(self.stamps_ns[index]), name=name)

    def prepare(self) -> None:
        """Do nothing: no network looks at a query that has no pixels."""

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the descriptor (D,) stored for the query."""
        return self._whole.global_descriptors(np.array([self._query]))[0]

    def retrieve(
        self,
        descriptor: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the `k` most similar images among those that are not hidden."""
        kept = self._kept if allowed is None else self._kept & allowed
        return self._whole.retrieve(descriptor, k, kept)


class _StoredFeatures:
    """An extractor that finds in any image the features of one."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor
        self.features = LocalFeatures(
            np.empty((0, 2)), np.empty((0, extractor.dimension), dtype=np.uint8)
        )
        self.name = extractor.name
        self.dimension = extractor.dimension
        self.match_ratio = extractor.match_ratio
        self.weights = extractor.weights

    def prepare(self) -> None:
        """Do nothing: what it gives is there already."""

    def extract(self, image: NDArray[np.uint8], max_keypoints: int) -> LocalFeatures:
        """Give the strongest of the features."""
        strongest = slice(0, max_keypoints)
        return LocalFeatures(
            self.features.points2D[strongest], self.features.descriptors[strongest]
        )

    def unit_descriptors(self, descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn (N, D) uint8 descriptors, as stored, into float32 ones of unit length."""
        return self._extractor.unit_descriptors(descriptors)
