# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras, covariances and errors as lines, ellipsoids and colours of a 3D scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform

__all__ = ['ErrorColours', 'camera_size', 'ellipsoids', 'frustum_lines', 'thin_out']


ColourArray = NDArray[np.uint8]

CHI2_95_OF_3 = 7.814727903251179
"""95 % quantile of the chi-squared distribution with three degrees of freedom."""

EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 2))
"""Corners of a frustum: apex, four of the image, and a tip above the upper two."""

CAMERA_SHARE = 0.045

UNKNOWN_COLOUR = (128, 128, 128)
SCALE_COLOURS = ((38, 130, 142), (53, 183, 121), (253, 190, 40), (220, 50, 32))
"""From small to large errors: teal, green, amber, red; told apart by the colour-blind too."""


def frustum_lines(map_from_cam: Sequence[RigidTransform], camera: Camera, size: float) -> Array:
    """Outline cameras: (N * 10, 2, 3) line segments in the map.

    Args:
        map_from_cam: N poses.
        camera: gives the shape.
        size: half the diagonal of the image rectangle, map units.
    """
    half = np.array([camera.width, camera.height]) / 2.0
    half *= size / np.linalg.norm(half)
    # No deeper than twice the size: a telephoto lens would be a needle.
    diagonal = float(np.hypot(camera.width, camera.height)) / 2.0
    depth = size * min(camera.mean_focal_length / diagonal, 2.0)
    x, y = half
    corners = np.array(
        [
            [0.0, 0.0, 0.0],
            [-x, -y, depth],
            [x, -y, depth],
            [x, y, depth],
            [-x, y, depth],
            [0.0, -1.5 * y, depth],
        ]
    )
    segments = corners[np.array(EDGES)]
    outlined = [pose.apply(segments.reshape(-1, 3)) for pose in map_from_cam]
    return np.array(outlined).reshape(-1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoids:
    """Unit spheres, stretched and turned.

    Attributes:
        quat_wxyz: (N, 4).
        half_axes: (N, 3) map units.
    """

    quat_wxyz: Array
    half_axes: Array


def ellipsoids(covariances: Sequence[Array]) -> Ellipsoids:
    """Give the ellipsoids that hold 95 % of the positions of (6, 6) or (3, 3) covariances."""
    quaternions = np.empty((len(covariances), 4))
    half_axes = np.empty((len(covariances), 3))
    for i, covariance in enumerate(covariances):
        variances, axes = np.linalg.eigh(covariance[:3, :3])
        axes[:, 0] *= np.sign(np.linalg.det(axes))
        quaternions[i] = RigidTransform(axes, np.zeros(3)).quat_wxyz
        half_axes[i] = np.sqrt(np.maximum(variances, 0.0) * CHI2_95_OF_3)
    return Ellipsoids(quaternions, half_axes)


@dataclass(frozen=True, slots=True)
class ErrorColours:
    """A logarithmic scale of position errors.

    Attributes:
        low: error that has the first colour, map units.
        high: error that has the last colour.
    """

    low: float
    high: float

    @property
    def stops(self) -> tuple[tuple[int, int, int], ...]:
        """Colours from `low` to `high`, evenly spaced on the logarithmic scale."""
        return SCALE_COLOURS

    @classmethod
    def of(cls, errors: Sequence[float | None]) -> ErrorColours:
        """Take the range of most errors; None and infinity are no errors."""
        known = np.array([error for error in errors if error is not None], dtype=np.float64)
        known = known[np.isfinite(known) & (known > 0.0)]
        if not len(known):
            return cls(0.01, 1.0)
        low, high = np.quantile(known, (0.05, 0.95))
        return cls(float(low), max(float(high), 1.01 * float(low)))

    def of_error(self, error: float | None) -> tuple[int, int, int]:
        """Colour of an error, red, green, blue; grey when it is not known."""
        if error is None:
            return UNKNOWN_COLOUR
        span = np.log(self.high / self.low)
        place = float(np.clip(np.log(max(error, self.low) / self.low) / span, 0.0, 1.0))
        stops = np.linspace(0.0, 1.0, len(SCALE_COLOURS))
        red, green, blue = (
            round(float(np.interp(place, stops, channel)))
            for channel in zip(*SCALE_COLOURS, strict=True)
        )
        return red, green, blue

    def of_errors(self, errors: Sequence[float | None]) -> ColourArray:
        """Colours (N, 3) of errors."""
        colours = [self.of_error(error) for error in errors]
        return np.array(colours, dtype=np.uint8).reshape(-1, 3)


def camera_size(centres: Array) -> float:
    """Size at which cameras with these centres (N, 3) are seen without hiding each other."""
    offsets = centres - np.median(centres, axis=0)
    extent = float(np.median(np.linalg.norm(offsets, axis=1)))
    return CAMERA_SHARE * extent if extent > 0.0 else 1.0


def thin_out(centres: Array, spacing: float) -> list[int]:
    """Choose cameras of a sequence that are this far from the one chosen before: indices."""
    chosen = [0]
    for index, centre in enumerate(centres):
        if np.linalg.norm(centre - centres[chosen[-1]]) >= spacing:
            chosen.append(index)
    return chosen
