# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras of a robot, or one that moves, localized as one."""

from __future__ import annotations

from collections.abc import Iterator

from relloc_ros.config import NodeConfig, TrackingConfig
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.sighting import PlacedSighting, Sighting, add_timings
from relloc_ros.ros.frame import AreaOf, Frame, RigAnswer, RigMessageLocalizer
from relloc_ros.ros.robot_frames import RobotFrames
from relloc_ros.structures import Localization, Status
from relloc_ros.virtual_rig import VirtualRig

__all__ = ['CameraRig', 'MovingCamera', 'camera_names', 'check_rig', 'wants_rigs']


def camera_names(config: NodeConfig) -> list[str]:
    """Give the names of the cameras; '' for the only one if it has none."""
    return [name for name in config.cameras if name] or ['']


def wants_rigs(config: NodeConfig) -> bool:
    """Whether several images are localized together."""
    return len(camera_names(config)) > 1 or config.virtual_rig_size > 1


def check_rig(config: NodeConfig) -> None:
    """Make sure that the settings of cameras go together.

    Raises:
        ConfigError: they do not; says what to set.
    """
    names = camera_names(config)
    if len(set(names)) < len(names):
        raise ConfigError(f'cameras {", ".join(names)}: each needs a name of its own')
    if len(names) == 1:
        return
    if config.camera_frame:
        raise ConfigError(
            f'camera_frame {config.camera_frame!r} cannot be the frame of {len(names)} cameras: '
            'leave it empty, and let each image say its own'
        )
    if config.virtual_rig_size > 1:
        raise ConfigError(
            f'virtual_rig_size {config.virtual_rig_size} is for one camera, and there are '
            f'{len(names)}: set it to 1, or name one camera'
        )


class CameraRig:
    """Localizes images of several cameras together.

    Where odometry is known, the motion between their stamps is taken into account.
    """

    def __init__(self, localizer: RigMessageLocalizer, frames: RobotFrames) -> None:
        """Keep what is needed."""
        self._localizer, self._frames = localizer, frames

    def forget(self) -> None:
        """Nothing: each frame stands for itself."""

    def localize(self, frame: Frame, area_of: AreaOf) -> RigAnswer:
        """Localize a frame; images whose camera's place is not known contribute nothing."""
        sightings = [
            self._localizer.sight_message(image.message, image.camera, image.topic, area_of(image))
            for image in frame.images
        ]
        stages = [sighting.timings_ms for sighting in sightings]
        # After the work: by then late transforms have mostly come.
        places = [self._place(image) for image in frame.images]
        known = [place for place in places if isinstance(place, RigidTransform)]
        if not known:
            reason = str(places[0])
            refused = Localization(Status.ERROR, reason, frame.stamp_ns, '')
            return RigAnswer(refused, None)
        views = []
        for number, (image, place) in enumerate(zip(frame.images, places, strict=True)):
            if isinstance(place, RigidTransform):
                reference_from_cam = known[0].inverse() @ self._motion(frame, image) @ place
                views.append(PlacedSighting(sightings[number], reference_from_cam))
            else:
                sightings[number] = _unplaced(image, str(place))
                views.append(PlacedSighting(sightings[number], RigidTransform.identity()))
        located = add_timings(self._localizer.locate(views), *stages)
        return RigAnswer(located, known[0], tuple(_problems(sightings)))

    def _place(self, image: Frame) -> RigidTransform | DataError:
        try:
            return self._frames.base_from_cam(image.message)
        except DataError as error:
            return error

    def _motion(self, newest: Frame, image: Frame) -> RigidTransform:
        """Give base_from_base from the time of an image to that of the newest."""
        if image.stamp_ns == newest.stamp_ns:
            return RigidTransform.identity()
        if not self._frames.has_odometry:
            return RigidTransform.identity()
        timeout_s = self._frames.config.transform_timeout
        now, _ = self._frames.odometry(newest.stamp_ns, timeout_s)
        then, _ = self._frames.odometry(image.stamp_ns, 0.0)
        if now is None or then is None:
            return RigidTransform.identity()
        return now.inverse() @ then


class MovingCamera:
    """Localizes the images of one camera, with those before where one is not enough.

    Its poses depend on the images shortly before, if there is odometry between them.
    """

    def __init__(
        self,
        localizer: RigMessageLocalizer,
        frames: RobotFrames,
        tracking: TrackingConfig,
        size: int,
    ) -> None:
        """Start without images; `size` is that of a rig, the newest image included."""
        self._localizer, self._frames = localizer, frames
        self._rig = VirtualRig(localizer, tracking, size)

    def forget(self) -> None:
        """Forget the images before."""
        self._rig.forget()

    def localize(self, frame: Frame, area_of: AreaOf) -> RigAnswer:
        """Localize an image, with those before if need be."""
        sighting = self._localizer.sight_message(
            frame.message, frame.camera, frame.topic, area_of(frame)
        )
        found = self._rig.localize(sighting, self._odom_from_cam(frame))
        return RigAnswer(add_timings(found, sighting.timings_ms), None)

    def _odom_from_cam(self, frame: Frame) -> RigidTransform | None:
        if not self._frames.has_odometry:
            return None
        try:
            base_from_cam = self._frames.base_from_cam(frame.message)
        except DataError:
            return None
        timeout_s = self._frames.config.transform_timeout
        odom_from_base, _ = self._frames.odometry(frame.stamp_ns, timeout_s)
        return None if odom_from_base is None else odom_from_base @ base_from_cam


def _unplaced(image: Frame, reason: str) -> Sighting:
    return Sighting(image.topic, image.stamp_ns, status=Status.ERROR, reason=reason)


def _problems(sightings: list[Sighting]) -> Iterator[str]:
    for sighting in sightings:
        if sighting.status is Status.ERROR:
            yield f'{sighting.name}: {sighting.reason}'
