# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node under test beside a robot that feeds it and keeps what it says."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, NodeConfig
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.image_decoding import decode_image, stamp_of
from relloc_ros.ros.conversions import time_message, transform_message
from relloc_ros.ros.localization_node import LocalizationNode
from relloc_ros.ros.map_loading import LoadedMap
from relloc_ros.structures import Localization, PoseEstimate, SearchArea, Status

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WIDTH, HEIGHT = 32, 24
NS = 1_000_000_000

MAP_FROM_CAM = RigidTransform(exp_so3(np.array([0.3, -0.2, 0.5])), np.array([1.0, 2.0, 3.0]))
BASE_FROM_CAM = RigidTransform(exp_so3(np.array([-1.2, 1.2, -1.2])), np.array([0.1, 0.0, 0.2]))


class StubLocalizer:
    """Decodes as the pipeline does and sees the pose that is set here."""

    def __init__(self) -> None:
        self.map_from_cam = MAP_FROM_CAM
        self.stamps: list[int] = []
        self.search_areas: list[SearchArea | None] = []
        self.closed = threading.Event()
        self.closed_maps: list[str] = []
        self.loading: Callable[[str], object] = lambda map_path: None
        self.go_on = threading.Event()
        self.go_on.set()
        self.failure: Exception | None = None
        self.reference_map: Any = None

    def load(self, config: NodeConfig, localization: LocalizationConfig) -> LoadedMap:
        self.loading(config.map_path)
        map_id = config.map_path or 'abc'
        return LoadedMap(self, map_id, lambda: self._close(map_id), self.reference_map)

    def _close(self, map_id: str) -> None:
        self.closed_maps.append(map_id)
        self.closed.set()

    def process_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Localization:
        stamp_ns = stamp_of(message)
        self.search_areas.append(search_area)
        self.stamps.append(stamp_ns)
        self.go_on.wait(10.0)
        if self.failure is not None:
            raise self.failure
        try:
            decode_image(message, camera, name)
        except DataError as error:
            return Localization(Status.ERROR, str(error), stamp_ns, 'stub')
        pose = PoseEstimate(self.map_from_cam, np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-4)
        return Localization(
            Status.LOCALIZED, '', stamp_ns, 'stub', pose, 40, 30, timings_ms={'total': 5.0}
        )


class Robot(Node):
    """Publishes what a robot does, and keeps what the node under test publishes."""

    def __init__(self, node_name: str = '/localization_node') -> None:
        super().__init__('robot')
        self.poses: list[PoseWithCovarianceStamped] = []
        self.global_poses: list[PoseWithCovarianceStamped] = []
        self.frames: list[DiagnosticArray] = []
        self.diagnostics: list[DiagnosticStatus] = []
        self.corrections: list[Any] = []
        self.images = self.create_publisher(Image, 'image', 10)
        self.compressed = self.create_publisher(CompressedImage, 'image/compressed', 10)
        self.infos = self.create_publisher(CameraInfo, 'camera_info', 10)
        self.tf = self.create_publisher(TFMessage, '/tf', 100)
        self.static_tf = self.create_publisher(TFMessage, '/tf_static', LATCHED)
        self.clock_publisher = self.create_publisher(Clock, '/clock', 10)
        listen = self.create_subscription
        listen(PoseWithCovarianceStamped, f'{node_name}/pose', self.poses.append, LATCHED)
        listen(
            PoseWithCovarianceStamped,
            f'{node_name}/global_pose',
            self.global_poses.append,
            LATCHED,
        )
        listen(DiagnosticArray, f'{node_name}/status', self.frames.append, 10)
        listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        listen(TFMessage, '/tf', self._on_tf, 100)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.diagnostics += message.status

    def _on_tf(self, message: TFMessage) -> None:
        self.corrections += [t for t in message.transforms if t.header.frame_id == 'map']

    def send_camera_info(self, focal_length: float = 30.0) -> None:
        message = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model='plumb_bob')
        message.d = [0.0] * 5
        message.k = [focal_length, 0.0, 16.0, 0.0, focal_length, 12.0, 0.0, 0.0, 1.0]
        self.infos.publish(message)

    def send_image(self, stamp_ns: int, width: int = WIDTH, encoding: str = 'mono8') -> None:
        message = Image(width=width, height=HEIGHT, step=width, encoding=encoding)
        message.header.frame_id = 'camera'
        message.header.stamp = time_message(stamp_ns)
        message.data = bytes(width * HEIGHT)
        self.images.publish(message)

    def send_extrinsics(self) -> None:
        transform = transform_message('base_link', 'camera', 0, BASE_FROM_CAM)
        self.static_tf.publish(TFMessage(transforms=[transform]))

    def send_odometry(self, stamp_ns: int, odom_from_base: RigidTransform) -> None:
        transform = transform_message('odom', 'base_link', stamp_ns, odom_from_base)
        self.tf.publish(TFMessage(transforms=[transform]))

    def send_clock(self, time_ns: int) -> None:
        self.clock_publisher.publish(Clock(clock=time_message(time_ns)))


class Harness:
    """The node under test, with a stub for the map, and a robot, spun together."""

    def __init__(self, stub: StubLocalizer | None = None, **parameters: Any) -> None:
        self.stub = stub or StubLocalizer()
        # The tracker has tests of its own: here it shall not mind poses that jump.
        parameters = {'consensus_count': 1, 'mahalanobis_threshold': 1e12, **parameters}
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = LocalizationNode(self.stub.load, parameter_overrides=overrides)
        self.robot = Robot()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.robot)

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stub.go_on.set()
        self._executor.shutdown()
        self.robot.destroy_node()
        self.node.destroy_node()

    def start(self) -> None:
        """Configure, activate, and wait until the two know of each other."""
        self.node.trigger_configure()
        self.node.trigger_activate()
        self.spin_until(
            lambda: (
                self.robot.images.get_subscription_count()
                + self.robot.compressed.get_subscription_count()
                and self.robot.infos.get_subscription_count()
                and self.robot.static_tf.get_subscription_count()
                and self.robot.count_publishers('/localization_node/pose')
            )
        )
        self.spin(0.1)

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Spin until something is so; a failure of the test if it does not become so."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, 'waited in vain'
            self._executor.spin_once(timeout_sec=0.05)

    def spin(self, duration_s: float) -> None:
        """Spin for a while."""
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.02)

    def localize(self, stamp_ns: int) -> None:
        """Send an image, and spin until its status comes."""
        count = len(self.robot.frames)
        self.robot.send_image(stamp_ns)
        self.spin_until(lambda: len(self.robot.frames) > count)
        self.spin(0.05)

    def next_diagnostic(self) -> DiagnosticStatus:
        """Spin until the node has reported anew."""
        self.robot.diagnostics.clear()
        self.spin_until(lambda: self.robot.diagnostics)
        return self.robot.diagnostics[-1]


def values(status: DiagnosticStatus) -> dict[str, str]:
    """Give the values of a status by key."""
    return {item.key: item.value for item in status.values}


def now_ns() -> int:
    """Wall time."""
    return time.time_ns()


def ok() -> bool:
    """Whether ROS runs."""
    return bool(rclpy.ok())
