# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Epipolar errors of a pair of map images, and what changes them: poses, cameras, time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.evaluation.map_check.corrections import Motion, PosedPair
from relloc_ros.geometry import Array, RigidTransform, exp_so3

__all__ = ['CAMERA', 'POSE', 'PairState', 'linearize']

POSE, CAMERA = 6, 3
"""Parameters: a turn about the camera's axes and a shift in the map; share of the focal length and
pixels of the principal point."""
STEPS = np.array([1e-4, 0.02, 0.02])
TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class PairState:
    """What is added to both images of a pair.

    Attributes:
        poses: (2, 6) turn about the axes of each camera, radians, and shift in the map.
        cameras: (2, 3) share of the focal length and pixels of the principal point.
        seconds: to move on along both motions.
    """

    poses: Array
    cameras: Array
    seconds: float


def linearize(pair: PosedPair, state: PairState) -> tuple[Array, Array]:
    """Sampson errors (K,) in pixels and their derivatives (K, 19) by poses, cameras and time.

    With rays a and b of a match in the map's axes and the baseline d, the error is the triple
    product a . (d x b) over the length of its gradient in the images. For poses and time the
    gradient counts as constant, but for the direction of d itself: a longer baseline changes no
    error.
    """
    first, second = (
        _moved(pose, motion, state.seconds, change)
        for pose, motion, change in zip(pair.poses, pair.motions, state.poses, strict=True)
    )
    rays = _rays(pair, state.cameras)
    a, b = rays[0] @ first.rotation.T, rays[1] @ second.rotation.T
    baseline = second.translation - first.translation
    by_a, by_b, by_baseline = np.cross(baseline, b), np.cross(a, baseline), np.cross(b, a)
    local = by_a @ first.rotation, by_b @ second.rotation
    products = by_baseline @ baseline
    by_baseline -= products[:, None] * baseline / max(float(baseline @ baseline), TINY)
    length = _gradient_length(pair, state.cameras, *local)
    derivatives = np.zeros((len(products), 2 * POSE + 2 * CAMERA + 1))
    derivatives[:, 0:3], derivatives[:, 3:6] = np.cross(rays[0], local[0]), -by_baseline
    derivatives[:, 6:9], derivatives[:, 9:12] = np.cross(rays[1], local[1]), by_baseline
    for motion, ray, by_ray, sign in (
        (pair.motions[0], a, by_a, -1.0),
        (pair.motions[1], b, by_b, 1.0),
    ):
        if motion is not None:
            derivatives[:, -1] += sign * by_baseline @ motion.velocity
            derivatives[:, -1] += np.cross(ray, by_ray) @ motion.turn
    derivatives /= length[:, None]
    rotation = first.rotation.T, second.rotation
    errors = products / length
    for column in range(2 * CAMERA):
        image, which = divmod(column, CAMERA)
        cameras = state.cameras.copy()
        cameras[image, which] += STEPS[which]
        changed = _errors(pair, cameras, rotation, baseline)
        derivatives[:, 2 * POSE + column] = (changed - errors) / STEPS[which]
    return errors, derivatives


def _moved(
    pose: RigidTransform, motion: Motion | None, seconds: float, change: Array
) -> RigidTransform:
    later = pose if motion is None else motion.after(seconds, pose)
    return RigidTransform(later.rotation @ exp_so3(change[:3]), later.translation + change[3:])


def _rays(pair: PosedPair, cameras: Array) -> tuple[Array, Array]:
    """Rays (K, 3) in the axes of both cameras, exact without distortion."""
    points = pair.points
    result = []
    for normalized, focal_length, camera in (
        (points.query, points.query_focal_length, cameras[0]),
        (points.reference, points.reference_focal_length, cameras[1]),
    ):
        corrected = (normalized - camera[1:] / focal_length) / (1.0 + camera[0])
        result.append(np.column_stack([corrected, np.ones(len(corrected))]))
    return result[0], result[1]


def _gradient_length(pair: PosedPair, cameras: Array, first: Array, second: Array) -> Array:
    """How much a pixel in either image changes the triple product."""
    points = pair.points
    squares = np.sum((first[:, :2] / (points.query_focal_length * (1.0 + cameras[0, 0]))) ** 2, 1)
    squares += np.sum(
        (second[:, :2] / (points.reference_focal_length * (1.0 + cameras[1, 0]))) ** 2, 1
    )
    lengths: Array = np.sqrt(np.maximum(squares, TINY))
    return lengths


def _errors(
    pair: PosedPair, cameras: Array, rotations: tuple[Array, Array], baseline: Array
) -> Array:
    to_first, from_second = rotations
    first, second = _rays(pair, cameras)
    b = second @ from_second.T
    by_first = np.cross(baseline, b) @ to_first.T
    by_second = np.cross(first @ to_first, baseline) @ from_second
    errors: Array = np.sum(first * by_first, axis=1) / _gradient_length(
        pair, cameras, by_first, by_second
    )
    return errors
