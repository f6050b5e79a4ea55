# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an image message to the pose of the robot: the work of the node's worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import logging
import time
from typing import Any, Protocol

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.config import NodeConfig
from relloc_ros.correction import planar_pose
from relloc_ros.errors import DataError
from relloc_ros.frames import TransformError, TransformErrorKind, base_pose
from relloc_ros.geometry import RigidTransform, rotation_angle
from relloc_ros.image_decoding import stamp_of
from relloc_ros.structures import Localization, PoseEstimate, SearchArea, Status
from relloc_ros.tracker import Verdict

__all__ = ['Frame', 'FrameProcessor', 'FrameResult', 'MessageLocalizer', 'TransformSource']

logger = logging.getLogger(__name__)

NO_STAMP = 'image has no stamp: the driver must stamp it with its time of exposure'

FindArea = Callable[[RigidTransform | None], SearchArea | None]

_NO_ODOMETRY = (
    'start the odometry, correct odom_frame_id and base_frame_id, or set tf_mode: map_to_base'
)
_REMEDIES = {
    TransformErrorKind.UNKNOWN_FRAME: _NO_ODOMETRY,
    TransformErrorKind.NOT_CONNECTED: _NO_ODOMETRY,
    TransformErrorKind.TOO_OLD: 'the images come too late, or from another clock',
    TransformErrorKind.IN_FUTURE: 'raise transform_timeout, or look whether odometry goes on and '
    'has the same clock',
    TransformErrorKind.GAP: 'odometry comes too seldom',
}
"""What to do when odometry is not known at the time of an image."""


class TransformSource(Protocol):
    """What gives transforms at the time of an image."""

    def wait_for(
        self, target: str, source: str, stamp_ns: int, timeout_s: float
    ) -> RigidTransform:
        """Return ``target_from_source``; raises TransformError at the end of the time."""

    def connects(self, target: str, source: str) -> bool:
        """Whether transforms lead from one frame to the other, at whatever time."""


