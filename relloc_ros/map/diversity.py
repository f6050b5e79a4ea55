# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose images that are seen from different places (Zhou et al., ICRA 2020, section III-A)."""

from __future__ import annotations

import numpy as np

from relloc_ros.geometry import Array

__all__ = ['select_diverse']

MIN_DISTANCE_FRACTION = 0.04
MAX_DISTANCE_FRACTION = 10.0
"""Diversity limits a and b, derived: fractions of the median distance of the retrieved images.
The spacing of neighbours is the wrong scale (millimetres in a video), and so is the extent of
the whole map (a city): what counts is how far apart the candidates for this very place are."""


def select_diverse(
    centres: Array, max_images: int, distance_limits: tuple[float, float]
) -> list[int]:
    """Walk down a ranking and take what lies in [a, b] of every image already taken.

    Places left over are filled from the top of what was passed over: a near-duplicate still
    averages noise, it only adds no baseline.

    Args:
        centres: (N, 3) camera centres, best first.
        max_images: images to take.
        distance_limits: a and b in map units; 0 derives them from the centres.

    Returns:
        Positions in the ranking, in the order taken.
    """
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    least, largest = _limits(distances, distance_limits)
    diverse = (distances >= least) & (distances <= largest)
    taken: list[int] = []
    candidates = np.ones(len(centres), dtype=bool)
    for index in range(len(centres)):
        if candidates[index] and len(taken) < max_images:
            taken.append(index)
            candidates &= diverse[index]
    passed_over = [index for index in range(len(centres)) if index not in taken]
    return taken + passed_over[: max_images - len(taken)]


def _limits(distances: Array, distance_limits: tuple[float, float]) -> tuple[float, float]:
    pairs = distances[np.triu_indices(len(distances), 1)]
    typical = float(np.median(pairs)) if len(pairs) else 0.0
    least = distance_limits[0] or MIN_DISTANCE_FRACTION * typical
    largest = distance_limits[1] or MAX_DISTANCE_FRACTION * typical
    return least, largest
