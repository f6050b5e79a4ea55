# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A localizer that knows where the robot is, and keeps the views it was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ros_harness import StubLocalizer

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import decode_image, stamp_of
from relloc_ros.localizers.reference_matching import QueryFeatures
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, SearchArea, Status

__all__ = ['COVARIANCE', 'RigStub']

FEATURES = QueryFeatures(
    np.zeros((1, 2)),
    np.zeros((1, 2)),
    np.zeros((0, 128), np.float32),
    500.0,
    Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0)),
)
COVARIANCE = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-4
POINTS = np.arange(20.0).reshape(-1, 2)
PAIR = PairMatches('m', POINTS, POINTS, np.ones(len(POINTS), dtype=bool))


class RigStub(StubLocalizer):
    """Sees the pose that is set here in any `enough` views."""

    def __init__(self, enough: int = 1) -> None:
        super().__init__()
        self.enough = enough
        self.views: list[Sequence[PlacedSighting]] = []

    def sight_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Sighting:
        stamp_ns = stamp_of(message)
        self.stamps.append(stamp_ns)
        self.search_areas.append(search_area)
        try:
            decode_image(message, camera, name)
        except DataError as error:
            return Sighting(name, stamp_ns, status=Status.ERROR, reason=str(error))
        return Sighting(name, stamp_ns, features=FEATURES, timings_ms={'features': 3.0})

    def locate(self, views: Sequence[PlacedSighting]) -> Localization:
        self.views.append(views)
        stamp_ns = max(view.sighting.stamp_ns for view in views)
        seeing = [view for view in views if view.sighting.features is not None]
        if len(seeing) < self.enough:
            reason = f'{len(seeing)} views'
            return Localization(Status.TOO_FEW_INLIERS, reason, stamp_ns, 'stub')
        pose = PoseEstimate(self.map_from_cam, COVARIANCE)
        return Localization(Status.LOCALIZED, '', stamp_ns, 'stub', pose, 40, 30, pairs=(PAIR,))

    def places(self) -> list[RigidTransform]:
        """Where the cameras of the last rig were."""
        return [view.body_from_cam for view in self.views[-1]]