class MessageLocalizer(Protocol):
    """The part of `Relocalizer` that the node calls."""

    def process_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Localization:
        """Decode an image message and localize it, in an area of the map if one is given."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image on its way to the worker.

    Attributes:
        message: sensor_msgs/Image or CompressedImage.
        camera: calibration in force when it came.
        topic: where it came from.
        received_s: when it came, steady clock.
    """

    message: Any
    camera: Camera
    topic: str
    received_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What became of an image.

    Attributes:
        frame: the image.
        localization: the answer; ERROR if the camera's place on the robot is not known.
        pose: pose of the robot's base in the map; None unless localized.
        odom_from_base: odometry at the image's stamp; None if not known.
        odom_problem: why odometry is not known though it is needed, else ''.
        latency_s: from reception to result.
        verdict: of the tracker; None as long as the result has not left the worker.
    """

    frame: Frame
    localization: Localization
    pose: PoseEstimate | None
    odom_from_base: RigidTransform | None
    odom_problem: str
    latency_s: float
    verdict: Verdict | None = None

    @property
    def accepted(self) -> bool:
        """Whether there is a pose that the tracker trusts."""
        return self.verdict is not None and self.verdict.accepted


class FrameProcessor:
    """Localizes frames and moves the poses from the camera to the robot's base.

    What it says of frames depends on them and on transforms only, never on earlier frames: the
    tracker, on the executor's thread, is what remembers. It may leave hints here at any time.

    Attributes:
        config: settings of the node, live ones included.
        fixed_at: odometry at the last accepted pose, from which `update_min_d` is counted; None
            where the robot must be localized wherever it is.
        search_area: says, by odometry when an image was taken, where the robot's base may be;
            None while it may be anywhere.
    """

    def __init__(
        self, localizer: MessageLocalizer, transforms: TransformSource, config: NodeConfig
    ) -> None:
        """Keep what is needed; frames, TF mode and timeouts come from the configuration."""
        self.config = config
        self.fixed_at: RigidTransform | None = None
        self.search_area: FindArea | None = None
        self._localizer = localizer
        self._transforms = transforms
        self._needs_odometry = config.tf_broadcast and config.tf_mode == 'map_to_odom'

    def __call__(self, frame: Frame) -> FrameResult | None:
        """Process a frame; None if the robot has not moved since it was localized.

        Never raises: whatever goes wrong is `Status.ERROR` with the reason.
        """
        try:
            if self._stands_still(frame):
                return None
            localization, pose = self._localize(frame)
        except Exception as error:
            # A defect in one frame must not end the thread, and with it the node's work.
            logger.exception('localization failed')
            localization, pose = self._unexpected(frame, error), None
        # What is not there yet is worth waiting for only with a pose.
        timeout_s = 0.0 if pose is None else self.config.transform_timeout
        odom_from_base, odom_problem = self._odometry(localization.stamp_ns, timeout_s)
        if pose is None:
            odom_problem = ''
        latency_s = time.monotonic() - frame.received_s
        return FrameResult(frame, localization, pose, odom_from_base, odom_problem, latency_s)

    def _stands_still(self, frame: Frame) -> bool:
        fixed_at, distance, angle = (
            self.fixed_at,
            self.config.update_min_d,
            self.config.update_min_a,
        )
        if fixed_at is None or distance <= 0.0 or angle <= 0.0:
            return False
        odom_from_base, _ = self._odometry(stamp_of(frame.message), self.config.transform_timeout)
        if odom_from_base is None:
            return False
        motion = fixed_at.inverse() @ odom_from_base
        moved = float(np.linalg.norm(motion.translation))
        return moved < distance and rotation_angle(motion.rotation) < angle

    def _localize(self, frame: Frame) -> tuple[Localization, PoseEstimate | None]:
        localization = self._localizer.process_message(
            frame.message, frame.camera, frame.topic, self._area(frame)
        )
        if localization.camera_pose is None:
            return localization, None
        if localization.stamp_ns <= 0:
            return _refuse(localization, NO_STAMP), None
        # After localizing: by then late transforms have mostly come.
        try:
            base_from_cam = self._extrinsics(frame.message)
        except DataError as error:
            return _refuse(localization, str(error)), None
        pose = base_pose(localization.camera_pose, base_from_cam)
        if not self.config.two_d_mode:
            return localization, pose
        try:
            return localization, planar_pose(pose)
        except DataError as error:
            return _refuse(localization, str(error)), None

    def _area(self, frame: Frame) -> SearchArea | None:
        """Say where the camera may be."""
        find = self.search_area
        if find is None:
            return None
        stamp_ns = stamp_of(frame.message)
        area = find(self._odometry(stamp_ns, self.config.transform_timeout)[0])
        if area is None:
            return None
        try:
            base_from_cam = self._extrinsics(frame.message)
        except DataError:
            return area
        lever = float(np.linalg.norm(base_from_cam.translation))
        return replace(area, radius=area.radius + lever)

    def _extrinsics(self, message: Any) -> RigidTransform:
        camera_frame = self.config.camera_frame or message.header.frame_id.lstrip('/')
        base_frame = self.config.base_frame_id
        if not camera_frame:
            raise DataError('image has no frame_id: set the parameter camera_frame')
        if camera_frame == base_frame:
            return RigidTransform.identity()
        try:
            return self._transforms.wait_for(
                base_frame, camera_frame, stamp_of(message), self.config.transform_timeout
            )
        except DataError as error:
            raise DataError(
                f'where the camera sits is not known, TF {base_frame} <- {camera_frame}: {error}'
            ) from error

    def _odometry(self, stamp_ns: int, timeout_s: float) -> tuple[RigidTransform | None, str]:
        odom, base = self.config.odom_frame_id, self.config.base_frame_id
        if not (self._needs_odometry or self._transforms.connects(odom, base)):
            return None, ''
        try:
            return self._transforms.wait_for(odom, base, stamp_ns, timeout_s), ''
        except TransformError as error:
            return None, f'odom TF missing, {odom} <- {base}: {error}; {_REMEDIES[error.kind]}'

    def _unexpected(self, frame: Frame, error: Exception) -> Localization:
        reason = f'unexpected {type(error).__name__}: {error} (this is a defect, please report it)'
        return Localization(Status.ERROR, reason, stamp_of(frame.message), '')


def _refuse(localization: Localization, reason: str) -> Localization:
    return replace(localization, status=Status.ERROR, reason=reason, camera_pose=None)
