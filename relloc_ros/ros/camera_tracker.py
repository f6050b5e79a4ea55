# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The calibration in force: the last camera_info received."""

from __future__ import annotations

from typing import Any

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.image_decoding import camera_from_camera_info

__all__ = ['CameraTracker']


class CameraTracker:
    """Follows camera_info.

    Attributes:
        camera: what images are interpreted with; None before the first usable camera_info.
        problem: why the last camera_info cannot be used, '' if it can or there was none.
    """

    def __init__(self) -> None:
        """Start without a camera."""
        self.camera: Camera | None = None
        self.problem = ''

    def update(self, message: Any) -> None:
        """Take a sensor_msgs/CameraInfo."""
        try:
            self.camera, self.problem = camera_from_camera_info(message), ''
        except DataError as error:
            self.camera, self.problem = None, str(error)
