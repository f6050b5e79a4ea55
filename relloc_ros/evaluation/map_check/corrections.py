# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What would bring the matches of a map nearer to their epipolar lines: calibration and time.

The poses of the map stay as they are, but for a shift in time. Focal length and principal point of
each camera and the offset between the clocks of images and poses are estimated together, from
matches whose own essential matrix confirms them. They share the errors of the poses, so that not
matches count as independent but images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, exp_so3, skew
from relloc_ros.vision.relative_pose import MatchedPoints, sampson_errors

__all__ = ['Corrections', 'Motion', 'PosedPair', 'estimate_corrections', 'jackknifed']

STEPS = 8
DIFFERENCE = np.array([1e-4, 0.02, 0.02, 1e-4])
"""Numerical steps: focal length (share), principal point (pixels), time (seconds)."""
PER_CAMERA = 3
CONVERGED = 1e-3
"""Of a standard error."""
MIN_RECIPROCAL_CONDITION = 1e-10
CLUSTERS = 30
"""Errors of poses last for some images: neighbours in the map count as one."""
MIN_SCALE_PX = 0.5
BLOCKS = 5
"""Parts of the map, each left out in turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """How the camera of an image moves, by the poses before and after it.

    Attributes:
        velocity: (3,) of the centre in the map, units per second.
        turn: (3,) rotation vector about the map's axes, radians per second.
    """

    velocity: Array
    turn: Array

    def after(self, seconds: float, map_from_cam: RigidTransform) -> RigidTransform:
        """Move on."""
        return RigidTransform(
            exp_so3(seconds * self.turn) @ map_from_cam.rotation,
            map_from_cam.translation + seconds * self.velocity,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PosedPair:
    """Matches of two map images.

    Attributes:
        images: indices in the map.
        cameras: their IDs.
        poses: map_from_cam of each.
        motions: of each; None where it is not known.
        points: the matches; the first image is the query.
    """

    images: tuple[int, int]
    cameras: tuple[int, int]
    poses: tuple[RigidTransform, RigidTransform]
    motions: tuple[Motion | None, Motion | None]
    points: MatchedPoints

    def errors(self, first: Array, second: Array, seconds: float) -> Array:
        """Sampson errors (K,) in pixels with corrected cameras and times.

        Args:
            first: (3,) share of the focal length and pixels of the principal point to add.
            second: the same of the other image's camera.
            seconds: to move on.
        """
        poses = [
            pose if motion is None else motion.after(seconds, pose)
            for pose, motion in zip(self.poses, self.motions, strict=True)
        ]
        query_from_reference = poses[0].inverse() @ poses[1]
        essential = skew(query_from_reference.translation) @ query_from_reference.rotation
        points = self.points
        return sampson_errors(
            essential,
            MatchedPoints(
                _corrected(points.query, points.query_focal_length, first),
                _corrected(points.reference, points.reference_focal_length, second),
                points.query_focal_length,
                points.reference_focal_length,
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """What to add to cameras and time, with standard errors.

    Attributes:
        cameras: by ID, (3,) share of the focal length, pixels of the principal point in x and y.
        camera_stds: their standard errors.
        seconds: the poses of the map belong to images that are so much later; None if no motion
            is known.
        seconds_std: its standard error.
        errors_px: median Sampson error before and after.
    """

    cameras: Mapping[int, Array]
    camera_stds: Mapping[int, Array]
    seconds: float | None
    seconds_std: float
    errors_px: tuple[float, float]


def estimate_corrections(
    pairs: Sequence[PosedPair], start: Corrections | None = None
) -> Corrections | None:
    """Minimize the robust Sampson errors of all pairs (iteratively reweighted Gauss-Newton).

    Args:
        pairs: with matches.
        start: of nearly the same pairs; None starts with no corrections.

    Returns:
        None where the matches leave something free.
    """
    ids = sorted({key for pair in pairs for key in pair.cameras})
    timed = any(motion is not None for pair in pairs for motion in pair.motions)
    values = np.zeros(PER_CAMERA * len(ids) + timed)
    if start is not None:
        for place, key in enumerate(ids):
            values[PER_CAMERA * place : PER_CAMERA * (place + 1)] = start.cameras[key]
        if timed:
            values[-1] = start.seconds or 0.0
    columns = [_columns(pair, ids, timed) for pair in pairs]
    before = _residuals(pairs, columns, values)
    covariance = np.zeros((len(values), len(values)))
    for _ in range(STEPS):
        residuals = _residuals(pairs, columns, values)
        scale = max(MIN_SCALE_PX, 1.4826 * float(np.median(np.abs(np.concatenate(residuals)))))
        step, covariance = _step(pairs, columns, values, scale)
        if step is None:
            return None
        values = values + step
        if (np.abs(step) < CONVERGED * np.sqrt(np.diag(covariance))).all():
            break
    stds = np.sqrt(np.diag(covariance))
    after = _residuals(pairs, columns, values)
    by_camera = {key: slice(PER_CAMERA * i, PER_CAMERA * (i + 1)) for i, key in enumerate(ids)}
    return Corrections(
        {key: values[part] for key, part in by_camera.items()},
        {key: stds[part] for key, part in by_camera.items()},
        float(values[-1]) if timed else None,
        float(stds[-1]) if timed else 0.0,
        (_median(before), _median(after)),
    )


def jackknifed(pairs: Sequence[PosedPair], corrections: Corrections) -> Corrections:
    """Leave out each fifth of the map in turn, and enlarge the standard errors by what changes.

    Poses that are wrong alike in one part of a map can ask for a calibration there that the others
    know nothing of.
    """
    images = np.array([pair.images[0] for pair in pairs])
    blocks = np.searchsorted(np.quantile(images, np.arange(1, BLOCKS) / BLOCKS), images)
    parts = []
    for block in np.unique(blocks):
        rest = [pair for pair, own in zip(pairs, blocks, strict=True) if own != block]
        part = estimate_corrections(rest, corrections) if rest else None
        if part is None or part.cameras.keys() != corrections.cameras.keys():
            continue
        parts.append(part)
    cameras = {
        key: np.maximum(stds, _spread([part.cameras[key] for part in parts]))
        for key, stds in corrections.camera_stds.items()
    }
    times = _spread([np.array([part.seconds or 0.0]) for part in parts])
    seconds_std = max(corrections.seconds_std, float(times[0]) if len(parts) > 1 else np.inf)
    return replace(corrections, camera_stds=cameras, seconds_std=seconds_std)


def _spread(estimates: Sequence[Array]) -> Array:
    """Standard error by the jackknife; infinite where there is one part only."""
    if len(estimates) < 2:
        return np.full(PER_CAMERA, np.inf)
    count = len(estimates)
    return np.sqrt((count - 1) * np.var(np.array(estimates), axis=0))


def _corrected(points: Array, focal_length: float, correction: Array) -> Array:
    """Normalize again; exact without distortion, to first order with it."""
    return (points - correction[1:] / focal_length) / (1.0 + correction[0])


def _columns(pair: PosedPair, ids: list[int], timed: bool) -> list[NDArray[np.intp]]:
    """Where the parameters of both cameras and of the time stand."""
    columns = [PER_CAMERA * ids.index(key) + np.arange(PER_CAMERA) for key in pair.cameras]
    return [*columns, np.array([PER_CAMERA * len(ids)] if timed else [], dtype=np.intp)]


def _errors(pair: PosedPair, columns: list[NDArray[np.intp]], values: Array) -> Array:
    first, second, time = columns
    return pair.errors(values[first], values[second], float(values[time].sum()))


def _residuals(
    pairs: Sequence[PosedPair], columns: Sequence[list[NDArray[np.intp]]], values: Array
) -> list[Array]:
    return [_errors(pair, places, values) for pair, places in zip(pairs, columns, strict=True)]


def _step(
    pairs: Sequence[PosedPair],
    columns: Sequence[list[NDArray[np.intp]]],
    values: Array,
    scale: float,
) -> tuple[Array | None, Array]:
    """Give a Gauss-Newton step, and the covariance with images as the independent units."""
    count = len(values)
    hessian = np.zeros((count, count))
    clusters = _clusters(pairs)
    gradients = np.zeros((clusters.max() + 1, count))
    for pair, places, cluster in zip(pairs, columns, clusters, strict=True):
        which = np.unique(np.concatenate(places))
        errors = _errors(pair, places, values)
        jacobian = np.zeros((len(errors), count))
        for column in which:
            moved = values.copy()
            size = DIFFERENCE[-1 if places[2].size and column == places[2][0] else column % 3]
            moved[column] += size
            jacobian[:, column] = (_errors(pair, places, moved) - errors) / size
        weights = 1.0 / (1.0 + (errors / scale) ** 2)
        hessian += jacobian.T @ (weights[:, None] * jacobian)
        gradients[cluster] += jacobian.T @ (weights * errors)
    size = np.sqrt(np.diag(hessian))
    if not size.all():
        return None, hessian
    normalized = hessian / np.outer(size, size)
    if np.linalg.eigvalsh(normalized)[0] < MIN_RECIPROCAL_CONDITION:
        return None, hessian
    inverse = np.linalg.inv(normalized) / np.outer(size, size)
    step: Array = -inverse @ gradients.sum(axis=0)
    spread = gradients.T @ gradients * len(gradients) / max(len(gradients) - 1, 1)
    return step, inverse @ spread @ inverse


def _clusters(pairs: Sequence[PosedPair]) -> NDArray[np.intp]:
    images = np.array([pair.images[0] for pair in pairs])
    ranks = np.unique(images, return_inverse=True)[1]
    count = int(ranks.max()) + 1
    return np.asarray(ranks * min(count, CLUSTERS) // count, dtype=np.intp)


def _median(residuals: Sequence[Array]) -> float:
    return float(np.median(np.abs(np.concatenate(residuals))))
