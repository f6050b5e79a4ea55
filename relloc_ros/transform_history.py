# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One moving transform over time: stored, forgotten, interpolated, never extrapolated."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from enum import Enum

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, interpolate

__all__ = ['TransformError', 'TransformErrorKind', 'TransformHistory']

NS_PER_S = 1_000_000_000
VALUES_PER_TRANSFORM = 12


class TransformErrorKind(Enum):
    """Why a transform cannot be given."""

    UNKNOWN_FRAME = 'unknown frame'
    NOT_CONNECTED = 'frames not connected'
    TOO_OLD = 'older than the buffer'
    IN_FUTURE = 'newer than the buffer'
    GAP = 'gap in the data'


class TransformError(DataError):
    """A transform is not known at the time asked for; `kind` says why."""

    def __init__(self, kind: TransformErrorKind, message: str) -> None:
        """Keep the kind beside the message."""
        super().__init__(message)
        self.kind = kind


class TransformHistory:
    """One moving transform over time.

    Numbers lie packed in two arrays: an hour of odometry at 200 Hz takes 75 MB, not 500.
    """

    def __init__(self, cache_ns: int | None = None) -> None:
        """Start empty.

        Args:
            cache_ns: what is older than the newest entry by more than this is forgotten;
                None keeps everything.
        """
        self._cache_ns = cache_ns
        self._stamps_ns = array('q')
        self._values = array('d')

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._stamps_ns)

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Time of the oldest and of the newest entry; None without any."""
        return (self._stamps_ns[0], self._stamps_ns[-1]) if self._stamps_ns else None

    def insert(self, stamp_ns: int, transform: RigidTransform) -> None:
        """Add an entry in any order of time; one of the same stamp is replaced."""
        stamps, values = self._stamps_ns, self._values
        if self._cache_ns is not None and stamps and stamp_ns < stamps[-1] - self._cache_ns:
            return
        new = array('d', [*transform.rotation.flat, *transform.translation])
        i = bisect_left(stamps, stamp_ns)
        start = VALUES_PER_TRANSFORM * i
        if i < len(stamps) and stamps[i] == stamp_ns:
            values[start : start + VALUES_PER_TRANSFORM] = new
            return
        stamps.insert(i, stamp_ns)
        values[start:start] = new
        if self._cache_ns is not None:
            expired = bisect_left(stamps, stamps[-1] - self._cache_ns)
            del stamps[:expired]
            del values[: VALUES_PER_TRANSFORM * expired]

    def at(self, stamp_ns: int, *, max_gap_ns: int | None = None) -> RigidTransform:
        """Interpolate at a time.

        Args:
            stamp_ns: the time.
            max_gap_ns: neighbours further apart than this are not interpolated.

        Raises:
            TransformError: TOO_OLD, IN_FUTURE or GAP.
        """
        stamps = self._stamps_ns
        if not stamps:
            raise TransformError(TransformErrorKind.IN_FUTURE, 'no data yet')
        i = bisect_left(stamps, stamp_ns)
        if i < len(stamps) and stamps[i] == stamp_ns:
            return self._entry(i)
        if i == 0:
            raise TransformError(
                TransformErrorKind.TOO_OLD,
                f'asked for time {_seconds(stamp_ns)}, the oldest data is '
                f'{_seconds(stamps[0] - stamp_ns)} s younger',
            )
        if i == len(stamps):
            raise TransformError(
                TransformErrorKind.IN_FUTURE,
                f'asked for time {_seconds(stamp_ns)}, the newest data is '
                f'{_seconds(stamp_ns - stamps[-1])} s older',
            )
        gap_ns = stamps[i] - stamps[i - 1]
        if max_gap_ns is not None and gap_ns > max_gap_ns:
            raise TransformError(
                TransformErrorKind.GAP,
                f'no data for {_seconds(gap_ns)} s around time {_seconds(stamp_ns)}',
            )
        fraction = (stamp_ns - stamps[i - 1]) / gap_ns
        return interpolate(self._entry(i - 1), self._entry(i), fraction)

    def nearest(self, stamp_ns: int, max_distance_ns: int) -> RigidTransform | None:
        """Give the entry nearest in time, if it is no further away."""
        stamps = self._stamps_ns
        i = bisect_left(stamps, stamp_ns)
        near = [j for j in (i - 1, i) if 0 <= j < len(stamps)]
        if not near:
            return None
        best = min(near, key=lambda j: abs(stamps[j] - stamp_ns))
        return self._entry(best) if abs(stamps[best] - stamp_ns) <= max_distance_ns else None

    def last_until(self, stamp_ns: int, max_age_ns: int) -> RigidTransform:
        """Give the newest entry that is not younger than a time.

        Raises:
            TransformError: TOO_OLD before the first, GAP if it is older than allowed.
        """
        i = bisect_right(self._stamps_ns, stamp_ns)
        if not i:
            raise TransformError(TransformErrorKind.TOO_OLD, 'no data yet')
        age_ns = stamp_ns - self._stamps_ns[i - 1]
        if age_ns > max_age_ns:
            raise TransformError(TransformErrorKind.GAP, f'no data for {_seconds(age_ns)} s')
        return self._entry(i - 1)

    def _entry(self, i: int) -> RigidTransform:
        start = VALUES_PER_TRANSFORM * i
        values = np.array(self._values[start : start + VALUES_PER_TRANSFORM])
        return RigidTransform(values[:9].reshape(3, 3), values[9:])


def _seconds(time_ns: int) -> str:
    return f'{time_ns / NS_PER_S:.3f}'
