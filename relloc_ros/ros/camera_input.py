# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to one camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from relloc_ros.config import NodeConfig
from relloc_ros.ros.camera_tracker import CameraTracker

__all__ = ['CameraInput']

SENSOR_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class CameraInput:
    """Images and calibration of a camera, from activate to deactivate.

    Attributes:
        name: of the camera; '' for the only one.
        image_topic: resolved name.
        camera_info_topic: resolved name.
        calibration: what images are interpreted with.
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
        """
        self._node = node
        self.name = name
        self.calibration = CameraTracker()
        prefix = f'{name}/' if name else ''
        self.image_topic = node.resolve_topic_name(prefix + 'image')
        self.camera_info_topic = node.resolve_topic_name(prefix + 'camera_info')
        image_type: type[Any] = Image
        if config.image_transport == 'compressed':
            # A remapping of `image` says nothing of `image/compressed`: follow the former.
            self.image_topic += '/compressed'
            image_type = CompressedImage
        qos = QoSOverridingOptions.with_default_policies()
        self._subscriptions = [
            node.create_subscription(
                CameraInfo,
                self.camera_info_topic,
                self.calibration.update,
                SENSOR_QOS,
                qos_overriding_options=qos,
            ),
            node.create_subscription(
                image_type,
                self.image_topic,
                lambda message: on_image(self, message),
                SENSOR_QOS,
                qos_overriding_options=qos,
            ),
        ]

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
