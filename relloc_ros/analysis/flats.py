# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points, lines and planes that positions keep to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import Array

__all__ = ['KINDS', 'Flat']

KINDS = ('point', 'line', 'plane', 'space')
"""By dimension."""


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """An affine subspace of the map: a point, a line, a plane, or all of space.

    Attributes:
        origin: (3,) a point of it, map units.
        axes: (3, 3) orthonormal rows; the first `rank` lie in it, the others stand on it.
        rank: its dimension, 0 to 3.
    """

    origin: Array
    axes: Array
    rank: int

    @property
    def kind(self) -> str:
        """What it is called."""
        return KINDS[self.rank]

    @property
    def normal(self) -> Array:
        """(3,) unit normal of a plane, its largest component positive."""
        return _signed(self.axes[2])

    @property
    def direction(self) -> Array:
        """(3,) unit direction of a line, its largest component positive."""
        return _signed(self.axes[0])

    @property
    def offset(self) -> float:
        """Offset of a plane: its points fulfil ``normal @ x == offset``."""
        return float(self.normal @ self.origin)

    def distances(self, points: Array) -> Array:
        """Distances (N,) of points (N, 3) from it, map units."""
        off = (points - self.origin) @ self.axes[self.rank :].T
        distances: Array = np.linalg.norm(off, axis=1)
        return distances

    def said(self, units: str) -> str:
        """Name it with its numbers: `the plane 0.00 x + 0.00 y + 1.00 z = 1.42 m`."""
        if self.rank == 0:
            return f'the point {_vector(self.origin)} {units}'
        if self.rank == 1:
            foot = self.origin - (self.origin @ self.direction) * self.direction
            direction = _vector(self.direction)
            return f'the line through {_vector(foot)} {units} with direction {direction}'
        if self.rank == 2:
            normal = _vector(self.normal)
            return f'the plane with normal {normal} and offset {_number(self.offset)} {units}'
        return 'all of space'


def _signed(axis: Array) -> Array:
    return axis if axis[np.abs(axis).argmax()] > 0.0 else -axis


def _vector(values: Array) -> str:
    return f'({", ".join(map(_number, values))})'


def _number(value: float) -> str:
    """Write with three decimals at most: coordinates may have seven digits before them."""
    # Adding zero takes the sign from -0.
    return f'{round(float(value), 3) + 0.0:.3f}'.rstrip('0').rstrip('.')
