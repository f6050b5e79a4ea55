# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which matches of two images are good, where their poses are only roughly known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, rotation_angle
from relloc_ros.map.pair_matching import Pair
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.relative_pose import (
    MatchedPoints,
    decompose_essential,
    estimate_essential_5pt,
    in_front,
)

__all__ = ['NoisyPairs']

THRESHOLD_PX = 2.0
NOISE_STDS = 5.0
MIN_ROTATION_LIMIT, MIN_DIRECTION_LIMIT = math.radians(2.0), math.radians(10.0)
"""Relative poses of few matches are that uncertain themselves."""


class NoisyPairs:
    """Verifies matches by essential matrices of their own, which must roughly fit the poses.

    Without the poses, what looks alike in two places would tie these together.
    """

    def __init__(
        self, reference_map: ReferenceMap, position_std: float, rotation_std: float
    ) -> None:
        """Prepare.

        Args:
            reference_map: with the rough poses.
            position_std: their standard deviation along each axis, map units.
            rotation_std: their standard deviation about each axis, radians.
        """
        self._map = reference_map
        pair = math.sqrt(2.0) * NOISE_STDS
        self._max_shift = pair * position_std
        self._max_turn = pair * rotation_std + MIN_ROTATION_LIMIT

    def verify(self, pair: Pair, matches: MatchedPoints) -> NDArray[np.bool_]:
        """Tell which matches (K,) of two images of the map are good; none if the pair is not."""
        none = np.zeros(len(matches.query), dtype=bool)
        seed = pair[0] * self._map.num_images + pair[1]
        found = estimate_essential_5pt(matches, threshold_px=THRESHOLD_PX, seed=seed % 2**31)
        if found is None or found.inliers is None:
            return none
        expected = self._map.cam_from_map(pair[0]) @ self._map.cam_from_map(pair[1]).inverse()
        rotations, direction = decompose_essential(found.essential)
        rotation = min(rotations, key=lambda each: rotation_angle(each @ expected.rotation.T))
        if rotation_angle(rotation @ expected.rotation.T) > self._max_turn:
            return none
        if not found.has_baseline:
            return found.inliers
        return self._with_baseline(matches, found.inliers, expected, rotation, direction)

    def _with_baseline(
        self,
        matches: MatchedPoints,
        inliers: NDArray[np.bool_],
        expected: RigidTransform,
        rotation: Array,
        direction: Array,
    ) -> NDArray[np.bool_]:
        sides = [RigidTransform(rotation, sign * direction) for sign in (1.0, -1.0)]
        good = max((inliers & in_front(side, matches) for side in sides), key=np.sum)
        towards = sides[0] if (good == (inliers & in_front(sides[0], matches))).all() else sides[1]
        baseline = float(np.linalg.norm(expected.translation))
        if baseline > self._max_shift:
            limit = math.asin(self._max_shift / baseline) + MIN_DIRECTION_LIMIT
            cosine = float(towards.translation @ expected.translation) / baseline
            if math.acos(np.clip(cosine, -1.0, 1.0)) > limit:
                return np.zeros_like(inliers)
        return good
