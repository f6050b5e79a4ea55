# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's report on /diagnostics, in every state of its lifecycle."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from relloc_ros.ros.conversions import diagnostic_message
from relloc_ros.ros.health import Health, Problem, Surroundings, worst
from relloc_ros.ros.parameters import NodeParameters
from relloc_ros.ros.session import Session

__all__ = ['Diagnostics']


class Diagnostics:
    """Publishes what is wrong and the figures; logs each problem once when it appears."""

    def __init__(self, node: Node, health: Health, parameters: NodeParameters) -> None:
        """Create the publisher."""
        self._node = node
        self._health = health
        self._parameters = parameters
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._logged: set[str] = set()

    def publish(self, session: Session | None) -> None:
        """Report on the node and its session."""
        problems = self._problems(session)
        self._log(problems)
        values = {
            **self._health.values(),
            'tf': '',
            'map_id': session.map_id if session else '',
            'map_path': self._node.get_parameter('map_path').value,
        }
        for part in session.parts if session else ():
            values.update(part.values())
        text = '; '.join(problem.text for problem in problems) or self._health.state
        stamp_ns = self._node.get_clock().now().nanoseconds
        name = f'{self._node.get_name()}: localization'
        self._publisher.publish(diagnostic_message(stamp_ns, name, worst(problems), text, values))

    def _log(self, problems: list[Problem]) -> None:
        for problem in problems:
            # A failed transition was logged when it failed.
            if problem.kind in self._logged or problem.kind == 'failure':
                continue
            if problem.level == DiagnosticStatus.ERROR:
                self._node.get_logger().error(problem.text)
            else:
                self._node.get_logger().warning(problem.text)
        self._logged = {problem.kind for problem in problems}

    def _problems(self, session: Session | None) -> list[Problem]:
        unknown = self._parameters.unknown
        problems = [Problem(text, DiagnosticStatus.WARN, text) for text in unknown]
        if self._health.failure:
            problems.insert(0, Problem('failure', DiagnosticStatus.ERROR, self._health.failure))
        if session is None or not session.active:
            return problems
        clock = self._node.get_clock()
        camera = session.cameras[0]
        around = Surroundings(
            image_topic=camera.image_topic,
            num_image_publishers=self._node.count_publishers(camera.image_topic),
            camera_info_topic=camera.camera_info_topic,
            has_camera=camera.calibration.camera is not None,
            camera_problem=camera.calibration.problem,
            image_timeout_s=session.config.image_timeout,
            silent_clock=clock.ros_time_is_active and clock.now().nanoseconds == 0,
        )
        self._health.tracked(session.tick())
        problems += self._health.problems(around)
        for part in session.parts:
            problems += part.problems()
        return problems
