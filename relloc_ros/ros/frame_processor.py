# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an image message to the pose of the robot: the work of the node's worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import logging
import time

import numpy as np

from relloc_ros.config import NodeConfig, TrackingConfig
from relloc_ros.correction import planar_pose
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.frames import base_pose
from relloc_ros.geometry import RigidTransform, rotation_angle
from relloc_ros.ros.frame import (
    Frame,
    FrameLocalizer,
    MessageLocalizer,
    RigAnswer,
    RigMessageLocalizer,
)
from relloc_ros.ros.rig import CameraRig, MovingCamera, wants_rigs
from relloc_ros.ros.robot_frames import RobotFrames, TransformSource
from relloc_ros.structures import Localization, PoseEstimate, SearchArea, Status
from relloc_ros.tracker import Verdict

__all__ = ['Frame', 'FrameProcessor', 'FrameResult']

logger = logging.getLogger(__name__)

NO_STAMP = 'image has no stamp: the driver must stamp it with its time of exposure'

FindArea = Callable[[RigidTransform | None], SearchArea | None]


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
        image_problems: of images of a rig that could not be used, one sentence each.
    """

    frame: Frame
    localization: Localization
    pose: PoseEstimate | None
    odom_from_base: RigidTransform | None
    odom_problem: str
    latency_s: float
    verdict: Verdict | None = None
    image_problems: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether there is a pose that the tracker trusts."""
        return self.verdict is not None and self.verdict.accepted


class FrameProcessor:
    """Localizes frames and moves the poses from the camera to the robot's base.

    What it says of frames depends on them and on transforms only, with a virtual rig on the images
    shortly before: the tracker, on the executor's thread, is what remembers. It may leave hints
    here at any time.

    Attributes:
        fixed_at: odometry at the last accepted pose, from which `update_min_d` is counted; None
            where the robot must be localized wherever it is.
        search_area: says, by odometry when an image was taken, where the robot's base may be;
            None while it may be anywhere.
    """

    def __init__(
        self,
        localizer: MessageLocalizer,
        transforms: TransformSource,
        config: NodeConfig,
        tracking: TrackingConfig | None = None,
    ) -> None:
        """Keep what is needed.

        Args:
            localizer: of the images.
            transforms: odometry, and places of the cameras.
            config: frames, TF mode, timeouts, cameras.
            tracking: how odometry drifts, and whether it is needed for fusion.

        Raises:
            ConfigError: several images are to be localized together, which the localizer does not.
        """
        self.fixed_at: RigidTransform | None = None
        self.search_area: FindArea | None = None
        self._localizer = localizer
        tracking = tracking or TrackingConfig()
        self._frames = RobotFrames(transforms, config, needs_odometry=tracking.fusion != 'none')
        self._rig: FrameLocalizer | None = None
        if not wants_rigs(config):
            return
        if not isinstance(localizer, RigMessageLocalizer):
            raise ConfigError('this localizer takes single images: set cameras to one')
        if config.virtual_rig_size > 1:
            self._rig = MovingCamera(localizer, self._frames, tracking, config.virtual_rig_size)
        else:
            self._rig = CameraRig(localizer, self._frames)

    @property
    def config(self) -> NodeConfig:
        """Settings of the node, live ones included."""
        return self._frames.config

    @config.setter
    def config(self, config: NodeConfig) -> None:
        self._frames.config = config

    def forget(self) -> None:
        """Forget hints and images before."""
        self.fixed_at = self.search_area = None
        if self._rig is not None:
            self._rig.forget()

    def __call__(self, frame: Frame) -> FrameResult | None:
        """Process a frame; None if the robot has not moved since it was localized.

        Never raises: whatever goes wrong is `Status.ERROR` with the reason.
        """
        try:
            if self._stands_still(frame):
                return None
            answer = self._localize(frame)
            localization, pose = self._base_pose(frame, answer)
        except Exception as error:
            # A defect in one frame must not end the thread, and with it the node's work.
            logger.exception('localization failed')
            localization, pose = self._unexpected(frame, error), None
            answer = RigAnswer(localization, None)
        # What is not there yet is worth waiting for only with a pose.
        timeout_s = 0.0 if pose is None else self.config.transform_timeout
        odom_from_base, odom_problem = self._frames.odometry(localization.stamp_ns, timeout_s)
        if pose is None:
            odom_problem = ''
        latency_s = time.monotonic() - frame.received_s
        return FrameResult(
            frame,
            localization,
            pose,
            odom_from_base,
            odom_problem,
            latency_s,
            image_problems=answer.problems,
        )

    def _stands_still(self, frame: Frame) -> bool:
        fixed_at, distance, angle = (
            self.fixed_at,
            self.config.update_min_d,
            self.config.update_min_a,
        )
        if fixed_at is None or distance <= 0.0 or angle <= 0.0:
            return False
        odom_from_base, _ = self._frames.odometry(frame.stamp_ns, self.config.transform_timeout)
        if odom_from_base is None:
            return False
        motion = fixed_at.inverse() @ odom_from_base
        moved = float(np.linalg.norm(motion.translation))
        return moved < distance and rotation_angle(motion.rotation) < angle

    def _localize(self, frame: Frame) -> RigAnswer:
        if self._rig is not None:
            start_s = time.monotonic()
            answer = self._rig.localize(frame, self._area)
            return replace(answer, localization=_timed(answer.localization, start_s))
        localization = self._localizer.process_message(
            frame.message, frame.camera, frame.topic, self._area(frame)
        )
        return RigAnswer(localization, None)

    def _base_pose(
        self, frame: Frame, answer: RigAnswer
    ) -> tuple[Localization, PoseEstimate | None]:
        """Move a pose from the camera to the robot's base, and on to the plane if there is one."""
        localization, base_from_cam = answer.localization, answer.base_from_cam
        if localization.camera_pose is None:
            return localization, None
        if localization.stamp_ns <= 0:
            return _refuse(localization, NO_STAMP), None
        try:
            # After localizing: by then late transforms have mostly come.
            if base_from_cam is None:
                base_from_cam = self._frames.base_from_cam(frame.message)
            pose = base_pose(localization.camera_pose, base_from_cam)
            return localization, planar_pose(pose) if self.config.two_d_mode else pose
        except DataError as error:
            return _refuse(localization, str(error)), None

    def _area(self, frame: Frame) -> SearchArea | None:
        """Say where the camera of an image may be."""
        find = self.search_area
        if find is None:
            return None
        odom_from_base, _ = self._frames.odometry(frame.stamp_ns, self.config.transform_timeout)
        area = find(odom_from_base)
        if area is None:
            return None
        try:
            base_from_cam = self._frames.base_from_cam(frame.message)
        except DataError:
            return area
        lever = float(np.linalg.norm(base_from_cam.translation))
        return replace(area, radius=area.radius + lever)

    def _unexpected(self, frame: Frame, error: Exception) -> Localization:
        reason = f'unexpected {type(error).__name__}: {error} (this is a defect, please report it)'
        return Localization(Status.ERROR, reason, frame.stamp_ns, '')


def _timed(localization: Localization, start_s: float) -> Localization:
    total_ms = 1e3 * (time.monotonic() - start_s)
    return replace(localization, timings_ms={**localization.timings_ms, 'total': total_ms})


def _refuse(localization: Localization, reason: str) -> Localization:
    return replace(localization, status=Status.ERROR, reason=reason, camera_pose=None)
