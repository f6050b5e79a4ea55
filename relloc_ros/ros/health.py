# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the node is doing: what goes to /diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import time

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.structures import Status
from relloc_ros.tracker import TrackingState

__all__ = ['Health', 'Problem', 'State', 'Surroundings', 'worst']

NS_PER_S = 1_000_000_000
MAX_STAMP_OFFSET_S = 2.0
"""Images stamped further from the node's time than this come from another clock."""


class State:
    """Values of the key `state` beside those of `TrackingState`."""

    UNCONFIGURED = 'UNCONFIGURED'
    INACTIVE = 'INACTIVE'
    WAITING = 'WAITING'
    DISABLED = 'DISABLED'


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know.

    Attributes:
        kind: the same as long as it is the same problem, whatever numbers the text has.
        level: WARN or ERROR of DiagnosticStatus.
        text: one sentence.
    """

    kind: str
    level: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the node sees around itself when it reports.

    Attributes:
        image_topic: resolved name.
        num_image_publishers: publishers of it.
        camera_info_topic: resolved name.
        has_camera: whether there is a usable camera_info.
        camera_problem: why the last camera_info is not usable.
        image_timeout_s: silence longer than this is a problem.
        silent_clock: whether use_sim_time is set and nothing has come on /clock.
    """

    image_topic: str
    num_image_publishers: int
    camera_info_topic: str
    has_camera: bool
    camera_problem: str
    image_timeout_s: float
    silent_clock: bool


class Health:
    """Counts what happens while the node is active, and says what is wrong. Steady clock.

    Attributes:
        state: one of State.
        failure: why the last transition failed, '' if it did not.
    """

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        """Start unconfigured."""
        self._steady_s = steady_s
        self.failure = ''
        self.start(State.UNCONFIGURED)

    def start(self, state: str) -> None:
        """Enter a state of the lifecycle; all counts begin anew."""
        self.state = state
        self._since_s = self._steady_s()
        self._last_image_s: float | None = None
        self._last_fix_s: float | None = None
        self._last: FrameResult | None = None
        self._stamp_offset_s = 0.0
        self._received = self._dropped = self._skipped = 0
        self._processed = self._localized = self._accepted = 0
        self._rate_since_s, self._rate_received, self._rate_hz = self._since_s, 0, 0.0

    def restart(self) -> None:
        """Forget fixes and images after a jump of time; the counts go on."""
        self.state = State.WAITING
        self._last_fix_s, self._last = None, None

    def image_received(self, stamp_ns: int, now_ns: int) -> None:
        """Count an image; `now_ns` is the node's time."""
        self._last_image_s = self._steady_s()
        self._received += 1
        self._stamp_offset_s = (stamp_ns - now_ns) / NS_PER_S

    def image_dropped(self) -> None:
        """Count an image that a newer one replaced before it was processed."""
        self._dropped += 1

    def image_skipped(self) -> None:
        """Count an image that was left out since the robot stands still."""
        self._skipped += 1

    def frame_processed(self, result: FrameResult) -> None:
        """Take the result of an image, with its verdict."""
        self._last = result
        self._processed += 1
        if result.verdict is not None:
            self.state = result.verdict.state.value
        if result.localization.localized:
            self._localized += 1
        if result.accepted:
            self._accepted += 1
            self._last_fix_s = self._steady_s()

    def tracked(self, state: TrackingState) -> None:
        """Take the tracker's state, which may change with time alone."""
        if self._processed and self._last is not None:
            self.state = state.value

    def problems(self, around: Surroundings) -> list[Problem]:
        """List what is wrong while active."""
        return [*self._input_problems(around), *self._frame_problems()]

    def values(self) -> dict[str, object]:
        """Give the figures, by documented key."""
        last = self._last
        localization = None if last is None else last.localization
        return {
            'state': self.state,
            'status': localization.status if localization else '',
            'reason': localization.reason if localization else '',
            'last_fix_age_s': _age(self._last_fix_s, self._steady_s()),
            'inliers': localization.num_inliers if localization else 0,
            'ms': f'{localization.timings_ms.get("total", 0.0):.1f}' if localization else '',
            'latency_ms': f'{1e3 * last.latency_s:.1f}' if last else '',
            'input_rate_hz': f'{self._input_rate():.2f}',
            'images_received': self._received,
            'images_dropped': self._dropped,
            'images_skipped': self._skipped,
            'images_processed': self._processed,
            'images_localized': self._localized,
            'images_accepted': self._accepted,
            'stamp_offset_s': f'{self._stamp_offset_s:.3f}',
        }

    def _input_problems(self, around: Surroundings) -> Iterator[Problem]:
        error, warn = DiagnosticStatus.ERROR, DiagnosticStatus.WARN
        if around.silent_clock:
            yield Problem('clock', warn, 'use_sim_time is set, but nothing comes on /clock')
        silence_s = self._steady_s() - (self._last_image_s or self._since_s)
        waited = silence_s > around.image_timeout_s
        if waited:
            yield Problem('images', error, _no_images(silence_s, around))
        if around.camera_problem:
            yield Problem('camera_info', error, around.camera_problem)
        elif not around.has_camera and (waited or self._received):
            yield Problem(
                'camera_info', error, f'camera_info missing on topic {around.camera_info_topic}'
            )
        if self._received and abs(self._stamp_offset_s) > MAX_STAMP_OFFSET_S:
            yield Problem(
                'stamp',
                warn,
                f'image stamp is {self._stamp_offset_s:.1f} s from node time: '
                'check the clocks, or set use_sim_time and play the bag with --clock',
            )

    def _frame_problems(self) -> Iterator[Problem]:
        if self._last is None:
            return
        localization = self._last.localization
        if localization.status is Status.ERROR:
            yield Problem('frame', DiagnosticStatus.ERROR, localization.reason)
        elif not localization.localized:
            text = f'not localized, {localization.status}: {localization.reason}'
            yield Problem('frame', DiagnosticStatus.WARN, text)
        if self._last.odom_problem:
            yield Problem('odom', DiagnosticStatus.WARN, self._last.odom_problem)

    def _input_rate(self) -> float:
        now_s = self._steady_s()
        duration_s = now_s - self._rate_since_s
        if duration_s > 0.5:
            self._rate_hz = (self._received - self._rate_received) / duration_s
            self._rate_since_s, self._rate_received = now_s, self._received
        return self._rate_hz


def worst(problems: list[Problem]) -> bytes:
    """Give the level of the worst problem, OK if there is none."""
    return max((problem.level for problem in problems), default=DiagnosticStatus.OK)


def _no_images(silence_s: float, around: Surroundings) -> str:
    topic = around.image_topic
    text = f'no images in {silence_s:.0f} s on topic {topic}'
    if not around.num_image_publishers:
        return f'{text}: nobody publishes it'
    return (
        f'{text}, though it has a publisher; if large images get lost on the way, set '
        f'qos_overrides.{topic}.subscription.reliability to reliable'
    )


def _age(then_s: float | None, now_s: float) -> str:
    return '' if then_s is None else f'{now_s - then_s:.1f}'
