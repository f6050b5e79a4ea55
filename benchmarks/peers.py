# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other ways from the same query and the same map to a pose, to be timed beside our own.

Both retrieve with the map's global descriptor, which is part of their time, and both take the
five diverse images at the top of what is retrieved: neither library brings a retrieval that needs
no training of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.reference_matching import extract_query, retrieve_images
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.points import NO_POINT
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import QueryImage
from relloc_ros.vision.features import to_grey
from relloc_ros.vision.pose_from_pairs import estimate_pose_from_pairs

NUM_IMAGES = 5
"""Map images a query is matched with, as in Zhou et al., ICRA 2020; each costs its share."""
PAPER_RATIO = 0.8
MIN_PAIR_MATCHES = 5
MIN_POINTS = 4


class Peer(Protocol):
    """Another way to a pose.

    Attributes:
        name: as in the keys of the results.
    """

    name: str

    def localize(self, query: QueryImage) -> RigidTransform | None:
        """Give map_from_cam, or None."""


def make_peers(
    reference_map: ReferenceMap, config: LocalizationConfig
) -> tuple[list[Peer], dict[str, str]]:
    """Make those that are possible here.

    Returns:
        The peers, and by name why others are left out.
    """
    peers: list[Peer] = [PaperPeer(reference_map, config)]
    left_out = {}
    if not hasattr(pycolmap, 'FeatureMatcher'):
        left_out['pycolmap'] = f'pycolmap {pycolmap.__version__} matches in databases only'
    elif reference_map.points is None:
        left_out['pycolmap'] = 'the map has no 3D points: relloc map triangulate'
    elif reference_map.config.features != 'rootsift':
        left_out['pycolmap'] = f'its SIFT does not match {reference_map.config.features} features'
    else:
        peers.append(PycolmapPeer(reference_map, config))
    return peers, left_out


@dataclass(frozen=True)
class PaperPeer:
    """Zhou et al., ICRA 2020, in OpenCV's defaults.

    SIFT, brute-force matches by ratio with five images, the essential matrix of each pair
    (`cv2.findEssentialMat` as it comes), the pose from pairs; no refinement.
    """

    reference_map: ReferenceMap
    config: LocalizationConfig
    name: str = 'paper'

    def localize(self, query: QueryImage) -> RigidTransform | None:
        """Give map_from_cam, or None."""
        features = extract_query(self.reference_map, query, self.config.max_keypoints)
        images = _top_images(self.reference_map, query, self.config)
        essentials, poses = [], []
        for index in images:
            found = self.reference_map.features(index)
            descriptors = self.reference_map.extractor.unit_descriptors(found.descriptors)
            matches = _match_by_ratio(features.descriptors, descriptors)
            essential = _essential_matrix(
                found.normalized[matches[:, 1]],
                features.normalized[matches[:, 0]],
                features.focal_length,
            )
            if essential is not None:
                essentials.append(essential)
                poses.append(self.reference_map.cam_from_map(index).inverse())
        angle = np.deg2rad(self.config.essential.max_direction_angle_deg)
        result = estimate_pose_from_pairs(essentials, poses, max_angle=angle)
        return None if result is None else result.map_from_body


class PycolmapPeer:
    """pycolmap's own SIFT, matcher and absolute pose with refinement, in its defaults.

    It matches with the keypoints of the map, which are OpenCV's: its own are found at the same
    places. The number of features is that of the settings, all else is as it comes.
    """

    name = 'pycolmap'

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        self._map, self._config = reference_map, config
        pycolmap.logging.minloglevel = max(pycolmap.logging.minloglevel, 1)
        extraction = pycolmap.FeatureExtractionOptions()
        extraction.use_gpu = False
        extraction.sift.max_num_features = config.max_keypoints
        self._extractor = pycolmap.FeatureExtractor.create(extraction, pycolmap.Device.cpu)
        matching = pycolmap.FeatureMatchingOptions()
        matching.use_gpu = False
        self._matcher = pycolmap.FeatureMatcher.create(matching, pycolmap.Device.cpu)
        self._estimation = pycolmap.AbsolutePoseEstimationOptions()
        self._estimation.ransac.random_seed = config.random_seed

    def localize(self, query: QueryImage) -> RigidTransform | None:
        """Give map_from_cam, or None."""
        grey = np.ascontiguousarray(to_grey(query.image))
        keypoints, descriptors = self._extractor.extract_from_uint8_array(grey)
        pairs = [
            self._points_shown(descriptors, index)
            for index in _top_images(self._map, query, self._config)
        ]
        if not pairs:
            return None
        rows, points = np.unique(np.concatenate(pairs), axis=0).T
        if len(rows) < MIN_POINTS:
            return None
        assert self._map.points is not None
        result = pycolmap.estimate_and_refine_absolute_pose(
            np.array([(keypoint.x, keypoint.y) for keypoint in keypoints])[rows],
            np.asarray(self._map.points.positions[points]),
            query.camera.to_pycolmap(1),
            self._estimation,
        )
        if result is None:
            return None
        cam_from_map = result['cam_from_world']
        return RigidTransform(
            np.array(cam_from_map.rotation.matrix()), np.array(cam_from_map.translation)
        ).inverse()

    def _points_shown(self, descriptors: object, index: int) -> NDArray[np.intp]:
        """Give (K, 2) pairs (query keypoint, point) by the matches with a map image."""
        assert self._map.points is not None
        features = self._map.features(index)
        of_map = pycolmap.FeatureDescriptors(
            pycolmap.FeatureExtractorType.SIFT, features.descriptors
        )
        nothing = pycolmap.FeatureKeypoints()
        matches = self._matcher.match(nothing, descriptors, nothing, of_map).astype(np.intp)
        points = self._map.points.of_image(index)[features.rows[matches[:, 1]]]
        shown = np.column_stack([matches[:, 0], points.astype(np.intp)])
        return shown[points != NO_POINT]


def _top_images(
    reference_map: ReferenceMap, query: QueryImage, config: LocalizationConfig
) -> list[int]:
    retrieved = retrieve_images(reference_map, query, config)
    settings = config.essential
    limits = settings.min_image_distance, settings.max_image_distance
    chosen = select_diverse(reference_map.centres[retrieved], NUM_IMAGES, limits)
    return [int(index) for index in retrieved[chosen]]


def _match_by_ratio(
    query: NDArray[np.float32], reference: NDArray[np.float32]
) -> NDArray[np.intp]:
    """Give (K, 2) indices whose nearest is clearly nearer than the second (Lowe, IJCV 2004)."""
    if len(query) == 0 or len(reference) < 2:
        return np.empty((0, 2), dtype=np.intp)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(query, reference, k=2)
    kept = [
        (nearest.queryIdx, nearest.trainIdx)
        for nearest, second in found
        if nearest.distance < PAPER_RATIO * second.distance
    ]
    return np.array(kept, dtype=np.intp).reshape(-1, 2)


def _essential_matrix(reference: Array, query: Array, focal_length: float) -> Array | None:
    """OpenCV's 5 points in RANSAC at its defaults, one pixel of the query."""
    if len(query) < MIN_PAIR_MATCHES:
        return None
    matrix = np.diag([focal_length, focal_length, 1.0])
    essential, _ = cv2.findEssentialMat(focal_length * reference, focal_length * query, matrix)
    # Five matches alone have up to ten solutions, one below the other.
    return None if essential is None else np.asarray(essential[:3], dtype=np.float64)
