# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's report on /diagnostics, in every state of its lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from relloc_ros.ros.camera_input import CameraInput
from relloc_ros.ros.conversions import diagnostic_message
from relloc_ros.ros.health import Health, Problem, State, worst
from relloc_ros.ros.parameters import NodeParameters
from relloc_ros.ros.qos import misnamed_overrides
from relloc_ros.ros.session import Session

__all__ = ['Diagnostics', 'ProblemLog']

GONE_AFTER_S = 3.0
"""What comes and goes faster is one problem, told of once."""


class ProblemLog:
    """Logs each problem once when it appears or gets worse, and once when it is gone."""

    def __init__(self, node: Node, steady_s: Callable[[], float] = time.monotonic) -> None:
        """Start without a problem."""
        self._logger = node.get_logger()
        self._steady_s = steady_s
        self._known: dict[str, tuple[Problem, float]] = {}

    def update(self, problems: list[Problem]) -> None:
        """Take all problems there are now."""
        now_s = self._steady_s()
        for problem in problems:
            told, _ = self._known.get(problem.kind, (None, 0.0))
            if told is None or told.level < problem.level:
                self._log(problem)
                told = problem
            self._known[problem.kind] = told, now_s
        for kind, (problem, seen_s) in list(self._known.items()):
            if now_s - seen_s >= GONE_AFTER_S:
                del self._known[kind]
                self._logger.info(f'no longer: {problem.text}')

    def forget(self) -> None:
        """Forget all problems: nobody looks for them now."""
        self._known.clear()

    def _log(self, problem: Problem) -> None:
        # One line each: rclpy refuses two severities from one line of code.
        if problem.level == DiagnosticStatus.ERROR:
            self._logger.error(problem.text)
        else:
            self._logger.warning(problem.text)


class Diagnostics:
    """Publishes what is wrong and the figures, and logs what is wrong."""

    def __init__(self, node: Node, health: Health, parameters: NodeParameters) -> None:
        """Create the publisher."""
        self._node = node
        self._health = health
        self._parameters = parameters
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._unknown_log = ProblemLog(node)
        self._active_log = ProblemLog(node)

    def publish(self, session: Session | None) -> None:
        """Report on the node and its session."""
        unknown = [Problem(text, DiagnosticStatus.WARN, text) for text in self._parameters.unknown]
        self._unknown_log.update(unknown)
        missing: list[str] = []
        found: list[Problem] = []
        if session is not None and session.active:
            missing = self._enter_state(session)
            found = list(self._active_problems(session))
            self._active_log.update(found)
        else:
            self._active_log.forget()
        problems = unknown + found
        if self._health.failure:
            # It was logged when it happened.
            problems.insert(0, Problem('failure', DiagnosticStatus.ERROR, self._health.failure))
        text = self._health.state
        if missing:
            text += f' for {", ".join(missing)}'
        self._send(session, worst(problems), '; '.join([text, *(item.text for item in problems)]))

    def explain(self, session: Session | None) -> str:
        """Say why no image is localized now, '' if nothing is known to be wrong."""
        if session is None or not session.active:
            return f'the node is {self._health.state}'
        missing = ', '.join(self._missing(session))
        if missing:
            return f'waiting for {missing}'
        return '; '.join(problem.text for problem in self._active_problems(session))

    def _enter_state(self, session: Session) -> list[str]:
        """Set the state of an active node; returns the inputs that are waited for."""
        tracking = session.tick()
        if not session.enabled:
            self._health.state = State.DISABLED
            return []
        missing = list(self._missing(session))
        waits = missing or not self._health.has_result
        self._health.state = State.WAITING if waits else tracking.value
        return missing

    def _missing(self, session: Session) -> Iterator[str]:
        missing = [list(self._missing_of(session, camera)) for camera in session.cameras]
        # A rig works as long as one of its cameras does.
        if all(missing):
            yield from dict.fromkeys(chain(*missing))

    def _missing_of(self, session: Session, camera: CameraInput) -> Iterator[str]:
        yield from camera.missing(session.config.image_timeout)
        problem = self._extrinsics_problem(session, camera)
        if problem is not None:
            yield f'TF {session.config.base_frame_id} <- {problem.kind.partition(":")[2]}'

    def _active_problems(self, session: Session) -> Iterator[Problem]:
        clock = self._node.get_clock()
        if clock.ros_time_is_active and clock.now().nanoseconds == 0:
            yield Problem(
                'clock',
                DiagnosticStatus.WARN,
                'use_sim_time is set, but nothing comes on /clock: play the bag with --clock, '
                'or switch use_sim_time off',
            )
        topics = list(session.transform_input.topics)
        if session.enabled:
            for camera in session.cameras:
                yield from camera.problems(session.config.image_timeout)
                topics += camera.topics
            yield from self._result_problems(session)
        yield from session.transform_input.problems()
        yield from misnamed_overrides(self._node, topics)
        for part in session.parts:
            yield from part.problems()

    def _result_problems(self, session: Session) -> Iterator[Problem]:
        found = [self._extrinsics_problem(session, camera) for camera in session.cameras]
        extrinsics = [problem for problem in found if problem is not None]
        yield from extrinsics
        if len(extrinsics) < len(session.cameras):
            # Otherwise each image has this very problem.
            yield from self._health.problems(session.tracker.state)

    def _extrinsics_problem(self, session: Session, camera: CameraInput) -> Problem | None:
        camera_frame = session.config.camera_frame or camera.frame_id
        if not camera_frame:
            return None
        base_frame = session.config.base_frame_id
        return session.transform_input.extrinsics_problem(base_frame, camera_frame)

    def _send(self, session: Session | None, level: bytes, text: str) -> None:
        num_pending = session.worker.num_pending if session else 0
        values = {
            **self._health.values(num_pending, session.num_lost if session else 0),
            'tf': '',
            'map_id': session.map_id if session else '',
            'map_path': self._node.get_parameter('map_path').value,
        }
        if session is not None and session.active:
            offsets_s = [camera.watch.stamp_offset_s for camera in session.cameras]
            values['stamp_offset_s'] = f'{max(offsets_s, key=abs):.3f}'
        for part in session.parts if session else ():
            values.update(part.values())
        stamp_ns = self._node.get_clock().now().nanoseconds
        name = f'{self._node.get_name()}: localization'
        message = diagnostic_message(stamp_ns, name, level, text, values)
        # The topic is the same for a whole fleet, and so is the name.
        message.status[0].hardware_id = self._node.get_fully_qualified_name()
        self._publisher.publish(message)
