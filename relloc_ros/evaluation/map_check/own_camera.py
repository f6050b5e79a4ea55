# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether it is the camera of an image that is wrong, and not its pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.evaluation.map_check.corrections import PosedPair
from relloc_ros.evaluation.map_check.linearized_pairs import CAMERA, POSE, PairState, linearize
from relloc_ros.geometry import Array

__all__ = ['OwnCamera', 'own_camera']

ROUNDS = 10
MIN_PAIRS = 3
MIN_GAIN = 0.4
"""What is left of the errors with another camera, at most."""
MIN_GAIN_TO_POSE = 0.5
"""The same beside another pose: a shifted principal point and a turn are nearly the same."""
MIN_FOCAL_SHARE, MAX_FOCAL_SHARE = 0.02, 1.0
LEAST_INFORMATION = 1e-9
LEAST_SCALE_PX = 0.5
HALVINGS = 6
POSE_COLUMNS, CAMERA_COLUMNS = np.arange(POSE), POSE + np.arange(CAMERA)


@dataclass(frozen=True, slots=True)
class OwnCamera:
    """A camera that suits an image better than its own.

    Attributes:
        focal_share: to add to the focal length, as a share.
        shift: to add to the principal point, pixels.
        errors_px: median epipolar error before and after.
    """

    focal_share: float
    shift: tuple[float, float]
    errors_px: tuple[float, float]


def own_camera(index: int, pairs: Sequence[PosedPair]) -> OwnCamera | None:
    """Fit focal length and principal point of one image to its matches; its pose stays.

    Returns:
        None where no camera explains the matches with the pose in the map, or another pose does it
        as well.
    """
    own = [pair for pair in pairs if index in pair.images]
    if len(own) < MIN_PAIRS:
        return None
    before = _median(own, index, np.zeros(POSE + CAMERA))
    values, after = _fitted(own, index, CAMERA_COLUMNS)
    focal_share = float(values[POSE])
    if not MIN_FOCAL_SHARE <= abs(focal_share) <= MAX_FOCAL_SHARE or after > MIN_GAIN * before:
        return None
    _, with_pose = _fitted(own, index, POSE_COLUMNS)
    if after > MIN_GAIN_TO_POSE * with_pose:
        return None
    shift = (float(values[POSE + 1]), float(values[POSE + 2]))
    return OwnCamera(focal_share, shift, (before, after))


def _fitted(
    pairs: Sequence[PosedPair], index: int, columns: NDArray[np.intp]
) -> tuple[Array, float]:
    """Change some of the pose (6) and the camera (3) of an image as far as that helps."""
    values = np.zeros(POSE + CAMERA)
    after = _median(pairs, index, values)
    for _ in range(ROUNDS):
        step = np.zeros(POSE + CAMERA)
        step[columns] = _step(pairs, index, values, columns, max(after, LEAST_SCALE_PX))
        for _ in range(HALVINGS):
            changed = _median(pairs, index, values + step)
            if changed < after:
                break
            step = 0.5 * step
        if changed >= after:
            break
        values, after = values + step, changed
    return values, after


def _linearized(pair: PosedPair, index: int, values: Array) -> tuple[Array, Array]:
    side = pair.images.index(index)
    poses, cameras = np.zeros((2, POSE)), np.zeros((2, CAMERA))
    poses[side], cameras[side] = np.split(values, [POSE])
    errors, derivatives = linearize(pair, PairState(poses, cameras, 0.0))
    own = np.concatenate(
        [POSE * side + np.arange(POSE), 2 * POSE + CAMERA * side + np.arange(CAMERA)]
    )
    return errors, derivatives[:, own]


def _step(
    pairs: Sequence[PosedPair],
    index: int,
    values: Array,
    columns: NDArray[np.intp],
    scale: float,
) -> Array:
    parts = [_linearized(pair, index, values) for pair in pairs]
    errors = np.concatenate([errors for errors, _ in parts])
    derivatives = np.concatenate([derivatives for _, derivatives in parts])[:, columns]
    weighted = derivatives / (1.0 + (errors / scale) ** 2)[:, None]
    hessian = weighted.T @ derivatives + LEAST_INFORMATION * np.eye(len(columns))
    step: Array = -np.linalg.solve(hessian, weighted.T @ errors)
    return step


def _median(pairs: Sequence[PosedPair], index: int, values: Array) -> float:
    errors = [_linearized(pair, index, values)[0] for pair in pairs]
    return float(np.median(np.abs(np.concatenate(errors))))
