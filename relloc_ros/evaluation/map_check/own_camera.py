# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether it is the camera of an image that is wrong, and not its pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.evaluation.map_check.corrections import PosedPair
from relloc_ros.evaluation.map_check.linearized_pairs import CAMERA, POSE, PairState, linearize
from relloc_ros.geometry import Array

__all__ = ['OwnCamera', 'own_camera']

ROUNDS = 10
MIN_PAIRS = 3
MIN_GAIN = 0.4
"""What is left of the errors with another camera, at most."""
MIN_FOCAL_SHARE, MIN_SHIFT_PX = 0.02, 5.0
MAX_FOCAL_SHARE = 1.0
LEAST_INFORMATION = 1e-9
SMALL = np.array([1e-3, 0.1, 0.1])


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
        None where the pose in the map does not explain the matches with any camera.
    """
    own = [pair for pair in pairs if index in pair.images]
    if len(own) < MIN_PAIRS:
        return None
    values = np.zeros(CAMERA)
    before = after = _median(own, index, values)
    for _ in range(ROUNDS):
        step: Array = _step(own, index, values, max(after, 0.5))
        while _median(own, index, values + step) > after and (np.abs(step) > SMALL).any():
            step = 0.5 * step
        changed = _median(own, index, values + step)
        if changed >= after:
            break
        values, after = values + step, changed
    large = abs(values[0]) >= MIN_FOCAL_SHARE or np.abs(values[1:]).max() >= MIN_SHIFT_PX
    if not large or abs(values[0]) > MAX_FOCAL_SHARE or after > MIN_GAIN * before:
        return None
    return OwnCamera(float(values[0]), (float(values[1]), float(values[2])), (before, after))


def _linearized(pair: PosedPair, index: int, values: Array) -> tuple[Array, Array]:
    side = pair.images.index(index)
    cameras = np.zeros((2, CAMERA))
    cameras[side] = values
    errors, derivatives = linearize(pair, PairState(np.zeros((2, POSE)), cameras, 0.0))
    start = 2 * POSE + CAMERA * side
    return errors, derivatives[:, start : start + CAMERA]


def _step(pairs: Sequence[PosedPair], index: int, values: Array, scale: float) -> Array:
    parts = [_linearized(pair, index, values) for pair in pairs]
    errors = np.concatenate([errors for errors, _ in parts])
    derivatives = np.concatenate([derivatives for _, derivatives in parts])
    weighted = derivatives / (1.0 + (errors / scale) ** 2)[:, None]
    hessian = weighted.T @ derivatives + LEAST_INFORMATION * np.eye(CAMERA)
    step: Array = -np.linalg.solve(hessian, weighted.T @ errors)
    return step


def _median(pairs: Sequence[PosedPair], index: int, values: Array) -> float:
    errors = [_linearized(pair, index, values)[0] for pair in pairs]
    return float(np.median(np.abs(np.concatenate(errors))))
