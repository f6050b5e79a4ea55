# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: images in, pose, TF, status and diagnostics out.

Everything here runs on one executor thread. Callbacks of images only hand the newest to the worker
thread, which touches no ROS entity but the guard condition that announces its results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import signal
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
import rclpy
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from relloc_ros.config import LocalizationConfig, NodeConfig
from relloc_ros.errors import RellocError
from relloc_ros.image_decoding import stamp_of
from relloc_ros.ros.camera_tracker import CameraTracker
from relloc_ros.ros.conversions import diagnostic_message, pose_message
from relloc_ros.ros.frame_processor import Frame, FrameProcessor, FrameResult
from relloc_ros.ros.health import Health, Problem, State, Surroundings, worst
from relloc_ros.ros.log_relay import LogRelay
from relloc_ros.ros.map_loading import LoadedMap, load_map
from relloc_ros.ros.parameters import NodeParameters
from relloc_ros.ros.transforms import Broadcaster, Transforms, make_buffer
from relloc_ros.ros.worker import Worker

__all__ = ['LocalizationNode', 'main']

NODE_NAME = 'localization_node'
DIAGNOSTICS_PERIOD_S = 1.0
CLEANUP_TIMEOUT_S = 1.0

TF_QOS = QoSProfile(depth=100)
LATCHED_TF_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
POSE_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

LoadMap = Callable[[NodeConfig, LocalizationConfig], LoadedMap]


@dataclass(slots=True, eq=False)
class _Session:
    """What exists from configure to cleanup."""

    config: NodeConfig
    localization: LocalizationConfig
    map_id: str
    transforms: Transforms
    processor: FrameProcessor
    worker: Worker[Frame, FrameResult]
    pose_publisher: Publisher
    status_publisher: Publisher
    tf_publisher: Publisher
    tf_subscriptions: list[Subscription]

    @property
    def tf_mode(self) -> str:
        return self.config.tf_mode if self.config.tf_broadcast else 'none'


@dataclass(slots=True, eq=False)
class _Activity:
    """What exists from activate to deactivate."""

    image_topic: str
    camera: CameraTracker
    broadcaster: Broadcaster
    subscriptions: list[Subscription]
    tf_timer: Timer | None


