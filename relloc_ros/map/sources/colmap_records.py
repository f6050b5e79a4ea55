# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What COLMAP's files hold, text or binary alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform

__all__ = ['FrameRecord', 'ImageRecord', 'ModelRecords', 'Rig', 'Sensor']

Sensor = tuple[str, int]
"""Kind (CAMERA, IMU) and ID."""

Rig = Mapping[Sensor, 'RigidTransform | None']
"""sensor_from_rig of each sensor; None where it is not calibrated."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """An image, and the place in the files that describes it."""

    image_id: int
    camera_id: int
    name: str
    cam_from_map: RigidTransform
    place: str


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """What the sensors of a rig took at one time: sensor -> image ID or the like."""

    rig_id: int
    rig_from_map: RigidTransform
    data: tuple[tuple[Sensor, int], ...]
    place: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelRecords:
    """A model without its points; one of before COLMAP 3.12 has neither rigs nor frames."""

    cameras: Mapping[int, Camera]
    images: list[ImageRecord]
    rigs: Mapping[int, Rig]
    frames: list[FrameRecord]
