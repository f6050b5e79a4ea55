# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node has while it is configured, and while it is active."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from relloc_ros.config import LocalizationConfig, NodeConfig, flatten
from relloc_ros.ros.camera_tracker import CameraTracker
from relloc_ros.ros.frame_processor import Frame, FrameProcessor, FrameResult
from relloc_ros.ros.map_loading import LoadedMap
from relloc_ros.ros.outputs import Outputs
from relloc_ros.ros.parameter_file import node_parameters
from relloc_ros.ros.transforms import TF_QOS, make_buffer
from relloc_ros.ros.worker import Worker

__all__ = ['Listening', 'Session']

STATIC_TF_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

STOP_TIMEOUT_S = 1.0
"""A worker that needs longer for its last image ends, and frees the map, on its own."""


class Session:
    """From configure to cleanup: the map, transforms, the worker, publishers.

    Attributes:
        map_id: of the loaded map.
        outputs: publishers.
        transforms: buffer of /tf and /tf_static.
        worker: localizes the newest image.
    """

    def __init__(
        self,
        node: Node,
        load: Callable[[NodeConfig, LocalizationConfig], LoadedMap],
        config: NodeConfig,
        localization: LocalizationConfig,
        notify: Callable[[], None],
    ) -> None:
        """Load the map, listen to TF, start the worker.

        Args:
            node: owner of publishers and subscriptions.
            load: opens the map and prepares the localizer.
            config: settings of the node.
            localization: settings of the localizer.
            notify: called from the worker's thread when it has a result.

        Raises:
            RellocError: the map or the configuration cannot be used.
        """
        loaded = load(config, localization)
        self.map_id = loaded.map_id
        self._node = node
        self._config = config
        self._fixed = _fixed_values(config, localization)
        self.transforms = make_buffer()
        self._processor = FrameProcessor(loaded.localizer, self.transforms, config)
        try:
            self.outputs = Outputs(node, config, loaded.map_id)
            self._tf_subscriptions = [
                node.create_subscription(TFMessage, '/tf', self._on_tf, TF_QOS),
                node.create_subscription(
                    TFMessage, '/tf_static', self._on_static_tf, STATIC_TF_QOS
                ),
            ]
        except BaseException:
            loaded.close()
            raise
        # Last, for from here on the worker owns the map.
        self.worker: Worker[Frame, FrameResult] = Worker(
            self._processor, notify=notify, close=loaded.close, max_rate=config.max_rate
        )

    @property
    def config(self) -> NodeConfig:
        """Settings of the node, with live changes."""
        return self._config

    def take_live(self, config: NodeConfig) -> None:
        """Take changes of live settings."""
        self._config = config
        self.worker.set_max_rate(config.max_rate)
        self._processor.transform_timeout = config.transform_timeout

    def is_made_with(self, config: NodeConfig, localization: LocalizationConfig) -> bool:
        """Whether these settings, but for the live ones, are those of this session."""
        return self._fixed == _fixed_values(config, localization)

    def forget_time(self) -> None:
        """After a jump of time: drop images, moving transforms and the broadcast transform."""
        self.worker.discard()
        self.transforms.clear()
        self.outputs.reset()

    def close(self) -> None:
        """End the worker, which frees the map, and destroy what belongs to the node."""
        self.worker.stop(STOP_TIMEOUT_S)
        for subscription in self._tf_subscriptions:
            self._node.destroy_subscription(subscription)
        self.outputs.close()

    def _on_tf(self, message: TFMessage) -> None:
        self.transforms.add_message(message, static=False)

    def _on_static_tf(self, message: TFMessage) -> None:
        self.transforms.add_message(message, static=True)


class Listening:
    """From activate to deactivate: subscriptions to the camera, and the repetition of TF.

    Attributes:
        image_topic: resolved name.
        camera_info_topic: resolved name.
        camera: calibration in force.
    """

    def __init__(
        self, node: Node, session: Session, on_image: Callable[[Image | CompressedImage], None]
    ) -> None:
        """Subscribe."""
        self._node = node
        self._session = session
        self.camera = CameraTracker()
        self.image_topic = node.resolve_topic_name('image')
        self.camera_info_topic = node.resolve_topic_name('camera_info')
        image_type: type[Any] = Image
        if session.config.image_transport == 'compressed':
            # A remapping of `image` says nothing of `image/compressed`: follow the former.
            self.image_topic += '/compressed'
            image_type = CompressedImage
        session.outputs.reset()
        self._tf_timer = None
        if session.outputs.tf_mode == 'map_to_odom':
            period_s = 1.0 / session.config.tf_publish_rate
            self._tf_timer = node.create_timer(period_s, self._repeat_odom)
        qos = QoSOverridingOptions.with_default_policies()
        self._subscriptions = [
            node.create_subscription(
                CameraInfo,
                self.camera_info_topic,
                self.camera.update,
                SENSOR_QOS,
                qos_overriding_options=qos,
            ),
            node.create_subscription(
                image_type, self.image_topic, on_image, SENSOR_QOS, qos_overriding_options=qos
            ),
        ]

    def close(self) -> None:
        """Unsubscribe, and lose the result of the image being processed."""
        self._session.worker.discard()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        if self._tf_timer is not None:
            self._node.destroy_timer(self._tf_timer)

    def _repeat_odom(self) -> None:
        self._session.outputs.repeat_odom(self._session.config.transform_tolerance)


def _fixed_values(config: NodeConfig, localization: LocalizationConfig) -> dict[str, Any]:
    known = node_parameters()
    values = {**flatten(config), **flatten(localization)}
    return {name: value for name, value in values.items() if known[name].mutability != 'live'}
