# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Do posed images speak of the frame that a map is in? The map answers by localizing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import pose_error
from relloc_ros.map.editing import weights_folder_of
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

__all__ = ['FrameAgreement', 'compare_frames']

SAMPLES = 8
LEAST_LOCALIZED = 3
FAR_SHARE = 0.1
"""Of the map's extent; poses of one frame differ by their noise, which is far less."""
FAR_ANGLE = math.radians(10.0)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class FrameAgreement:
    """Where a map sees images, compared with the poses they are said to have.

    Attributes:
        num_asked: images tried.
        num_localized: of these, images that the map localizes; none in places new to it.
        num_far: of these, images that it sees far from where they are said to be.
        distance: median of all localized, map units.
        angle_deg: median of all localized.
    """

    num_asked: int
    num_localized: int
    num_far: int
    distance: float
    angle_deg: float

    @property
    def is_doubtful(self) -> bool:
        """Whether most of the images localized, and enough of them, are far off."""
        return self.num_localized >= LEAST_LOCALIZED and self.num_far > 0.5 * self.num_localized


def compare_frames(
    path: Path, posed: Sequence[PosedImage], progress: Progress | None = None
) -> FrameAgreement:
    """Localize some of the images in a map.

    Args:
        path: folder of the map.
        posed: images with poses that may be in its frame.
        progress: called after every image tried.

    Raises:
        MapError: no map, or damaged.
        DataError: an image is unreadable or not of its camera's size, or weights are missing.
        MissingDependencyError: the map needs a network whose packages are not installed.
    """
    report = progress or (lambda done, total, stage: None)
    rows = np.unique(np.linspace(0, len(posed) - 1, min(len(posed), SAMPLES)).astype(int))
    errors = []
    weights = weights_folder_of(path)
    with ReferenceMap.open(path, weights_folder=weights) as reference_map:
        extent = float(np.linalg.norm(np.ptp(reference_map.centres, axis=0)))
        relocalizer = Relocalizer(reference_map, LocalizationConfig(weights_folder=weights))
        for done, image in enumerate((posed[row] for row in rows), start=1):
            query = QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name)
            answer = relocalizer.process(query).camera_pose
            if answer is not None:
                errors.append(pose_error(answer.map_from_body, image.cam_from_map.inverse()))
            report(done, len(rows), 'comparing frames')
    far = [distance > FAR_SHARE * extent or angle > FAR_ANGLE for distance, angle in errors]
    distance, angle = np.median(errors, axis=0) if errors else (0.0, 0.0)
    return FrameAgreement(
        len(rows), len(errors), sum(far), float(distance), math.degrees(float(angle))
    )
