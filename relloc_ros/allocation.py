# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How this process asks the system for memory."""

from __future__ import annotations

import ctypes

__all__ = ['keep_freed_memory']

# Parameters of mallopt(3).
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_KEPT = 32 * 2**20
"""As much as glibc takes for this."""
MOST_KEPT = 256 * 2**20


def keep_freed_memory() -> None:
    """Keep what images of scale spaces and tables of products leave, for the next ones.

    glibc gives blocks of some megabytes back to the system each time they are freed, or does not,
    depending on what was freed before. Where it does, the system clears every page again, and
    SIFT takes nearly twice as long. For programs, not for libraries: it changes the whole process.
    Where there is no glibc, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
