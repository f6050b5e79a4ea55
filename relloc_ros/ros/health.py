# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the node is doing: what goes to /diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import re
import time

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.structures import Status
from relloc_ros.tracker import TrackingState

__all__ = ['Health', 'Problem', 'State', 'worst']

NUMBER = re.compile(r'\d+(\.\d+)?')


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


class Health:
    """Counts what happens while the node is active, and says what is wrong. Steady clock.

    Each image received is processed, dropped, skipped, or pending; those of a rig that go to the
    localizer together count as one.

    Attributes:
        state: one of State, or the tracker's.
        failure: why the last transition failed, '' if it did not.
        num_processed: images with a result.
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
        self._received = self._dropped = self._skipped = 0
        self.num_processed = self._localized = self._accepted = self._rejected = 0
        self._rate_since_s, self._rate_received, self._rate_hz = self._since_s, 0, 0.0
        self.restart()

    def restart(self) -> None:
        """Forget fixes and images after a jump of time; the counts go on."""
        self._last_fix_s: float | None = None
        self._last: FrameResult | None = None

    @property
    def has_result(self) -> bool:
        """Whether there is a result since the start, or the last jump of time."""
        return self._last is not None

    def image_received(self) -> None:
        """Count an image."""
        self._received += 1

    def image_dropped(self) -> None:
        """Count an image that a newer one replaced before it was processed."""
        self._dropped += 1

    def images_lost(self, count: int) -> None:
        """Count images that came too late for those they belong to."""
        self._received += count
        self._dropped += count

    def image_skipped(self) -> None:
        """Count an image left out: without calibration, while disabled, or standing still."""
        self._skipped += 1

    def frame_processed(self, result: FrameResult) -> None:
        """Take the result of an image, with its verdict."""
        self._last = result
        self.num_processed += 1
        if result.localization.localized:
            self._localized += 1
            if not result.accepted:
                self._rejected += 1
        if result.accepted:
            self._accepted += 1
            self._last_fix_s = self._steady_s()

    def problems(self, tracking: TrackingState) -> Iterator[Problem]:
        """List what is wrong with the results.

        Args:
            tracking: state of the tracker.
        """
        if self._last is None:
            return
        yield from self._image_problems(self._last)
        yield from self._tracking_problems(self._last, tracking)
        if self._last.odom_problem:
            yield Problem('odom', DiagnosticStatus.WARN, self._last.odom_problem)

    def values(self, num_pending: int, num_lost: int) -> dict[str, object]:
        """Give the figures, by documented key.

        Args:
            num_pending: images without a result as yet.
            num_lost: images whose results were discarded; they count as dropped.
        """
        last = self._last
        localization = None if last is None else last.localization
        return {
            'state': self.state,
            'status': localization.status if localization else '',
            'reason': _reason(last) if last else '',
            'last_fix_age_s': _age(self._last_fix_s, self._steady_s()),
            'inliers': localization.num_inliers if localization else 0,
            'confidence': localization.confidence_text if localization else '',
            'ms': f'{localization.timings_ms.get("total", 0.0):.1f}' if localization else '',
            'latency_ms': f'{1e3 * last.latency_s:.1f}' if last else '',
            'input_rate_hz': f'{self._input_rate():.2f}',
            'images_received': self._received,
            'images_processed': self.num_processed,
            'images_dropped': self._dropped + num_lost,
            'images_skipped': self._skipped,
            'images_pending': num_pending,
            'images_localized': self._localized,
            'images_accepted': self._accepted,
            'images_rejected': self._rejected,
        }

    def _image_problems(self, last: FrameResult) -> Iterator[Problem]:
        localization = last.localization
        if localization.status is Status.ERROR:
            kind = f'image: {NUMBER.sub("#", localization.reason)}'
            yield Problem(kind, DiagnosticStatus.ERROR, localization.reason)
        for text in last.image_problems:
            kind = f'image: {NUMBER.sub("#", text)}'
            yield Problem(kind, DiagnosticStatus.ERROR, text)

    def _tracking_problems(self, last: FrameResult, tracking: TrackingState) -> Iterator[Problem]:
        if tracking is TrackingState.LOCALIZED:
            return
        # The reason of an unusable image is a problem of its own.
        is_unusable = last.localization.status is Status.ERROR
        reason = 'unusable' if is_unusable else _reason(last) or 'accepted'
        is_lost = tracking is TrackingState.LOST
        age = _age(self._last_fix_s, self._steady_s())
        since = f'last localized {age} s ago' if age else 'not localized yet'
        yield Problem(
            'tracking',
            DiagnosticStatus.ERROR if is_lost else DiagnosticStatus.WARN,
            f'{tracking.value}, {since}; last image: {reason}',
        )

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


def _reason(last: FrameResult) -> str:
    """Say why an image gave no pose, or one that is not trusted."""
    localization = last.localization
    if localization.localized:
        return last.verdict.reason if last.verdict else ''
    return f'{localization.status}, {localization.reason}'


def _age(then_s: float | None, now_s: float) -> str:
    return '' if then_s is None else f'{now_s - then_s:.1f}'
