# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: images in, pose, TF, status and diagnostics out.

Everything here runs on one executor thread. The callback of images only hands the newest to the
worker's thread, which touches no ROS entity but the guard condition that announces its results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
import signal
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType, JumpHandle, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import NodeConfig
from relloc_ros.errors import ConfigError, RellocError
from relloc_ros.ros.bond import Bond
from relloc_ros.ros.camera_input import CameraInput
from relloc_ros.ros.debug_image import DebugImageOutput
from relloc_ros.ros.diagnostics import Diagnostics
from relloc_ros.ros.frame import Frame
from relloc_ros.ros.health import Health, State
from relloc_ros.ros.initial_pose import InitialPoseInput, InitialPoseOutput
from relloc_ros.ros.log_relay import LogRelay
from relloc_ros.ros.map_loading import load_map
from relloc_ros.ros.map_reload import MapInUse
from relloc_ros.ros.markers import MarkerOutput
from relloc_ros.ros.outputs import PoseOutput, StatusOutput
from relloc_ros.ros.parameters import NodeParameters
from relloc_ros.ros.relocalization import GlobalLocalization, Relocalization
from relloc_ros.ros.rig import check_rig
from relloc_ros.ros.rig_input import RigInput
from relloc_ros.ros.services import Services
from relloc_ros.ros.session import LoadMap, Session
from relloc_ros.ros.transform_output import TransformOutput

__all__ = ['LocalizationNode', 'main']

NODE_NAME = 'localization_node'
DIAGNOSTICS_PERIOD_S = 1.0

PARTS = (
    RigInput,
    PoseOutput,
    TransformOutput,
    StatusOutput,
    DebugImageOutput,
    MarkerOutput,
    Bond,
    MapInUse,
    InitialPoseInput,
    InitialPoseOutput,
    Relocalization,
    GlobalLocalization,
)
"""In the order in which they learn of a result: what the robot waits for comes first."""


