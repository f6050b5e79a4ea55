# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses and calibration of a map, adjusted together to the matches of its images.

Poses that were measured are wrong by a little, each in its own way, and calibrations and clocks
are wrong alike for all. A mixed model tells the two apart: the errors of poses are random, with a
spread that is estimated from the map itself; those of cameras and clocks are constants. So the
standard errors of the constants contain what the poses are worth, and a pose can be judged by the
spread of the others. Errors are epipolar ones: no 3D points are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from relloc_ros.evaluation.map_check.corrections import PosedPair
from relloc_ros.evaluation.map_check.linearized_pairs import CAMERA, POSE, PairState, linearize
from relloc_ros.geometry import Array

__all__ = ['Adjustment', 'adjust']

LINEARIZATIONS, ESTIMATIONS = 4, 4
FIRST_TURN, FIRST_SHIFT = np.deg2rad(1.0), 0.02
"""Spread of the poses to begin with; the shift is a share of the scene's depth."""
LEAST_TURN, LEAST_SHIFT = 2e-5, 2e-5
CAMERA_SPREAD = np.array([0.2, 50.0, 50.0])
SECONDS_SPREAD = 0.2
MATCHES_WORTH = 40
"""Errors of the matches of a pair are alike: more count as so many."""
LEAST_NOISE_PX = 0.2
TUNING = 2.0
"""An error of so many standard deviations counts half."""
MAX_PAIR_ERROR = 5.0
"""Noise: once poses are adjusted, a pair with more has matched what only looks alike."""
BLOCKS = 5
MIN_CHAIN = 30
"""Images that tell how alike the errors are of those that follow each other."""
MAX_LIKENESS = 0.9
TINY = 1e-300
STEADY = 0.02
MEDIAN_TO_MEAN = 3.0 / chi2.median(3)


