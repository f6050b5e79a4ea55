# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last images of one moving camera as a rig, with the odometry between them.

An image that can be localized alone is: nothing is surer than what it says itself, and its error
has nothing to do with that of the image before. Where it cannot, the images before it help.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from relloc_ros.config import TrackingConfig
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.sighting import PlacedSighting, Sighting, add_timings
from relloc_ros.odometer import Drift, Odometer
from relloc_ros.ros.frame import AreaOf, Frame, RigAnswer, RigMessageLocalizer
from relloc_ros.ros.robot_frames import RobotFrames
from relloc_ros.structures import Localization, Status

__all__ = ['VirtualRig']

MIN_STEP = Drift(0.05, np.deg2rad(3.0))
"""Images nearer to each other in both show the same, wrong matches included."""
MAX_WAY = Drift(3.0, np.deg2rad(180.0))
"""Since an image: beyond, odometry does not tell where it was taken as exactly as pixels are."""
MIN_NEWEST_INLIERS = 6
"""Without these in the newest image, the others only say where the robot was. It may have been
carried away since."""


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    sighting: Sighting
    odom_from_cam: RigidTransform
    travelled: Drift


class VirtualRig:
    """Localizes images of one camera, with those before where one is not enough.

    The poses depend on earlier images, unlike those of single images.
    """

    def __init__(
        self,
        localizer: RigMessageLocalizer,
        frames: RobotFrames,
        tracking: TrackingConfig,
        size: int,
    ) -> None:
        """Start without images.

        Args:
            localizer: of the images.
            frames: odometry and the camera's place.
            tracking: how odometry drifts.
            size: images of a rig, the newest included.
        """
        self._localizer, self._frames, self._tracking = localizer, frames, tracking
        self._size = size
        self.forget()

    def forget(self) -> None:
        """Forget all images: time has jumped, or the map is another."""
        self._past: deque[_Past] = deque(maxlen=self._size)
        self._odometer = Odometer(self._tracking.lost_timeout)

    def localize(self, frame: Frame, area_of: AreaOf) -> RigAnswer:
        """Localize an image, with those before if need be."""
        sighting = self._localizer.sight_message(
            frame.message, frame.camera, frame.topic, area_of(frame)
        )
        newest = PlacedSighting(sighting, RigidTransform.identity())
        alone = add_timings(self._localizer.locate([newest]), sighting.timings_ms)
        try:
            base_from_cam = self._frames.base_from_cam(frame.message)
        except DataError as error:
            if alone.localized:
                alone = replace(alone, status=Status.ERROR, reason=str(error), camera_pose=None)
            return RigAnswer(alone, None)
        others = self._others(sighting, base_from_cam)
        if alone.localized or not others or sighting.features is None:
            return RigAnswer(alone, base_from_cam)
        together = self._localizer.locate([newest, *others])
        if not together.localized or not _is_confirmed(together):
            return RigAnswer(add_timings(alone, together.timings_ms), base_from_cam)
        return RigAnswer(add_timings(together, alone.timings_ms), base_from_cam)

    def _others(self, sighting: Sighting, base_from_cam: RigidTransform) -> list[PlacedSighting]:
        """Give the images before that can help, and keep this one for later."""
        past, odometer = self._past, self._odometer
        stamp_ns = sighting.stamp_ns
        odom_from_base = None
        if self._frames.has_odometry:
            timeout_s = self._frames.config.transform_timeout
            odom_from_base, _ = self._frames.odometry(stamp_ns, timeout_s)
        if odometer.follow(stamp_ns, odom_from_base) is not None:
            past.clear()
        if odom_from_base is None:
            return []
        odom_from_cam = odom_from_base @ base_from_cam
        now = _Past(sighting, odom_from_cam, odometer.travelled)
        views = [self._placed(before, now) for before in past if _can_help(before, now)]
        if sighting.features is not None and not (past and _is_near(past[-1], now)):
            past.append(now)
        return views[-(self._size - 1) :]

    def _placed(self, before: _Past, now: _Past) -> PlacedSighting:
        way, noise = now.travelled - before.travelled, self._tracking
        return PlacedSighting(
            before.sighting,
            _motion(before, now),
            noise.odometry_translation_noise * way.length,
            noise.odometry_rotation_noise * way.angle + noise.odometry_heading_noise * way.length,
        )


def _motion(before: _Past, now: _Past) -> RigidTransform:
    """Give the camera's place then, as seen from its place now."""
    return now.odom_from_cam.inverse() @ before.odom_from_cam


def _can_help(before: _Past, now: _Past) -> bool:
    way = now.travelled - before.travelled
    is_followed = way.length <= MAX_WAY.length and way.angle <= MAX_WAY.angle
    is_earlier = before.sighting.stamp_ns < now.sighting.stamp_ns
    return is_earlier and is_followed and not _is_near(before, now)


def _is_near(before: _Past, now: _Past) -> bool:
    step = Drift.of(_motion(before, now))
    return step.length < MIN_STEP.length and step.angle < MIN_STEP.angle


def _is_confirmed(together: Localization) -> bool:
    """Whether the newest image has a say in a pose."""
    points = [pair.query_points2D[pair.inliers] for pair in together.pairs if pair.view == 0]
    if not points:
        return False
    return len(np.unique(np.concatenate(points), axis=0)) >= MIN_NEWEST_INLIERS