class LocalizationNode(LifecycleNode):
    """Publishes the pose of the robot in the map whenever an image gives one."""

    def __init__(self, load: LoadMap = load_map, **node_options: Any) -> None:
        """Declare the parameters; nothing is loaded before configure.

        Args:
            load: opens the map and prepares the localizer.
            node_options: of rclpy's Node.

        Raises:
            ConfigError: a parameter was given as an empty list.
        """
        # What `destroy_node` needs: a shutdown while this constructor runs calls it.
        self._session: Session | None = None
        self._jump_handle: JumpHandle | None = None
        self._log_relay: LogRelay | None = None
        self._answers: Services | None = None
        try:
            super().__init__(
                NODE_NAME, automatically_declare_parameters_from_overrides=True, **node_options
            )
        except ValueError as error:
            raise ConfigError(
                f'a parameter has no type for ROS; instead of an empty list [] write [""]: {error}'
            ) from error
        self._load = load
        self._health = Health()
        self._log_relay = LogRelay(self.get_logger())
        self._log_relay.install()
        self._ours = NodeParameters(self, self._is_active, self._take_live_parameters)
        self._diagnostics = Diagnostics(self, self._health, self._ours)
        self._answers = Services(self, load, self._ours, lambda: self._session, self._explain)
        self._results_ready = self.create_guard_condition(self._publish_results)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_time_jump,
        )
        # With use_sim_time, timers on ROS time stand still until /clock comes.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=self._steady_clock
        )
        self._start_timer = self.create_timer(0.0, self._start, clock=self._steady_clock)

    def destroy_node(self) -> None:
        """Stop the worker, then take the node down."""
        if self._jump_handle is not None:
            self._jump_handle.unregister()
        self._clean_up()
        if self._answers is not None:
            self._answers.close()
        if self._log_relay is not None:
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
        # Once shutdown has begun every call on ROS fails: no news to anybody.
        if self.context.ok():
            self.get_logger().error(self._health.failure)
            self._publish_diagnostics()
        return TransitionCallbackReturn.FAILURE

    def _start(self) -> None:
        self.destroy_timer(self._start_timer)
        name = self.get_fully_qualified_name()
        if not self._ours.autostart:
            self.get_logger().info(
                f'waiting to be configured: set autostart, use a lifecycle manager, or run '
                f'`ros2 lifecycle set {name} configure` and `... activate`'
            )
        elif self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _configure(self) -> None:
        settings = self._ours.settings()
        check_rig(settings[0])
        loaded = self._load(settings[0], settings[1])
        try:
            session = Session(self, loaded, settings, self._results_ready.trigger)
        except BaseException:
            loaded.close()
            raise
        try:
            session.add_parts(PARTS)
        except BaseException:
            session.close()
            raise
        self._session = session
        self._health.start(State.INACTIVE)
        self.get_logger().info(f'map {session.config.map_path} is loaded, ID {session.map_id}')

    def _activate(self) -> None:
        settings = self._ours.settings()
        if self._session is None or not self._session.is_made_with(settings):
            self._clean_up()
            self._configure()
        session = self._session
        if session is not None:
            session.take_live(settings[0])
            session.activate(self._on_image)
            self._health.start(State.WAITING)
            topics = ', '.join(camera.image_topic for camera in session.cameras)
            self.get_logger().info(f'listening to {topics}')

    def _deactivate(self) -> None:
        if self._session is not None and self._session.active:
            self._session.deactivate()
            self._health.start(State.INACTIVE)

    def _clean_up(self) -> None:
        self._deactivate()
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._health.start(State.UNCONFIGURED)

    def _is_active(self) -> bool:
        return self._session is not None and self._session.active

    def _take_live_parameters(self, config: NodeConfig) -> None:
        if self._session is not None:
            self._session.take_live(config)

    def _on_image(self, camera: CameraInput, message: Image | CompressedImage) -> None:
        session = self._session
        if session is None or not session.active:
            return
        calibration = camera.calibration.camera
        if calibration is None or not session.enabled:
            self._health.image_received()
            self._health.image_skipped()
            return
        rig = session.part(RigInput)
        num_lost = rig.num_lost
        image = Frame(message, calibration, camera.image_topic, time.monotonic())
        for frame in rig.put(camera, image):
            self._health.image_received()
            if session.worker.put(frame):
                self._health.image_dropped()
        self._health.images_lost(rig.num_lost - num_lost)

    def _publish_results(self) -> None:
        session = self._session
        if session is None:
            return
        for result in session.results():
            if result is None:
                self._health.image_skipped()
            else:
                self._health.frame_processed(result)

    def _on_time_jump(self, jump: TimeJump) -> None:
        self.get_logger().warning(
            f'time jumped by {jump.delta.nanoseconds * 1e-9:.3f} s: images, moving transforms and '
            'the last fix are forgotten'
        )
        if self._session is not None:
            self._session.forget_time()
            if self._session.active:
                self._health.restart()

    def _explain(self) -> str:
        return self._diagnostics.explain(self._session)

    def _publish_diagnostics(self) -> None:
        if self.context.ok():
            self._diagnostics.publish(self._session)


def main(args: Sequence[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    # rclpy shuts down on signals and chains to the handlers it finds. Python's would raise in the
    # middle of rclpy, which leaves traces of half-made objects; pycolmap's, installed when it is
    # imported, dies of SIGTERM. So the order is pycolmap, default handlers, rclpy.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    keep_freed_memory()
    rclpy.init(args=args)
    try:
        # Made after a signal, it would leave a trace.
        executor = SingleThreadedExecutor()
        node = LocalizationNode()
        try:
            executor.add_node(node)
            executor.spin()
        finally:
            node.destroy_node()
    except RellocError as error:
        sys.exit(f'{NODE_NAME}: {error}')
    except Exception:
        # A consequence of the shutdown is no error.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()
    if any(thread.daemon for thread in threading.enumerate()):
        # The localizer is still busy. Python would abort when it comes back from C++ code.
        os._exit(0)


if __name__ == '__main__':
    main()
