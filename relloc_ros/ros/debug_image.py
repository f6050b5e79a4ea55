# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what the localizer saw: the query beside its best map image, matches, status."""

from __future__ import annotations

from dataclasses import dataclass, replace
import logging
from typing import TYPE_CHECKING

from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from relloc_ros.errors import DataError
from relloc_ros.image_decoding import decode_image
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.match_drawing import draw_query, strongest_pair
from relloc_ros.ros.conversions import image_message
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.part import Part
from relloc_ros.ros.worker import Worker

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['DebugImageOutput']

logger = logging.getLogger(__name__)

DEBUG_IMAGE_QOS = QoSProfile(depth=1)
"""Reliable: whoever asks for best effort gets it too."""
STOP_TIMEOUT_S = 0.5
"""Drawing takes milliseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """What to draw; a map loaded later has other images."""

    result: FrameResult
    reference_map: ReferenceMap | None
    resized: bool


class DebugImageOutput(Part):
    """Draws, on a thread of its own, the newest frame as long as somebody looks."""

    def __init__(self, session: Session) -> None:
        """Create the publisher and start the thread."""
        super().__init__(session)
        self._publisher = self.node.create_publisher(Image, '~/debug_image', DEBUG_IMAGE_QOS)
        self._drawn = self.node.create_guard_condition(self._publish)
        self._worker: Worker[_Sight, Image | None] = Worker(
            _draw, notify=self._drawn.trigger, close=lambda: None
        )

    def frame_processed(self, result: FrameResult) -> None:
        """Have the frame drawn if somebody looks; one that still waits is left out."""
        if self._publisher.get_subscription_count():
            resized = self.session.localization.resized_images
            self._worker.put(_Sight(result, self.session.loaded.reference_map, resized))

    def deactivate(self) -> None:
        """Draw nothing more."""
        self._worker.discard()

    def enabled_changed(self) -> None:
        """Draw nothing that was before."""
        self._worker.discard()

    def forget_time(self) -> None:
        """Draw nothing that was before the jump."""
        self._worker.discard()

    def close(self) -> None:
        """End the thread, and destroy the publisher."""
        self._worker.stop(STOP_TIMEOUT_S)
        self.node.destroy_guard_condition(self._drawn)
        self.node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        messages = [message for message in self._worker.results() if message is not None]
        if messages:
            self._publisher.publish(messages[-1])


def _draw(sight: _Sight) -> Image | None:
    result, localization = sight.result, sight.result.localization
    images = result.frame.images
    try:
        # Of the images of a rig the one that shows most; those of the past are not kept.
        pairs = tuple(pair for pair in localization.pairs if pair.view < len(images))
        localization = replace(localization, pairs=pairs)
        best = strongest_pair(localization)
        frame = images[best.view if best is not None else 0]
        try:
            image = decode_image(frame.message, frame.camera, resized=sight.resized).image
        except DataError:
            # The localization says the same.
            image = None
        picture = draw_query(image, localization, sight.reference_map, result.verdict)
        return image_message(picture, frame.message.header)
    except Exception:
        # A picture that cannot be drawn must not end the thread.
        logger.exception('drawing the debug image failed')
        return None
