# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long a robot waits for a pose: until the first, and between two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ['longest_gap_s', 'time_to_first_fix_s']

NS_PER_S = 1e9


def time_to_first_fix_s(stamps_ns: Sequence[int], localized: Sequence[bool]) -> float | None:
    """Seconds from the first image to the first with a pose; None if none has one.

    Args:
        stamps_ns: of the images of one sequence, in any order.
        localized: which of them have a pose.
    """
    stamps, fixed = _in_time(stamps_ns, localized)
    return float(stamps[fixed][0] - stamps[0]) / NS_PER_S if fixed.any() else None


def longest_gap_s(stamps_ns: Sequence[int], localized: Sequence[bool]) -> float | None:
    """Longest time in seconds without a pose, though there were images; 0 if all have one.

    From pose to pose around failed images; from the first image to the first pose, and from the
    last pose to the last image, as well. All the time if no image has a pose.

    Args:
        stamps_ns: of the images of one sequence, in any order.
        localized: which of them have a pose.

    Returns:
        Seconds; None without images.
    """
    if not len(stamps_ns):
        return None
    stamps, fixed = _in_time(stamps_ns, localized)
    fixes = np.flatnonzero(fixed)
    # Failed images have a fix, or the end of the sequence, on either side.
    before = np.concatenate([[0], fixes])
    after = np.concatenate([fixes, [len(stamps) - 1]])
    around_failures = np.diff(np.concatenate([[-1], fixes, [len(stamps)]])) > 1
    gaps = (stamps[after] - stamps[before])[around_failures]
    return float(gaps.max()) / NS_PER_S if len(gaps) else 0.0


def _in_time(
    stamps_ns: Sequence[int], localized: Sequence[bool]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    order = np.argsort(stamps, kind='stable')
    return stamps[order], np.asarray(localized, dtype=bool)[order]
