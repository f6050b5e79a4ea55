# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to one camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from relloc_ros.config import NodeConfig
from relloc_ros.image_decoding import stamp_of
from relloc_ros.ros.camera_tracker import CameraTracker
from relloc_ros.ros.health import Problem
from relloc_ros.ros.image_watch import ImageWatch
from relloc_ros.ros.qos import publisher_problems, sensor_qos, subscribe

__all__ = ['CameraInput']

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')

MAX_TOPICS = 5
"""Topics with images that are told of; a robot can have dozens."""


class CameraInput:
    """Images and calibration of a camera, from activate to deactivate.

    Attributes:
        name: of the camera; '' for the only one.
        image_topic: resolved name.
        camera_info_topic: resolved name.
        calibration: what images are interpreted with.
        watch: when images come.
        frame_id: of the last image, '' before the first.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        name: str,
        on_image: Callable[[CameraInput, Image | CompressedImage], None],
    ) -> None:
        """Subscribe.

        Args:
            node: owner of the subscriptions.
            config: says which transport.
            name: of a camera of a rig, '' for a camera alone.
            on_image: called with this input and an image.

        Raises:
            ConfigError: an override of a QoS has a value that makes no sense.
        """
        self._node = node
        self._on_image = on_image
        self.name = name
        self.calibration = CameraTracker()
        self.watch = ImageWatch()
        self.frame_id = ''
        prefix = f'{name}/' if name else ''
        self.image_topic = node.resolve_topic_name(f'{prefix}image')
        self.camera_info_topic = node.resolve_topic_name(f'{prefix}camera_info')
        image_type: type[Any] = Image
        if config.image_transport == 'compressed':
            # A remapping of `image` says nothing of `image/compressed`: follow the former.
            self.image_topic += '/compressed'
            image_type = CompressedImage
        self._infos = subscribe(
            node, CameraInfo, self.camera_info_topic, self.calibration.update, sensor_qos()
        )
        try:
            self._images = subscribe(
                node, image_type, self.image_topic, self._take_image, sensor_qos()
            )
        except BaseException:
            node.destroy_subscription(self._infos)
            raise

    @property
    def topics(self) -> list[str]:
        """Resolved names of what is subscribed."""
        return [self.image_topic, self.camera_info_topic]

    def missing(self, timeout_s: float) -> list[str]:
        """Name the inputs that are waited for.

        Args:
            timeout_s: silence for longer makes images missing.
        """
        missing = []
        if not self.watch.num_received or self.watch.silence_s > timeout_s:
            missing.append(f'images on {self.image_topic}')
        if self.calibration.camera is None:
            missing.append(f'camera_info on {self.camera_info_topic}')
        return missing

    def problems(self, timeout_s: float) -> Iterator[Problem]:
        """Say what is wrong.

        Args:
            timeout_s: silence for longer is a problem.
        """
        unheard = list(publisher_problems(self._node, self._images))
        yield from unheard
        yield from publisher_problems(self._node, self._infos)
        error, silence_s = DiagnosticStatus.ERROR, self.watch.silence_s
        if silence_s > timeout_s:
            text = f'no images in {silence_s:.0f} s on topic {self.image_topic}'
            yield Problem(
                f'images:{self.image_topic}', error, f'{text}{self._why_no_images(len(unheard))}'
            )
        yield from self._camera_info_problems(timeout_s)
        yield from self.watch.problems(self.image_topic)

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._images)
        self._node.destroy_subscription(self._infos)

    def _take_image(self, message: Image | CompressedImage) -> None:
        self.watch.received(stamp_of(message), self._node.get_clock().now().nanoseconds)
        self.frame_id = message.header.frame_id.lstrip('/')
        self._on_image(self, message)

    def _camera_info_problems(self, timeout_s: float) -> Iterator[Problem]:
        topic, error = self.camera_info_topic, DiagnosticStatus.ERROR
        if self.calibration.problem:
            text = f'camera_info on topic {topic} cannot be used: {self.calibration.problem}'
            yield Problem(f'calibration:{topic}', error, text)
        elif self.calibration.camera is None:
            waited = self.watch.waited_s > timeout_s
            if not waited and not self.watch.num_received:
                return
            text = f'camera_info missing on topic {topic}'
            if not self._node.count_publishers(topic):
                text += ': nobody publishes it; remap camera_info to the topic beside the images'
            level = error if waited else DiagnosticStatus.WARN
            yield Problem(f'camera_info:{topic}', level, text)

    def _why_no_images(self, num_unheard: int) -> str:
        topic = self.image_topic
        num_publishers = self._node.count_publishers(topic)
        if num_publishers:
            if num_unheard >= num_publishers:
                return ', for none of its publishers can be heard'
            return (
                ', though it has a publisher; if large images get lost on the way, set '
                f'qos_overrides.{topic}.subscription.reliability to reliable'
            )
        node = self._node
        # By name, for the graph learns late which publishers are ours.
        ours = node.resolve_topic_name('~/debug_image')
        others = [
            f'{name} ({kind.rpartition("/")[2]})'
            for name, kinds in node.get_topic_names_and_types()
            for kind in kinds
            if kind in IMAGE_TYPES and name not in (topic, ours) and node.count_publishers(name)
        ]
        listed = ', '.join(others[:MAX_TOPICS])
        if not listed:
            return ': nobody publishes it, nor any other images'
        return (
            f': nobody publishes it; remap image, or set image_transport; images are on {listed}'
        )