class LocalizationNode(LifecycleNode):
    """Publishes the pose of the robot in the map whenever an image gives one."""

    def __init__(self, load: LoadMap = load_map, **node_options: Any) -> None:
        """Declare the parameters; nothing is loaded before configure.

        Args:
            load: opens the map and prepares the localizer.
            node_options: of rclpy's Node.
        """
        super().__init__(
            NODE_NAME, automatically_declare_parameters_from_overrides=True, **node_options
        )
        self._load = load
        self._session: _Session | None = None
        self._activity: _Activity | None = None
        self._health = Health()
        self._known_problems: set[str] = set()
        self._log_relay = LogRelay(self.get_logger())
        self._log_relay.install()
        self._parameters = NodeParameters(
            self, lambda: self._activity is not None, self._take_live_parameters
        )
        self._results_ready = self.create_guard_condition(self._publish_results)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_time_jump,
        )
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # With use_sim_time ROS time stands still until /clock comes.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics_timer = self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=self._steady_clock
        )
        self._start_timer = self.create_timer(0.0, self._autostart, clock=self._steady_clock)

    def destroy_node(self) -> None:
        """Stop the worker, then take the node down."""
        self._jump_handle.unregister()
        if self._session is not None:
            self._session.worker.stop(CLEANUP_TIMEOUT_S)
        self._log_relay.remove()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the map."""
        return self._transition('configure', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start listening to images."""
        return self._transition('activate', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and broadcasting; the result of the image being processed is lost."""
        return self._transition('deactivate', self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the map."""
        return self._transition('cleanup', self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything."""
        return self._transition('shutdown', self._clean_up)

    def _transition(self, name: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        # rclpy swallows exceptions of these callbacks: nobody would learn the reason.
        try:
            action()
        except RellocError as error:
            self._health.failure = f'cannot {name}: {error}'
        except Exception as error:
            self._health.failure = f'cannot {name}: unexpected {type(error).__name__}: {error}'
        else:
            self._health.failure = ''
            return TransitionCallbackReturn.SUCCESS
        self.get_logger().error(self._health.failure)
        self._publish_diagnostics()
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        config = self._parameters.node_config()
        localization = self._parameters.localization_config()
        loaded = self._load(config, localization)
        transforms = make_buffer()
        processor = FrameProcessor(loaded.localizer, transforms, config)
        worker: Worker[Frame, FrameResult] = Worker(
            processor,
            notify=self._results_ready.trigger,
            close=loaded.close,
            max_rate=config.max_rate,
        )
        self._session = _Session(
            config=config,
            localization=localization,
            map_id=loaded.map_id,
            transforms=transforms,
            processor=processor,
            worker=worker,
            pose_publisher=self.create_publisher(PoseWithCovarianceStamped, '~/pose', POSE_QOS),
            status_publisher=self.create_publisher(DiagnosticArray, '~/status', 10),
            tf_publisher=self.create_publisher(TFMessage, '/tf', TF_QOS),
            tf_subscriptions=self._subscribe_to_tf(transforms),
        )
        self._health.start(State.INACTIVE)
        self.get_logger().info(f'map {config.map_path} ({loaded.map_id}) is loaded')

    def _subscribe_to_tf(self, transforms: Transforms) -> list[Subscription]:
        return [
            self.create_subscription(
                TFMessage, '/tf', lambda m: transforms.add_message(m, static=False), TF_QOS
            ),
            self.create_subscription(
                TFMessage,
                '/tf_static',
                lambda m: transforms.add_message(m, static=True),
                LATCHED_TF_QOS,
            ),
        ]

    def _activate(self) -> None:
        session = self._session
        if session is None or self._is_outdated(session):
            self._clean_up()
            self._configure()
            session = self._session
        assert session is not None
        camera = CameraTracker()
        image_topic = self.resolve_topic_name('image')
        compressed = session.config.image_transport == 'compressed'
        if compressed:
            # A remapping of `image` says nothing of `image/compressed`: follow the former.
            image_topic += '/compressed'
        tf_timer = None
        if session.tf_mode == 'map_to_odom':
            tf_timer = self.create_timer(1.0 / session.config.tf_publish_rate, self._repeat_odom)
        qos = {'qos_overriding_options': QoSOverridingOptions.with_default_policies()}
        self._activity = _Activity(
            image_topic=image_topic,
            camera=camera,
            broadcaster=Broadcaster(session.tf_publisher, session.config.global_frame_id),
            subscriptions=[
                self.create_subscription(
                    CameraInfo, 'camera_info', camera.update, SENSOR_QOS, **qos
                ),
                self.create_subscription(
                    CompressedImage if compressed else Image,
                    image_topic,
                    self._on_image,
                    SENSOR_QOS,
                    **qos,
                ),
            ],
            tf_timer=tf_timer,
        )
        self._health.start(State.WAITING)
        self.get_logger().info(f'listening to {image_topic}')

    def _is_outdated(self, session: _Session) -> bool:
        configs = self._parameters.node_config(), self._parameters.localization_config()
        return configs != (session.config, session.localization)

    def _deactivate(self) -> None:
        activity, self._activity = self._activity, None
        if activity is None:
            return
        if self._session is not None:
            self._session.worker.discard()
        for subscription in activity.subscriptions:
            self.destroy_subscription(subscription)
        if activity.tf_timer is not None:
            self.destroy_timer(activity.tf_timer)
        self._health.start(State.INACTIVE)

    def _clean_up(self) -> None:
        self._deactivate()
        session, self._session = self._session, None
        if session is None:
            return
        session.worker.stop(CLEANUP_TIMEOUT_S)
        for subscription in session.tf_subscriptions:
            self.destroy_subscription(subscription)
        for publisher in (session.pose_publisher, session.status_publisher, session.tf_publisher):
            self.destroy_publisher(publisher)
        self._health.start(State.UNCONFIGURED)
