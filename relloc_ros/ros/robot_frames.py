# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the robot and its cameras are at the time of an image, and why that is not known."""

from __future__ import annotations

from typing import Any, Protocol

from relloc_ros.config import NodeConfig, TrackingConfig
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.frames import TransformError, TransformErrorKind
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import stamp_of

__all__ = ['RobotFrames', 'TransformSource', 'check_fusion']

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


class RobotFrames:
    """Looks transforms up under the names in the configuration.

    Attributes:
        config: settings of the node, live ones included.
    """

    def __init__(
        self, transforms: TransformSource, config: NodeConfig, *, needs_odometry: bool = False
    ) -> None:
        """Keep what is needed.

        Args:
            transforms: odometry, and places of the cameras.
            config: frames, TF mode, timeouts.
            needs_odometry: also where no map to odom is broadcast.
        """
        self.config = config
        self._transforms = transforms
        sends_correction = config.tf_broadcast and config.tf_mode == 'map_to_odom'
        self._needs_odometry = needs_odometry or sends_correction

    def base_from_cam(self, message: Any) -> RigidTransform:
        """Give the place of an image's camera at its time, waiting for late transforms.

        Raises:
            DataError: not known.
        """
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

    @property
    def has_odometry(self) -> bool:
        """Whether there is any, at whatever time."""
        return self._transforms.connects(self.config.odom_frame_id, self.config.base_frame_id)

    def odometry(self, stamp_ns: int, timeout_s: float) -> tuple[RigidTransform | None, str]:
        """Give odom_from_base at a time.

        Args:
            stamp_ns: the time.
            timeout_s: how long to wait for late transforms.

        Returns:
            None if it is not known, and why, where it is needed or was there before.
        """
        odom, base = self.config.odom_frame_id, self.config.base_frame_id
        if not (self._needs_odometry or self.has_odometry):
            return None, ''
        try:
            return self._transforms.wait_for(odom, base, stamp_ns, timeout_s), ''
        except TransformError as error:
            return None, f'odom TF missing, {odom} <- {base}: {error}; {_REMEDIES[error.kind]}'


def check_fusion(config: NodeConfig, tracking: TrackingConfig) -> None:
    """Refuse fusion where there is no room for odometry.

    Raises:
        ConfigError: the robot's base has the map, or nothing, for its parent.
    """
    if tracking.fusion == 'none':
        return
    needs = f'fusion: {tracking.fusion} needs odometry'
    if config.tf_broadcast and config.tf_mode == 'map_to_base':
        raise ConfigError(
            f'{needs}, TF {config.odom_frame_id} <- {config.base_frame_id}, for which tf_mode: '
            'map_to_base leaves no room: set tf_mode to map_to_odom or none, or fusion to none'
        )
    if config.odom_frame_id in ('', config.base_frame_id, config.global_frame_id):
        raise ConfigError(
            f"{needs}, and odom_frame_id '{config.odom_frame_id}' is no frame of its own: name "
            'the parent of the base in the odometry, or set fusion to none'
        )
