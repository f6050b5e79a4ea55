# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last images of one moving camera as a rig, with the odometry between them.

An image that can be localized alone is: nothing is surer than what it says itself, and its error
has nothing to do with that of the image before. Where it cannot, the images before it help.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from relloc_ros.config import TrackingConfig
from relloc_ros.geometry import RigidTransform
from relloc_ros.innovation import odometry_std
from relloc_ros.localizers.sighting import PlacedSighting, Sighting, add_timings
from relloc_ros.odometer import Drift, Odometer
from relloc_ros.structures import Localization

__all__ = ['VirtualRig']

MIN_STEP = Drift(0.1, 0.1)
"""Images nearer to each other in both show the same, wrong matches included."""
MAX_WAY = Drift(3.0, np.deg2rad(180.0))
"""Since an image: beyond, odometry does not tell where it was taken as exactly as pixels are."""
MIN_NEWEST_INLIERS = 6
"""Without these in the newest image, the others only say where the robot was. It may have been
carried away since."""


class Locates(Protocol):
    """The part of `Relocalizer` that is needed."""

    def locate(self, views: Sequence[PlacedSighting]) -> Localization:
        """Localize the body that images were taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    sighting: Sighting
    odom_from_cam: RigidTransform
    travelled: Drift


class VirtualRig:
    """Localizes images of one camera in turn, with those before where one is not enough."""

    def __init__(self, localizer: Locates, tracking: TrackingConfig, size: int) -> None:
        """Start without images.

        Args:
            localizer: of the images.
            tracking: how odometry drifts.
            size: images of a rig, the newest included.
        """
        self._localizer, self._tracking, self._size = localizer, tracking, size
        self.forget()

    def forget(self) -> None:
        """Forget all images: time has jumped, or the robot may be anywhere."""
        self._past: deque[_Image] = deque(maxlen=self._size)
        self._odometer = Odometer(self._tracking.lost_timeout)

    def localize(self, sighting: Sighting, odom_from_cam: RigidTransform | None) -> Localization:
        """Localize the newest image.

        Args:
            sighting: what it shows.
            odom_from_cam: where odometry has the camera at its time; None if that is not known.

        Returns:
            The pose of its camera. The time of `sighting` is not counted.
        """
        newest = PlacedSighting(sighting, RigidTransform.identity())
        others = self._others(sighting, odom_from_cam)
        alone = self._localizer.locate([newest])
        if alone.localized or not others or sighting.features is None:
            return alone
        together = self._localizer.locate([newest, *others])
        if together.localized and _is_confirmed(together):
            return add_timings(together, alone.timings_ms)
        return add_timings(alone, together.timings_ms)

    def _others(
        self, sighting: Sighting, odom_from_cam: RigidTransform | None
    ) -> list[PlacedSighting]:
        """Give the images before that can help, and keep this one for later."""
        past, odometer = self._past, self._odometer
        if odometer.follow(sighting.stamp_ns, odom_from_cam) is not None:
            past.clear()
        if odom_from_cam is None:
            return []
        now = _Image(sighting, odom_from_cam, odometer.travelled)
        views = [self._placed(before, now) for before in past if _can_help(before, now)]
        if sighting.features is not None and not (past and _is_near(past[-1], now)):
            past.append(now)
        return views[-(self._size - 1) :]

    def _placed(self, before: _Image, now: _Image) -> PlacedSighting:
        stds = odometry_std(now.travelled - before.travelled, self._tracking)
        return PlacedSighting(before.sighting, _motion(before, now), *stds)


def _motion(before: _Image, now: _Image) -> RigidTransform:
    """Give the camera's place then, as seen from its place now."""
    return now.odom_from_cam.inverse() @ before.odom_from_cam


def _can_help(before: _Image, now: _Image) -> bool:
    way = now.travelled - before.travelled
    is_followed = way.length <= MAX_WAY.length and way.angle <= MAX_WAY.angle
    is_earlier = before.sighting.stamp_ns < now.sighting.stamp_ns
    return is_earlier and is_followed and not _is_near(before, now)


def _is_near(before: _Image, now: _Image) -> bool:
    step = Drift.of(_motion(before, now))
    return step.length < MIN_STEP.length and step.angle < MIN_STEP.angle


def _is_confirmed(together: Localization) -> bool:
    """Whether the newest image has a say in a pose."""
    points = [pair.query_points2D[pair.inliers] for pair in together.pairs if pair.view == 0]
    if not points:
        return False
    return len(np.unique(np.concatenate(points), axis=0)) >= MIN_NEWEST_INLIERS
