# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes from the node's subscriptions to the localizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import stamp_of
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.structures import Localization, SearchArea

__all__ = [
    'AreaOf',
    'Frame',
    'FrameLocalizer',
    'MessageLocalizer',
    'RigAnswer',
    'RigMessageLocalizer',
]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image on its way to the worker, with those that belong to it.

    Attributes:
        message: sensor_msgs/Image or CompressedImage; of a rig, the newest.
        camera: calibration in force when it came.
        topic: where it came from.
        received_s: when it came, steady clock.
        others: images of the rig's other cameras, of nearly the same time.
    """

    message: Any
    camera: Camera
    topic: str
    received_s: float
    others: tuple[Frame, ...] = ()

    @property
    def images(self) -> tuple[Frame, ...]:
        """All images, this first."""
        return (self, *self.others)

    @property
    def stamp_ns(self) -> int:
        """Time of exposure of this image."""
        return stamp_of(self.message)


AreaOf = Callable[[Frame], SearchArea | None]
"""Says where the camera of an image may be."""


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


@runtime_checkable
class RigMessageLocalizer(Protocol):
    """The part of `Relocalizer` that the node calls for rigs."""

    def sight_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Sighting:
        """Decode an image message and find out what it shows of the map."""

    def locate(self, views: Sequence[PlacedSighting]) -> Localization:
        """Localize the body that images were taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class RigAnswer:
    """What became of a frame of a rig.

    Attributes:
        localization: pose of one of the cameras, at the time of the newest image.
        base_from_cam: where that camera sits; None if it was not looked up.
        problems: of images that could not be used, one sentence each.
    """

    localization: Localization
    base_from_cam: RigidTransform | None
    problems: tuple[str, ...] = ()


class FrameLocalizer(Protocol):
    """Localizes frames of several images."""

    def localize(self, frame: Frame, area_of: AreaOf) -> RigAnswer:
        """Localize a frame."""

    def forget(self) -> None:
        """Forget the frames before."""
