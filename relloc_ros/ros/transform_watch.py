# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who says what on /tf: another publisher of our transform, frames with two parents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.health import Problem

__all__ = ['TransformWatch']

MEMORY_S = 3.0
"""A publisher silent for longer is gone."""

MAX_SENT = 1000
"""Transforms of ours that may be on their way back to us."""

MAX_CONFLICTS = 3
"""Frames with two parents that are told of; more would hide everything else."""


class TransformWatch:
    """Listens to all transforms, ours included, on a steady clock.

    What this node sends comes back to it. Each transform that goes out is remembered with its
    stamp and all its digits, and is forgotten when it comes back: one that comes in and was not
    sent, or comes a second time, is another publisher's, even of a twin of this node.

    Attributes:
        frames: all names of frames that were heard of.
    """

    def __init__(self, our_child: str, steady_s: Callable[[], float] = time.monotonic) -> None:
        """Start without having heard anything.

        Args:
            our_child: frame whose parent this node publishes, '' if it publishes none.
            steady_s: clock.
        """
        self._our_child = our_child
        self._steady_s = steady_s
        self.frames: set[str] = set()
        self._sent: dict[tuple[Any, ...], None] = {}
        self._parents: dict[str, dict[str, float]] = {}
        self._foreign: tuple[str, float] | None = None

    def sent(self, message: Any) -> None:
        """Remember a tf2_msgs/TFMessage of ours; called before it is published."""
        for transform in message.transforms:
            self._sent[_key(transform)] = None
        for key in list(islice(self._sent, max(0, len(self._sent) - MAX_SENT))):
            del self._sent[key]

    def received(self, message: Any, *, static: bool) -> None:
        """Take note of a tf2_msgs/TFMessage from anybody; a static one holds for ever."""
        until_s = float('inf') if static else self._steady_s() + MEMORY_S
        for transform in message.transforms:
            parent = transform.header.frame_id.lstrip('/')
            child = transform.child_frame_id.lstrip('/')
            self.frames |= {parent, child}
            self._parents.setdefault(child, {})[parent] = until_s
            if child == self._our_child and self._is_foreign(transform):
                self._foreign = parent, until_s

    def problems(
        self, topics: Sequence[str], publishers: Callable[[], list[str]], remedy: str
    ) -> Iterator[Problem]:
        """Say what is wrong.

        Args:
            topics: resolved names of /tf and /tf_static.
            publishers: gives the other nodes that publish transforms.
            remedy: what to do about a second publisher here.
        """
        where = f'on {" or ".join(topics)}'
        now_s = self._steady_s()
        if self._foreign is not None and now_s < self._foreign[1]:
            names = ', '.join(publishers()) or 'a node that is gone'
            yield Problem(
                'tf_publisher',
                DiagnosticStatus.ERROR,
                f'a second publisher of {self._foreign[0]} -> {self._our_child} {where}: one of '
                f'{names}; switch it off there, or {remedy} here',
            )
        for child, parents in islice(self._conflicts(now_s), MAX_CONFLICTS):
            yield Problem(
                f'parents:{child}',
                DiagnosticStatus.WARN,
                f'frame {child!r} has two parents {where}, '
                f'{" and ".join(map(repr, parents))}: a frame has one; switch one of their '
                'publishers off',
            )

    def _is_foreign(self, transform: Any) -> bool:
        key = _key(transform)
        is_ours = key in self._sent
        self._sent.pop(key, None)
        return not is_ours

    def _conflicts(self, now_s: float) -> Iterator[tuple[str, list[str]]]:
        for child, parents in self._parents.items():
            heard = sorted(parent for parent, until_s in parents.items() if now_s < until_s)
            # Of our own child `tf_publisher` tells more.
            if len(heard) > 1 and child != self._our_child:
                yield child, heard


def _key(transform: Any) -> tuple[Any, ...]:
    stamp, at, turn = (
        transform.header.stamp,
        transform.transform.translation,
        transform.transform.rotation,
    )
    names = transform.header.frame_id, transform.child_frame_id
    return (*names, stamp.sec, stamp.nanosec, at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w)
