# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the images of a camera come, and what is wrong with their stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.health import Problem

__all__ = ['ImageWatch']

NS_PER_S = 1_000_000_000

MAX_STAMP_OFFSET_S = 2.0
"""Images stamped further from the node's time than this come from another clock."""

MAX_STUCK_STAMPS = 3
"""So many images in a row that are not younger than one before are no accident."""


class ImageWatch:
    """Watches the arrival of images, on a steady clock.

    Attributes:
        num_received: images since the beginning.
        stamp_offset_s: stamp of the last image minus the node's time.
    """

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        """Start without an image."""
        self._steady_s = steady_s
        self._since_s = steady_s()
        self._last_s: float | None = None
        self.num_received = 0
        self.stamp_offset_s = 0.0
        self.forget_time()

    def forget_time(self) -> None:
        """Accept older stamps than before: time has jumped."""
        self._newest_ns: int | None = None
        self._num_stuck = 0

    def received(self, stamp_ns: int, now_ns: int) -> None:
        """Take note of an image.

        Args:
            stamp_ns: of the image.
            now_ns: the node's time; 0 as long as it has none.
        """
        self._last_s = self._steady_s()
        self.num_received += 1
        self.stamp_offset_s = (stamp_ns - now_ns) / NS_PER_S if now_ns else 0.0
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns, self._num_stuck = stamp_ns, 0
        else:
            self._num_stuck += 1

    @property
    def waited_s(self) -> float:
        """Seconds since the beginning."""
        return self._steady_s() - self._since_s

    @property
    def silence_s(self) -> float:
        """Seconds without an image."""
        since_s = self._since_s if self._last_s is None else self._last_s
        return self._steady_s() - since_s

    def problems(self, topic: str) -> Iterator[Problem]:
        """Say what is wrong with the stamps."""
        if self._num_stuck >= MAX_STUCK_STAMPS:
            stamp_s = (self._newest_ns or 0) / NS_PER_S
            yield Problem(
                f'stamps:{topic}',
                DiagnosticStatus.ERROR,
                f'stamps of the images on {topic} do not advance beyond {stamp_s:.3f} s: the '
                'driver must stamp each image with its time of exposure',
            )
        offset_s = self.stamp_offset_s
        if abs(offset_s) > MAX_STAMP_OFFSET_S:
            side = 'in its future' if offset_s > 0 else 'in its past'
            yield Problem(
                f'stamp:{topic}',
                DiagnosticStatus.WARN,
                f'image stamp is {abs(offset_s):.1f} s from node time, {side} ({topic}): '
                'synchronize the clocks of the machines, or, with a bag, set use_sim_time and '
                'play it with --clock',
            )
