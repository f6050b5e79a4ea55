# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Visual words of the descriptors of 3D points: what prioritized search runs through."""

from __future__ import annotations

from dataclasses import dataclass
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

__all__ = ['WordEntries', 'learn_words', 'make_entries', 'nearest_words']

FloatArray = NDArray[np.float32]

ENTRIES_PER_WORD = 100
"""Enough that the second-nearest of a word says what is ambiguous, few enough to be quick."""
LEAST_WORDS, MOST_WORDS = 1, 1000
TRAINING_DESCRIPTORS = 30_000
KMEANS_ITERATIONS = 8
CHUNK = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class WordEntries:
    """Entries in order of their words; see `MapPoints`.

    Attributes:
        offsets: (W + 1,) int64.
        points: (E,) int32.
        rows: (E,) the descriptor that stands for the entry, a row of those given.
    """

    offsets: NDArray[np.int64]
    points: NDArray[np.int32]
    rows: NDArray[np.intp]


def learn_words(descriptors: FloatArray, seed: int) -> FloatArray:
    """Learn (W, D) words from unit descriptors (K, D), one for about a hundred of them."""
    count = int(np.clip(len(descriptors) // ENTRIES_PER_WORD, LEAST_WORDS, MOST_WORDS))
    rng = np.random.default_rng(seed)
    sample = descriptors
    if len(descriptors) > TRAINING_DESCRIPTORS:
        sample = descriptors[rng.choice(len(descriptors), TRAINING_DESCRIPTORS, replace=False)]
    with warnings.catch_warnings():
        # A word that loses all its descriptors keeps its place: no harm.
        warnings.simplefilter('ignore', UserWarning)
        words, _ = kmeans2(sample, count, iter=KMEANS_ITERATIONS, minit='points', seed=rng)
    return np.asarray(words, dtype=np.float32)


def nearest_words(descriptors: FloatArray, words: FloatArray) -> NDArray[np.intp]:
    """Word (K,) of each descriptor (K, D)."""
    half_squares = 0.5 * np.einsum('wd,wd->w', words, words)
    parts = [
        (descriptors[i : i + CHUNK] @ words.T - half_squares).argmax(axis=1)
        for i in range(0, len(descriptors), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)


def make_entries(
    descriptors: FloatArray,
    points: NDArray[np.integer],  # type: ignore[type-arg]
    words: FloatArray,
) -> WordEntries:
    """Give each point one entry in every word that its descriptors fall into.

    Of several descriptors of a point in one word the one nearest to their mean stands for all.

    Args:
        descriptors: (K, D) of unit length.
        points: (K,) the point of each.
        words: (W, D).
    """
    assigned = nearest_words(descriptors, words)
    order = np.lexsort((points, assigned))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(assigned[order]) != 0) | (np.diff(points[order]) != 0)
    group = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    if len(starts) == 0:
        empty = np.empty(0, dtype=np.intp)
        return WordEntries(np.zeros(len(words) + 1, np.int64), empty.astype(np.int32), empty)
    sums = np.add.reduceat(descriptors[order], starts, axis=0)
    closeness = np.einsum('kd,kd->k', descriptors[order], sums[group])
    # The last of each group when sorted by group, then by closeness.
    best = np.lexsort((closeness, group))[np.append(starts[1:], len(order)) - 1]
    rows = order[best]
    counts = np.bincount(assigned[rows], minlength=len(words))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return WordEntries(offsets, points[rows].astype(np.int32), rows)
