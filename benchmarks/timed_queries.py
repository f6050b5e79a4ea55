# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries whose localization is timed, what that is compared with, and how good answers are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError
from relloc_ros.evaluation.metrics import error_statistics, measure_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_list, read_pixels, read_source, stamp_from_name
from relloc_ros.map.sources.colmap import find_model
from relloc_ros.structures import Localization, PoseEstimate, QueryImage
from relloc_ros.vision.features import to_grey

FEATURES = 2000
MIN_SAMPLES = 60
"""Short lists are gone through several times."""
WARM_UP_IMAGES = 3


@dataclass(frozen=True)
class TimedQueries:
    """Images of one camera.

    Attributes:
        images: to localize.
        truth: map_from_cam by the name of the image; empty if it is not known.
        min_samples: so often something is timed at least.
    """

    images: list[QueryImage]
    truth: dict[str, RigidTransform]
    min_samples: int = MIN_SAMPLES

    @property
    def rounds(self) -> list[QueryImage]:
        """All images, as often as it takes."""
        return self.images * -(-self.min_samples // len(self.images))

    def accuracy(self, poses: Iterable[RigidTransform | None]) -> dict[str, Any]:
        """Median errors, recall and availability of one answer for each image.

        Failures count as infinite errors.
        """
        found = list(poses)
        errors = [
            measure_error(_estimate(pose), self.truth[query.name])
            for query, pose in zip(self.images, found, strict=True)
            if query.name in self.truth
        ]
        statistics = error_statistics(errors)
        return {
            'median_position_error_m': statistics['median_position_error_m'],
            'median_rotation_error_deg': statistics['median_rotation_error_deg'],
            'recall': statistics['recall'],
            'availability': round(sum(pose is not None for pose in found) / len(found), 4),
        }


def pose_of(answer: Localization) -> RigidTransform | None:
    """Pose of the camera; None unless localized."""
    return None if answer.camera_pose is None else answer.camera_pose.map_from_body


def read_queries(
    reference_map: ReferenceMap,
    images: Path,
    list_file: Path,
    source: Path | None = None,
    count: int | None = None,
) -> TimedQueries:
    """Read images with the map's camera.

    Args:
        reference_map: of one camera.
        images: folder of the images.
        list_file: names of the queries.
        source: COLMAP model with the true poses; None looks beside the images.
        count: take so many, spread over the list; None takes all.
    """
    truth = _true_poses(images, list_file, source)
    camera = reference_map.the_camera()
    queries = []
    for name in _spread(read_list(list_file), count):
        # The stamp is part of the seed: as in `relloc evaluate`.
        stamp_ns = truth[name][0] if name in truth else stamp_from_name(name) or 0
        pixels = read_pixels(images / name, camera)
        queries.append(QueryImage(pixels, camera, stamp_ns, name=name))
    poses = {name: pose for name, (_, pose) in truth.items()}
    # Who asks for few wants an impression, not a measurement.
    return TimedQueries(queries, poses, MIN_SAMPLES if count is None else 1)


class Reference:
    """What every localizer has to do: 2000 features of OpenCV, and the global descriptor."""

    def __init__(self, reference_map: ReferenceMap) -> None:
        self._map = reference_map
        try:
            self._sift = cv2.SIFT.create(nfeatures=FEATURES, enable_precise_upscale=True)
        except (cv2.error, TypeError):  # before OpenCV 4.8
            self._sift = cv2.SIFT.create(nfeatures=FEATURES)

    def features(self, grey: NDArray[np.uint8]) -> Any:
        """Find features in a grey image."""
        return self._sift.detectAndCompute(grey, None)

    def global_descriptor(self, image: NDArray[np.uint8]) -> Any:
        """Describe an image as the map's images are."""
        return self._map.describe(image)

    def warm_up(self, queries: Iterable[QueryImage]) -> None:
        """Do what is done once only."""
        for query in queries:
            self.features(to_grey(query.image))
            self.global_descriptor(query.image)


def _true_poses(
    images: Path, list_file: Path, source: Path | None
) -> dict[str, tuple[int, RigidTransform]]:
    """Stamp and map_from_cam by name; empty where there is no model beside the images."""
    folder = images.parent if source is None else source
    try:
        find_model(folder)
    except DataError:
        if source is not None:
            raise
        return {}
    posed = read_source(folder, images, list_file)
    return {image.name: (image.stamp_ns, image.cam_from_map.inverse()) for image in posed}


def _spread(names: Sequence[str], count: int | None) -> list[str]:
    if count is None or count >= len(names):
        return list(names)
    return [names[i * len(names) // count] for i in range(count)]


def _estimate(pose: RigidTransform | None) -> PoseEstimate | None:
    return None if pose is None else PoseEstimate(pose, np.eye(6))
