# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images are worth matching when nothing is known of where they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.map.similarity_search import ExactSearch

__all__ = ['EXHAUSTIVE', 'Pair', 'all_pairs', 'choose_pairs']

EXHAUSTIVE = 60
"""Up to so many images every pair is matched."""
SIMILAR = 30
FOLLOWING = 4

Pair = tuple[int, int]


def all_pairs(count: int) -> list[Pair]:
    """Give all pairs of `count` images."""
    return list(combinations(range(count), 2))


def choose_pairs(descriptors: NDArray[np.float32]) -> list[Pair]:
    """Pair each image with the most similar ones and with those that follow it.

    Args:
        descriptors: (N, D) global descriptors, in the order of time or name.

    Returns:
        Pairs of indices, the smaller first, in order.
    """
    count = len(descriptors)
    search = ExactSearch(descriptors)
    pairs = set()
    for index, descriptor in enumerate(descriptors):
        similar, _ = search.nearest(descriptor, SIMILAR + 1)
        following = range(index + 1, min(index + FOLLOWING + 1, count))
        pairs.update(_ordered(index, [*similar.tolist(), *following]))
    return sorted(pairs)


def _ordered(index: int, others: Sequence[int]) -> list[Pair]:
    return [(min(index, other), max(index, other)) for other in others if other != index]
