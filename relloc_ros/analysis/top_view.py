# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The directions from which figures of an analysis look at positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.analysis.flats import Flat
from relloc_ros.analysis.model_analysis import Analysis
from relloc_ros.evaluation.report.trajectory_plot import TopView
from relloc_ros.geometry import Array

__all__ = ['Views', 'flat_line', 'limits_of', 'views_of', 'without_outliers']

MARGIN = 0.06
LEAST_WIDTH = 0.3
"""Of the shorter side of what is shown, as part of the longer."""
OUTLIERS = 0.01
FAR = 1.5
"""Base translations this much longer than the longest 1 % begin lie outside of what is shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Two axes that span the view from above, and the one upwards.

    Attributes:
        above: of the positions.
        up: (3,) unit vector, at a right angle to both axes.
    """

    above: TopView
    up: Array

    def flatten(self, vectors: Array, *, side: bool = False) -> Array:
        """Components (N, 2) of vectors (N, 3): both axes, or from the side the first and up."""
        axes = np.array([self.above.axes[0], self.up if side else self.above.axes[1]])
        flat: Array = vectors.reshape(-1, 3) @ axes.T
        return flat


def views_of(analysis: Analysis) -> Views:
    """Look along the direction in which the positions of an analysis extend least."""
    training, queries = analysis.training, analysis.queries
    rotations = np.concatenate([training.rotations, queries.rotations])
    up = -rotations[:, :, 1].mean(axis=0)
    above = TopView.of(np.concatenate([training.positions, queries.positions]), up)
    return Views(above, np.cross(*above.axes))


def limits_of(*points: Array) -> Array:
    """Lower and upper corner (2, 2) around points (N, 2), neither too narrow nor too flat."""
    together = np.concatenate(points)
    low, high = together.min(axis=0), together.max(axis=0)
    side = float((high - low).max()) or 1.0
    missing = np.maximum(LEAST_WIDTH * side - (high - low), 0.0) / 2.0
    margin = MARGIN * side + missing
    return np.array([low - margin, high + margin])


def flat_line(flat: Flat, views: Views, limits: Array) -> Array | None:
    """Ends (2, 2) of what is seen of a flat from above, if that is a line.

    Args:
        flat: of positions.
        views: from where.
        limits: (2, 2) of what is shown, relative to the origin of the view.
    """
    if flat.rank == 1:
        direction = views.flatten(flat.direction)[0]
    elif flat.rank == 2 and abs(flat.normal @ views.up) < 0.1:
        direction = views.flatten(np.cross(flat.normal, views.up))[0]
    else:
        return None
    length = float(np.linalg.norm(direction))
    if length < 0.1:
        return None
    through = views.flatten(flat.origin - views.above.origin)[0]
    reach = float(np.linalg.norm(limits[1] - limits[0])) * direction / length
    return np.array([through - reach, through + reach])


def without_outliers(vectors: Array) -> Array:
    """Leave out the longest of base translations (N, 2), and add the one of no length."""
    lengths = np.linalg.norm(vectors, axis=1)
    longest = FAR * np.quantile(lengths, 1.0 - OUTLIERS) if len(vectors) else 0.0
    return np.concatenate([vectors[lengths <= longest], [[0.0, 0.0]]])