@dataclass(eq=False)
class Adjustment:
    """A map adjusted to its matches; parameters are in the order images, cameras, seconds.

    Attributes:
        images: (N,) indices in the map.
        camera_ids: of C cameras.
        turn_std: spread of the poses' errors about each axis, radians.
        shift_std: the same of their positions, map units.
        likeness: correlation (2,) of the turns, and of the shifts, of images that follow each
            other.
        noise_px: standard deviation of the epipolar errors that are left.
        values: (6 N + 3 C + 1,) what to add.
        covariance: of the values.
        constant_stds: (3 C + 1,) standard errors of what is alike for all images, widened by how
            much parts of the map disagree.
    """

    images: list[int]
    camera_ids: list[int]
    turn_std: float
    shift_std: float
    likeness: tuple[float, float]
    noise_px: float
    values: Array
    covariance: Array
    constant_stds: Array

    def camera(self, key: int) -> tuple[Array, Array]:
        """Give what to add to a camera (3,), and the standard errors."""
        place = CAMERA * self.camera_ids.index(key)
        part = slice(place, place + CAMERA)
        return self.values[POSE * len(self.images) :][part], self.constant_stds[part]

    @property
    def prior_std(self) -> Array:
        """Spread (6,) of a pose."""
        return np.repeat([self.turn_std, self.shift_std], 3)

    @property
    def prior_information(self) -> Array:
        """Inverse covariance (6 N, 6 N) of the errors of poses: an autoregression of order one."""
        count = len(self.images)
        information = np.zeros((count, POSE, count, POSE))
        for axis, std in enumerate(self.prior_std):
            like = self.likeness[axis // 3]
            chain = np.diag(np.full(count, 1.0 + like**2))
            chain[0, 0] = chain[-1, -1] = 1.0
            chain -= like * (np.eye(count, k=1) + np.eye(count, k=-1))
            information[:, axis, :, axis] = chain / (std**2 * (1.0 - like**2))
        return information.reshape(POSE * count, POSE * count)


@dataclass(frozen=True, slots=True, eq=False)
class _Normal:
    """Normal equations of all pairs about some values."""

    hessian: Array
    gradient: Array
    about: Array


_PlacedPair = tuple[PosedPair, NDArray[np.intp]]
"""With the places of its parameters."""


def adjust(pairs: Sequence[PosedPair], depth: float) -> Adjustment | None:
    """Adjust all images of some pairs.

    Args:
        pairs: with matches that their own essential matrices confirm.
        depth: of the scene, map units; says what is a small shift.

    Returns:
        None where the equations cannot be solved.
    """
    pairs = _once(pairs)
    images = sorted({index for pair in pairs for index in pair.images})
    camera_ids = sorted({key for pair in pairs for key in pair.cameras})
    size = POSE * len(images) + CAMERA * len(camera_ids) + 1
    timed = any(motion is not None for pair in pairs for motion in pair.motions)
    constants = np.append(
        np.tile(CAMERA_SPREAD, len(camera_ids)), SECONDS_SPREAD if timed else 1e-9
    )
    kept = [(pair, _columns(pair, images, camera_ids, size)) for pair in pairs]
    state = Adjustment(
        images,
        camera_ids,
        turn_std=FIRST_TURN,
        shift_std=FIRST_SHIFT * depth,
        likeness=(0.0, 0.0),
        noise_px=1.0,
        values=np.zeros(size),
        covariance=np.empty((0, 0)),
        constant_stds=np.empty(0),
    )
    try:
        for _ in range(LINEARIZATIONS):
            normal, kept = _normal_equations(kept, state)
            for _ in range(ESTIMATIONS):
                _solve(state, normal, constants)
                if _respread(state, depth):
                    break
        _solve(state, normal, constants)
        state.constant_stds = _constant_stds(state, kept, normal, constants)
    except np.linalg.LinAlgError:
        return None
    return state


def _once(pairs: Sequence[PosedPair]) -> list[PosedPair]:
    """Of two pairs of the same images, take the one with more matches."""
    best: dict[frozenset[int], PosedPair] = {}
    for pair in pairs:
        key = frozenset(pair.images)
        if key not in best or len(pair.points.query) > len(best[key].points.query):
            best[key] = pair
    return list(best.values())


def _columns(
    pair: PosedPair, images: list[int], camera_ids: list[int], size: int
) -> NDArray[np.intp]:
    places = [POSE * images.index(index) + np.arange(POSE) for index in pair.images]
    start = POSE * len(images)
    places += [start + CAMERA * camera_ids.index(key) + np.arange(CAMERA) for key in pair.cameras]
    return np.concatenate([*places, [size - 1]])


def _normal_equations(
    pairs: Sequence[_PlacedPair], state: Adjustment
) -> tuple[_Normal, list[_PlacedPair]]:
    """Add up all pairs but those whose matches contradict all others; tell which are left."""
    parts = _linearized(pairs, state)
    usual = float(np.median(np.abs(np.concatenate([errors for errors, _ in parts]))))
    state.noise_px = max(LEAST_NOISE_PX, 1.4826 * usual)
    limit = MAX_PAIR_ERROR * state.noise_px if state.values.any() else np.inf
    agreeing = [np.median(np.abs(errors)) <= limit for errors, _ in parts]
    kept = list(compress(pairs, agreeing))
    return _sum(kept, list(compress(parts, agreeing)), state), kept


def _linearized(pairs: Sequence[_PlacedPair], state: Adjustment) -> list[tuple[Array, Array]]:
    parts = []
    for pair, places in pairs:
        values = state.values[places]
        poses, cameras = np.split(values[:-1], [2 * POSE])
        changes = PairState(poses.reshape(2, -1), cameras.reshape(2, -1), float(values[-1]))
        parts.append(linearize(pair, changes))
    return parts


def _sum(
    pairs: Sequence[_PlacedPair], parts: Sequence[tuple[Array, Array]], state: Adjustment
) -> _Normal:
    size = len(state.values)
    hessian, gradient = np.zeros((size, size)), np.zeros(size)
    for (_, places), (errors, derivatives) in zip(pairs, parts, strict=True):
        weights = 1.0 / (1.0 + (errors / (TUNING * state.noise_px)) ** 2) / state.noise_px**2
        weights *= min(1.0, MATCHES_WORTH / len(errors))
        # Both images mostly have one camera: a column may come twice.
        weighted = weights[:, None] * derivatives
        np.add.at(hessian, (places[:, None], places[None]), derivatives.T @ weighted)
        np.add.at(gradient, places, weighted.T @ errors)
    return _Normal(hessian, gradient, state.values.copy())


def _constant_stds(
    state: Adjustment, pairs: Sequence[_PlacedPair], normal: _Normal, constants: Array
) -> Array:
    """Leave out each fifth of the map in turn (jackknife): what all share must not depend on it.

    What is wrong alike in a stretch of a video, like the poses of a camera with a rolling shutter
    that turns, looks like a calibration there and not elsewhere.
    """
    count = len(constants)
    own: Array = np.sqrt(np.diag(state.covariance)[-count:])
    images = np.array([min(pair.images) for pair, _ in pairs])
    blocks = np.searchsorted(np.quantile(images, np.arange(1, BLOCKS) / BLOCKS), images)
    # The normal equations stay about the values that they were made with.
    at = replace(state, values=normal.about)
    results = []
    for block in np.unique(blocks):
        left_out = list(compress(pairs, blocks == block))
        part = _sum(left_out, _linearized(left_out, at), at)
        rest = _Normal(normal.hessian - part.hessian, normal.gradient - part.gradient, part.about)
        factor, spread, right = _factorized(state, rest, constants)
        results.append((spread * cho_solve(factor, right))[-count:])
    if len(results) < 2:
        return np.full(count, np.inf)
    jackknifed: Array = np.sqrt((len(results) - 1) * np.var(results, axis=0))
    return np.maximum(own, jackknifed)


def _solve(state: Adjustment, normal: _Normal, constants: Array) -> None:
    factor, spread, right = _factorized(state, normal, constants)
    state.values = spread * cho_solve(factor, right)
    state.covariance = cho_solve(factor, np.eye(len(spread))) * spread[:, None] * spread


def _factorized(
    state: Adjustment, normal: _Normal, constants: Array
) -> tuple[tuple[Array, bool], Array, Array]:
    """Give matrix and right side in units of the spread, where they are well conditioned."""
    spread = np.concatenate([np.tile(state.prior_std, len(state.images)), constants])
    prior = np.diag(1.0 / spread**2)
    poses = slice(0, POSE * len(state.images))
    prior[poses, poses] = state.prior_information
    scaled = (normal.hessian + prior) * spread[:, None] * spread
    right = spread * (normal.hessian @ normal.about - normal.gradient)
    return cho_factor(scaled, lower=True), spread, right


def _respread(state: Adjustment, depth: float) -> bool:
    """Estimate the spread of the poses anew, robustly; true if it is the same as before."""
    count = POSE * len(state.images)
    squares = state.values[:count] ** 2 + np.diag(state.covariance)[:count]
    means = squares.reshape(-1, 2, 3).mean(axis=2)
    before = np.array([state.turn_std, state.shift_std])
    # Twice the step: where little is known, each estimate keeps most of the one before.
    turn, shift = MEDIAN_TO_MEAN * np.median(means, axis=0) / before
    turn, shift = max(turn, LEAST_TURN), max(shift, LEAST_SHIFT * depth)
    state.turn_std, state.shift_std = float(turn), float(shift)
    state.likeness = _likeness(state)
    return bool(np.abs(before / [turn, shift] - 1.0).max() < STEADY)


def _likeness(state: Adjustment) -> tuple[float, float]:
    """Correlate errors of images that follow each other: those of a tracker change slowly."""
    poses = state.values[: POSE * len(state.images)].reshape(-1, 2, 3)
    if len(poses) < MIN_CHAIN:
        return 0.0, 0.0
    changes = np.median(np.sum(np.diff(poses, axis=0) ** 2, axis=2), axis=0)
    sizes = np.median(np.sum(poses**2, axis=2), axis=0)
    turn, shift = np.clip(1.0 - 0.5 * changes / np.maximum(sizes, TINY), 0.0, MAX_LIKENESS)
    return float(turn), float(shift)
