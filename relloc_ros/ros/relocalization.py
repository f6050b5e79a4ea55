# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Searching the robot anew on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from std_srvs.srv import Empty

from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.part import Part

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['Answer', 'GlobalLocalization', 'Relocalization']

Answer = dict[str, Any]
"""Of a request to localize; has the keys of `EMPTY_ANSWER`."""

EMPTY_ANSWER: Answer = {
    'accepted': False,
    'state': '',
    'status': None,
    'reason': '',
    'localizer': '',
    'frame_id': '',
    'child_frame_id': '',
    'stamp_ns': None,
    'position': None,
    'quat_xyzw': None,
    'covariance': None,
    'matches': 0,
    'inliers': 0,
    'confidence': None,
    'ms': 0.0,
    'images': 0,
}


class Relocalization(Part):
    """Waits for an image whose pose is accepted, for everybody who asks."""

    def __init__(self, session: Session) -> None:
        """Start with nobody waiting."""
        super().__init__(session)
        self._waiting: list[_Request] = []
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)

    def search(self, explain: Callable[[], str]) -> Future:
        """Search the robot anew, with images that come from now on.

        Who asks while a search goes on joins it.

        Args:
            explain: says, should no image come, why.

        Returns:
            A future `Answer`; it comes after `relocalize_frames` images or `relocalize_timeout`
            on a steady clock at the latest.
        """
        session, config = self.session, self.session.config
        if not self._waiting:
            session.discard()
            session.search()
        request = _Request(Future(), config.relocalize_frames, explain)
        request.timer = self.node.create_timer(
            config.relocalize_timeout,
            lambda: self._time_out(request, config.relocalize_timeout),
            clock=self._steady_clock,
        )
        self._waiting.append(request)
        return request.future

    def frame_processed(self, result: FrameResult) -> None:
        """Answer with an accepted pose, or with the last failure."""
        for request in list(self._waiting):
            request.images += 1
            request.last = _answer(result, self.session)
            request.last['images'] = request.images
            if result.accepted:
                self._reply(request, request.last)
            elif request.images >= request.max_images:
                reason = f'no pose in {request.images} images; the last: {request.last["reason"]}'
                self._reply(request, {**request.last, 'reason': reason})

    def deactivate(self) -> None:
        """Answer that there will be no images."""
        self._give_up('the node was deactivated')

    def enabled_changed(self) -> None:
        """Answer that there will be no images for the time being."""
        if not self.session.enabled:
            self._give_up('localization was disabled')

    def forget_time(self) -> None:
        """Answer that what was found does not hold any more."""
        self._give_up('time jumped: ask again')

    def map_changed(self) -> None:
        """Answer that what was found does not hold any more."""
        self._give_up('another map was loaded: ask again')

    def _give_up(self, reason: str) -> None:
        for request in list(self._waiting):
            self._reply(request, {**EMPTY_ANSWER, 'reason': reason, 'images': request.images})

    def _time_out(self, request: _Request, timeout_s: float) -> None:
        if request.last is not None:
            reason = (
                f'no pose in {timeout_s:g} s, {request.images} images; the last: '
                f'{request.last["reason"]}'
            )
            self._reply(request, {**request.last, 'reason': reason})
            return
        reason = f'no image was localized in {timeout_s:g} s'
        if explanation := request.explain():
            reason = f'{reason}: {explanation}'
        self._reply(request, {**EMPTY_ANSWER, 'reason': reason})

    def _reply(self, request: _Request, answer: Answer) -> None:
        self._waiting.remove(request)
        if request.timer is not None:
            self.node.destroy_timer(request.timer)
        request.future.set_result({**answer, 'state': self.session.tracker.state.value})


class _Request:
    """Somebody who waits."""

    def __init__(self, future: Future, max_images: int, explain: Callable[[], str]) -> None:
        self.future = future
        self.max_images = max_images
        self.explain = explain
        self.images = 0
        self.last: Answer | None = None
        self.timer: Any = None


def _answer(result: FrameResult, session: Session) -> Answer:
    """Say what became of an image; a pose that is not trusted is not told."""
    answer = EMPTY_ANSWER | result.localization.to_dict()
    pose = result.pose if result.accepted else None
    answer |= {'position': None, 'quat_xyzw': None, 'covariance': None}
    if pose is not None:
        answer |= pose.to_dict()
    if result.verdict is not None:
        answer['reason'] = answer['reason'] or result.verdict.reason
    answer['accepted'] = result.accepted
    answer['frame_id'] = session.config.global_frame_id
    answer['child_frame_id'] = session.config.base_frame_id
    return answer


class GlobalLocalization(Part):
    """The service by which Nav2's behaviour trees ask AMCL to search the robot in all the map."""

    def __init__(self, session: Session) -> None:
        """Create the service, if it is wanted."""
        super().__init__(session)
        self._service: Any = None
        if session.config.serve_global_localization:
            self._service = self.node.create_service(
                Empty, 'reinitialize_global_localization', self._on_request
            )

    def close(self) -> None:
        """Destroy the service."""
        if self._service is not None:
            self.node.destroy_service(self._service)

    def _on_request(self, request: Empty.Request, response: Empty.Response) -> Empty.Response:
        """Forget the track and any pose that somebody gave; TF goes on until a new fix."""
        if self.session.active:
            self.session.discard()
            self.session.search()
            self.node.get_logger().info('the robot is searched in all the map, as asked')
        else:
            self.node.get_logger().warning(
                'reinitialize_global_localization does nothing while the node is not active'
            )
        return response
