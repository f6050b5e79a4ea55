# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that drives, in real time, and streams odometry and images to a node elsewhere."""

from __future__ import annotations

from collections.abc import Callable
import subprocess
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import numpy as np
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from robot_room import BASE_FROM_CAM, CAMERA, jpeg_at, on_circle
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

from relloc_ros.camera import Camera
from relloc_ros.frames import stamp_to_ns, transform_from_message, transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.conversions import time_message, transform_message

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
NS = 1_000_000_000
TICK_NS = 20_000_000
TICKS_PER_IMAGE = 10
CAMERA_INFO_PERIOD_S = 0.5

NODE_NAME = 'localization_node'
INPUTS = ('-r', 'image:=camera/image', '-r', 'camera_info:=camera/camera_info')


class DrivingRobot(Node):
    """Drives from place to place on the circle of the room; keeps what is said of it.

    Attributes:
        speed: places per image from the next image on, negative is backwards, 0 is parked.
        drift: error of odometry, metres per metre travelled.
        has_calibration: whether camera_info is published.
        has_odometry: whether odometry is published.
        image_frame_id: frame_id of the images.
        image_offset_ns: error of the stamps of the images.
        image_of: gives the encoded image at a place.
        truth: where the robot was, by stamp.
        odometry: where odometry said that it was, by stamp.
        max_images: none are sent after so many.
        images: stamps of the images sent.
        fixes: of ~/pose, by stamp.
        frames: values of ~/status, with the stamp.
        diagnostics: of the node.
        corrections: map <- odom with its stamp, as they came.
        corrections_heard_ns: wall time at which they came.
        kidnaps: stamps of the last images before the robot was carried away.
    """

    def __init__(
        self,
        namespace: str = '',
        tf: str = '/tf',
        tick_ns: int = TICK_NS,
        ticks_per_image: int = TICKS_PER_IMAGE,
    ) -> None:
        super().__init__('robot', namespace=namespace)
        self.tick_ns, self.ticks_per_image = tick_ns, ticks_per_image
        self.camera = CAMERA
        self.place, self.speed, self.drift = 0.0, 0, 0.0
        self._current_speed = self._carried = 0
        self.has_calibration = self.has_odometry = True
        self.max_images = sys.maxsize
        self.image_frame_id, self.image_offset_ns = 'camera', 0
        self.image_of: Callable[[int], bytes] = jpeg_at
        self.map_from_base: Callable[[float], RigidTransform] = on_circle
        self.base_from_cam = BASE_FROM_CAM
        self.truth: dict[int, RigidTransform] = {}
        self.odometry: dict[int, RigidTransform] = {}
        self.images: list[int] = []
        self.fixes: dict[int, RigidTransform] = {}
        self.frames: list[tuple[int, dict[str, str]]] = []
        self.diagnostics: list[DiagnosticStatus] = []
        self.corrections: list[tuple[int, RigidTransform]] = []
        self.corrections_heard_ns: list[int] = []
        self.kidnaps: list[int] = []
        self._travelled = 0.0
        self.restart_odometry()
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        self._make_topics(tf)
        self.set_clock(time.time_ns(), sim=False)

    def _make_topics(self, tf: str) -> None:
        self.image_publisher = self.create_publisher(
            CompressedImage, 'camera/image/compressed', 100
        )
        self.infos = self.create_publisher(CameraInfo, 'camera/camera_info', 10)
        self.tf = self.create_publisher(TFMessage, tf, 100)
        self.static_tf = self.create_publisher(TFMessage, f'{tf}_static', LATCHED)
        self._clock_publisher = self.create_publisher(Clock, '/clock', BEST_EFFORT)
        listen = self.create_subscription
        listen(PoseWithCovarianceStamped, f'{NODE_NAME}/pose', self._take_pose, LATCHED)
        listen(DiagnosticArray, f'{NODE_NAME}/status', self._take_status, 100)
        listen(DiagnosticArray, '/diagnostics', self._take_diagnostics, 10)
        listen(TFMessage, tf, self._take_tf, 1000)

    def _take_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.fixes[stamp_to_ns(message.header.stamp)] = transform_from_pose(message.pose.pose)

    def _take_status(self, message: DiagnosticArray) -> None:
        found = {item.key: item.value for item in message.status[0].values}
        self.frames.append((stamp_to_ns(message.header.stamp), found))

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        name = f'{self.get_namespace().rstrip("/")}/{NODE_NAME}'
        self.diagnostics += [status for status in message.status if status.hardware_id == name]

    def _take_tf(self, message: TFMessage) -> None:
        for item in message.transforms:
            if item.header.frame_id == 'map':
                stamp_ns = stamp_to_ns(item.header.stamp)
                self.corrections.append((stamp_ns, transform_from_message(item.transform)))
                self.corrections_heard_ns.append(time.time_ns())

    @property
    def now_ns(self) -> int:
        """The robot's time, which its stamps tell."""
        return self._start_ns + self._tick * self.tick_ns

    def close(self) -> None:
        self.executor_.shutdown()
        self.destroy_node()

    def set_clock(self, now_ns: int, *, sim: bool) -> None:
        """Let the stamps go on from here; with sim, tell /clock."""
        self._sim = sim
        self._start_ns, self._start_s = now_ns, time.monotonic()
        self._tick = 0
        self._last_info_s = 0.0

    def rewind(self, now_ns: int) -> None:
        """Begin anew, as a bag in a loop does: time and odometry jump back."""
        self.set_clock(now_ns, sim=self._sim)
        self.place, self._travelled = 0.0, 0.0
        self.restart_odometry()

    def restart_odometry(self) -> None:
        """Count from here, where the robot is switched on."""
        self._odom_from_map = self.map_from_base(self.place).inverse()

    def stand(self, map_from_cam: RigidTransform, camera: Camera, image: bytes) -> None:
        """Be somewhere else, and see one image for ever."""
        map_from_base = map_from_cam @ self.base_from_cam.inverse()
        self.map_from_base = lambda place: map_from_base
        self.camera = camera
        self.image_of = lambda place: image
        self.restart_odometry()

    def kidnap(self, places: int) -> None:
        """Be carried away after the next image; odometry notices nothing."""
        self._carried = places

    def send_extrinsics(self) -> None:
        extrinsics = transform_message('base_link', 'camera', 0, self.base_from_cam)
        self.static_tf.publish(TFMessage(transforms=[extrinsics]))

    def live(self, condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
        """Drive and stream until something is so; a failure of the test if it does not happen."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, 'waited in vain'
            self._step()

    def live_for(self, duration_s: float) -> None:
        """Drive and stream for a while."""
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self._step()

    def meet(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a node that starts is there and listens to images."""

        def listens() -> int:
            assert process.poll() is None, 'the node has ended: see its log'
            return self.image_publisher.get_subscription_count()

        self.send_extrinsics()
        self.live(listens)

    def next_diagnostic(self) -> dict[str, str]:
        """Stream until the node reports anew; returns its values, and its message."""
        self.diagnostics.clear()
        self.live(lambda: self.diagnostics)
        status = self.diagnostics[-1]
        return {'message': status.message, **{item.key: item.value for item in status.values}}

    def states(self) -> list[str]:
        """Give the states that ~/status told, each once in a row."""
        states = [found['state'] for _, found in self.frames]
        return [state for i, state in enumerate(states) if i == 0 or state != states[i - 1]]

    def _step(self) -> None:
        due_s = self._start_s + self._tick * self.tick_ns / NS
        wait_s = due_s - time.monotonic()
        if wait_s > 0.0:
            self.executor_.spin_once(timeout_sec=wait_s)
            return
        self._move(self._start_ns + self._tick * self.tick_ns)
        self._tick += 1
        self.executor_.spin_once(timeout_sec=0.0)

    def _move(self, stamp_ns: int) -> None:
        if self._sim:
            self._clock_publisher.publish(Clock(clock=time_message(stamp_ns)))
        before = self.map_from_base(self.place)
        self.place += self._current_speed / self.ticks_per_image
        here = self.map_from_base(self.place)
        self._travelled += float(np.linalg.norm(here.translation - before.translation))
        error = self.drift * self._travelled
        drifted = RigidTransform(exp_so3(np.array([0.0, 0.0, 0.1 * error])), [error, 0.0, 0.0])
        self.truth[stamp_ns] = here
        self.odometry[stamp_ns] = drifted @ self._odom_from_map @ here
        if self.has_odometry:
            odometry = transform_message('odom', 'base_link', stamp_ns, self.odometry[stamp_ns])
            self.tf.publish(TFMessage(transforms=[odometry]))
        if self.has_calibration and time.monotonic() - self._last_info_s > CAMERA_INFO_PERIOD_S:
            self._last_info_s = time.monotonic()
            self.send_calibration(stamp_ns)
        if self._tick % self.ticks_per_image == 0:
            self.place = round(self.place)
            if len(self.images) < self.max_images:
                self.send_image(stamp_ns + self.image_offset_ns)
            self._change_motion(stamp_ns)

    def _change_motion(self, stamp_ns: int) -> None:
        # Images are of whole places only.
        self._current_speed = self.speed
        if self._carried:
            before = self.map_from_base(self.place)
            self.place += self._carried
            after = self.map_from_base(self.place)
            self._odom_from_map = self._odom_from_map @ before @ after.inverse()
            self._carried = 0
            self.kidnaps.append(stamp_ns)

    def send_calibration(self, stamp_ns: int) -> None:
        fx, fy, cx, cy = self.camera.params
        message = CameraInfo(
            width=self.camera.width, height=self.camera.height, distortion_model='plumb_bob'
        )
        message.header.frame_id = 'camera'
        message.header.stamp = time_message(stamp_ns)
        message.d = [0.0] * 5
        # ROS counts pixels from their centres.
        message.k = [fx, 0.0, cx - 0.5, 0.0, fy, cy - 0.5, 0.0, 0.0, 1.0]
        self.infos.publish(message)

    def send_image(self, stamp_ns: int, data: bytes | None = None) -> None:
        message = CompressedImage(format='jpeg')
        message.header.frame_id = self.image_frame_id
        message.header.stamp = time_message(stamp_ns)
        message.data = self.image_of(round(self.place)) if data is None else data
        self.image_publisher.publish(message)
        self.images.append(stamp_ns)


class Operator:
    """Asks the node for something while the robot goes on."""

    def __init__(self, robot: DrivingRobot, node: str = NODE_NAME) -> None:
        self._robot, self._node = robot, node
        self._change = robot.create_client(ChangeState, f'{node}/change_state')
        self._get = robot.create_client(GetParameters, f'{node}/get_parameters')

    def call(self, client: Any, request: Any, timeout_s: float = 30.0) -> tuple[Any, float]:
        """Call a service; returns the answer and the seconds it took."""
        self._robot.live(client.service_is_ready)
        start_s = time.monotonic()
        future = client.call_async(request)
        self._robot.live(future.done, timeout_s)
        return future.result(), time.monotonic() - start_s

    def change(self, transition_id: int, *, succeeds: bool = True) -> float:
        """Change the state of the lifecycle; returns the seconds it took."""
        request = ChangeState.Request(transition=Transition(id=transition_id))
        answer, duration_s = self.call(self._change, request)
        assert answer.success == succeeds
        return duration_s

    def ask(self, name: str = 'max_rate') -> float:
        """Ask for a parameter; returns the seconds it took."""
        return self.call(self._get, GetParameters.Request(names=[name]))[1]
