# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 3D points of a map as they would be without some of its images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.points import NO_POINT, MapPoints
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['points_without']

STEPS = 3
LEAST_OBSERVATIONS = 2
MIN_RECIPROCAL_CONDITION = 1e-8
MIN_DEPTH = 1e-9

Mask = NDArray[np.bool_]


def points_without(reference_map: ReferenceMap, points: MapPoints, images: Mask) -> MapPoints:
    """Take images (N,) out of the points: what they showed, and their say in where points are.

    Points that they see are triangulated again from the other images, and are gone where fewer
    than two of these are left. The descriptors that stand for a point in visual words stay.
    """
    which_image = np.repeat(np.arange(len(images)), np.diff(points.keypoint_offsets))
    gone = images[which_image]
    concerned = np.unique(points.keypoint_points[gone & (points.keypoint_points != NO_POINT)])
    lost = np.zeros(len(points), dtype=bool)
    positions = np.array(points.positions)
    if len(concerned):
        found, known = _triangulate(reference_map, points, concerned, images)
        positions[concerned[known]] = found[known]
        lost[concerned[~known]] = True
    shown = np.array(points.keypoint_points)
    shown[gone | lost[shown]] = NO_POINT
    return _with(points, positions, shown, lost)


def _with(points: MapPoints, positions: Array, shown: NDArray[np.int32], lost: Mask) -> MapPoints:
    """Leave out observations and entries in words that are gone; points keep their rows."""
    of_point = np.repeat(np.arange(len(points)), np.diff(points.observation_offsets))
    seen = shown[points.observations] == of_point
    of_word = np.repeat(np.arange(len(points.words)), np.diff(points.word_offsets))
    listed = ~lost[points.entry_points]
    return replace(
        points,
        positions=positions,
        keypoint_points=shown,
        observations=np.asarray(points.observations)[seen],
        observation_offsets=_offsets(of_point[seen], len(points)),
        entry_points=np.asarray(points.entry_points)[listed],
        entry_descriptors=np.asarray(points.entry_descriptors)[listed],
        word_offsets=_offsets(of_word[listed], len(points.words)),
    )


def _offsets(groups: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))]).astype(np.int64)


def _triangulate(
    reference_map: ReferenceMap,
    points: MapPoints,
    concerned: NDArray[np.int32],
    without: Mask,
) -> tuple[Array, Mask]:
    """Refine points (Q,) on what the images that are left show of them.

    Returns:
        Positions (Q, 3), and which (Q,) of them are known.
    """
    which, images, rows = points.observations_of(concerned)
    kept = ~without[images]
    which, images, rows = which[kept], images[kept], rows[kept]
    observed = _normalized(reference_map, images, rows)
    usable = np.isfinite(observed).all(axis=1)
    which, images, observed = which[usable], images[usable], observed[usable]
    rotations = reference_map.rotations[images]
    centres = reference_map.centres[images]
    positions: Array = np.array(points.positions[concerned], dtype=np.float64)
    known = np.bincount(which, minlength=len(concerned)) >= LEAST_OBSERVATIONS
    for _ in range(STEPS):
        step, solvable = _step(positions, which, observed, rotations, centres)
        known &= solvable
        positions = np.asarray(positions + step, dtype=np.float64)
    return positions, np.asarray(known & np.isfinite(positions).all(axis=1))


def _step(
    positions: Array,
    which: NDArray[np.intp],
    observed: Array,
    rotations: Array,
    centres: Array,
) -> tuple[Array, Mask]:
    """One Gauss-Newton step (Q, 3) on the errors in the image plane, and which are determined."""
    seen = np.einsum('oij,oj->oi', rotations, positions[which] - centres)
    depths = np.maximum(seen[:, 2], MIN_DEPTH)
    projected = seen[:, :2] / depths[:, None]
    jacobians = (rotations[:, :2] - projected[:, :, None] * rotations[:, 2:3]) / depths[
        :, None, None
    ]
    residuals = projected - observed
    count = len(positions)
    information, gradient = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(information, which, np.einsum('oki,okj->oij', jacobians, jacobians))
    np.add.at(gradient, which, np.einsum('oki,ok->oi', jacobians, residuals))
    values = np.linalg.eigvalsh(information)
    solvable = values[:, 0] > MIN_RECIPROCAL_CONDITION * values[:, 2]
    information[~solvable] = np.eye(3)
    step = -np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
    step[~solvable] = 0.0
    return np.asarray(step, dtype=np.float64), np.asarray(solvable)


def _normalized(
    reference_map: ReferenceMap, images: NDArray[np.intp], rows: NDArray[np.intp]
) -> Array:
    """Normalized coordinates (O, 2) of keypoints; NaN where the lens model has none."""
    observed = np.full((len(images), 2), np.nan)
    for index in np.unique(images):
        features = reference_map.features(int(index))
        here = np.flatnonzero(images == index)
        if len(features) == 0:
            continue
        columns = np.minimum(np.searchsorted(features.rows, rows[here]), len(features) - 1)
        usable = features.rows[columns] == rows[here]
        observed[here[usable]] = features.normalized[columns[usable]]
    return observed
