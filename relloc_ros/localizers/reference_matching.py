# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a query's features to matches with a few map images that see it from different places."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.feature_store import MapFeatures
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.parallel import do_quickly, kept_threads, share_quickly
from relloc_ros.structures import QueryImage
from relloc_ros.vision.matching import Keypoints, Matcher, count_mutual_ratio
from relloc_ros.vision.relative_pose import MatchedPoints

__all__ = [
    'MatchedImage',
    'QueryFeatures',
    'choose_reference_images',
    'extract_and_retrieve',
    'extract_query',
    'images_allowed',
    'match_images',
    'match_reference_images',
    'retrieve_images',
    'sort_by_matches',
]

RANKING_KEYPOINTS = 256
"""So many of the query's strongest keypoints decide the order of the retrieved images. With 192,
and outlines of half the size, accuracy is the same; but a wrong pose in a tiled scene got through
(benchmarks/degeneracy.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class QueryFeatures:
    """Features of the query, ready for matching.

    Attributes:
        points2D: (N, 2) float64 pixels, distorted as in the image.
        normalized: (N, 2) float64, undistorted.
        descriptors: (N, D) float32 of unit length.
        focal_length: pixels.
        camera: of the image.
    """

    points2D: Array
    normalized: Array
    descriptors: NDArray[np.float32]
    focal_length: float
    camera: Camera

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.camera.width, self.camera.height

    @property
    def keypoints(self) -> Keypoints:
        """What a matcher looks at."""
        return Keypoints(self.points2D, self.descriptors, self.image_size)

    def __len__(self) -> int:
        """Return the number of keypoints."""
        return len(self.points2D)


@dataclass(frozen=True, slots=True, eq=False)
class MatchedImage:
    """A map image with its putative matches.

    Attributes:
        index: of the map image.
        name: of the map image.
        cam_from_map: its pose.
        focal_length: of its camera, pixels.
        features: its local features.
        matches: (K, 2) indices (query keypoint, map keypoint).
    """

    index: int
    name: str
    cam_from_map: RigidTransform
    focal_length: float
    features: MapFeatures
    matches: NDArray[np.intp]

    def points(self, query: QueryFeatures) -> MatchedPoints:
        """Normalized coordinates of the matches."""
        return MatchedPoints(
            query.normalized[self.matches[:, 0]],
            self.features.normalized[self.matches[:, 1]],
            query.focal_length,
            self.focal_length,
        )


def extract_query(
    reference_map: ReferenceMap, query: QueryImage, max_keypoints: int
) -> QueryFeatures:
    """Find features of the map's kind; those too far out for the lens model are left out."""
    camera = query.camera
    extractor = reference_map.extractor
    features = extractor.extract(query.image, max_keypoints)
    normalized = camera.normalize(features.points2D)
    valid = np.isfinite(normalized).all(axis=1)
    return QueryFeatures(
        features.points2D[valid],
        normalized[valid],
        extractor.unit_descriptors(features.descriptors[valid]),
        camera.mean_focal_length,
        camera,
    )


def images_allowed(
    reference_map: ReferenceMap, query: QueryImage, config: LocalizationConfig
) -> NDArray[np.bool_] | None:
    """Say which (N,) map images can show what the query shows; None if it may be anywhere."""
    area = query.search_area
    if area is None:
        return None
    return reference_map.images_near(area.centre, area.radius, config.top_k)


def retrieve_images(
    reference_map: ReferenceMap, query: QueryImage, config: LocalizationConfig
) -> NDArray[np.intp]:
    """Find the `top_k` map images most similar to the query, none below `min_similarity`."""
    descriptor = reference_map.describe(query.image)
    allowed = images_allowed(reference_map, query, config)
    indices, similarities = reference_map.retrieve(descriptor, config.top_k, allowed)
    return np.asarray(indices[similarities >= config.min_similarity], dtype=np.intp)


def extract_and_retrieve(
    reference_map: ReferenceMap,
    query: QueryImage,
    config: LocalizationConfig,
    timer: StageTimer,
) -> tuple[QueryFeatures, NDArray[np.intp]]:
    """Do `extract_query` and `retrieve_images` side by side: neither keeps two cores busy."""

    def retrieve() -> NDArray[np.intp]:
        with timer('retrieval'):
            return retrieve_images(reference_map, query, config)

    retrieval = kept_threads().submit(retrieve)
    try:
        with timer('features'):
            features = extract_query(reference_map, query, config.max_keypoints)
    finally:
        wait([retrieval])
    return features, retrieval.result()


def match_reference_images(
    reference_map: ReferenceMap,
    query: QueryFeatures,
    retrieved: NDArray[np.intp],
    *,
    matcher: Matcher,
    ratio: float,
    max_images: int,
    distance_limits: tuple[float, float],
) -> list[MatchedImage]:
    """Match the query with the best and most diverse of the retrieved images.

    Args:
        reference_map: the map.
        query: features of the query.
        retrieved: (k,) indices of map images, most similar first.
        matcher: of the images that are kept.
        ratio: of the ratio test, for the ranking.
        max_images: map images to keep.
        distance_limits: a and b in map units (Zhou et al., section III-A); 0 derives them.

    Returns:
        At most `max_images`, most matches first.
    """
    chosen = choose_reference_images(
        reference_map,
        query,
        retrieved,
        ratio=ratio,
        max_images=max_images,
        distance_limits=distance_limits,
    )
    return sort_by_matches(match_images(reference_map, query, chosen, matcher))


def choose_reference_images(
    reference_map: ReferenceMap,
    query: QueryFeatures,
    retrieved: NDArray[np.intp],
    *,
    ratio: float,
    max_images: int,
    distance_limits: tuple[float, float],
) -> NDArray[np.intp]:
    """Choose the retrieved images that look most like the query, from different places.

    Args:
        reference_map: the map.
        query: features of the query.
        retrieved: (k,) indices of map images, most similar first.
        ratio: of the ratio test.
        max_images: map images to choose.
        distance_limits: a and b in map units (Zhou et al., section III-A); 0 derives them.

    Returns:
        Indices of at most `max_images` map images, in the order in which they are worth matching.
    """
    ready = reference_map.ready
    strongest = ready.outline(query.descriptors[:RANKING_KEYPOINTS])

    def count(indices: Sequence[int]) -> list[int]:
        return count_mutual_ratio(strongest, [ready.outlines(index) for index in indices], ratio)

    counts = share_quickly(count, retrieved.tolist())
    ranked = retrieved[np.argsort(-np.array(counts), kind='stable')]
    return ranked[select_diverse(reference_map.centres[ranked], max_images, distance_limits)]


def match_images(
    reference_map: ReferenceMap,
    query: QueryFeatures,
    indices: NDArray[np.intp],
    matcher: Matcher,
) -> list[MatchedImage]:
    """Match the query with map images, in their order."""
    keypoints = replace(query.keypoints, compact=reference_map.ready.compact(query.descriptors))
    return do_quickly(
        lambda index: _matched_image(reference_map, keypoints, index, matcher), indices.tolist()
    )


def sort_by_matches(images: list[MatchedImage]) -> list[MatchedImage]:
    """Put those with most matches first."""
    return sorted(images, key=lambda image: -len(image.matches))


def _matched_image(
    reference_map: ReferenceMap, query: Keypoints, index: int, matcher: Matcher
) -> MatchedImage:
    return MatchedImage(
        index=index,
        name=reference_map.image_names[index],
        cam_from_map=reference_map.cam_from_map(index),
        focal_length=reference_map.camera(index).mean_focal_length,
        features=reference_map.features(index),
        matches=matcher.match(query, reference_map.ready.of(index)),
    )
