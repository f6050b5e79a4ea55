# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a camera or a rig from what a network says of image pairs, without any match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.sighting import PlacedSighting, RegressedPair
from relloc_ros.localizers.solution import Solution
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.vision.pose_from_pairs import (
    PairsPose,
    estimate_pose_from_directions,
    estimate_pose_from_pairs,
)
from relloc_ros.vision.pose_from_relative_poses import estimate_pose_from_relative_poses

__all__ = ['solve_from_regressed_pairs']

MIN_COSINE = float(np.cos(np.deg2rad(60.0)))
"""Images whose optical axes differ by more share hardly anything."""
HIDDEN_STD = float(np.deg2rad(3.0))
"""Of the error that all pairs of a query have in common, which no disagreement tells of. The
published medians of the whole error are 3 to 8 degrees, on scenes trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    view: PlacedSighting
    regressed: RegressedPair


def solve_from_regressed_pairs(
    views: Sequence[PlacedSighting], config: LocalizationConfig
) -> Solution:
    """Find the pose that most pairs of all views agree with.

    Nothing but that agreement speaks for it: there are no matches to look at.
    """
    pairs = [_Pair(view, pair) for view in views for pair in view.sighting.regressed]
    if len(pairs) < 2:
        return Solution(Status.TOO_FEW_MATCHES, f'{len(pairs)} map images, two are needed')
    found = _estimate(pairs, config)
    if found is None:
        reason = 'no two map images fix a position: their directions to the query do not meet'
        return Solution(Status.DEGENERATE, reason)
    agreeing = [
        pair
        for pair, agrees in zip(pairs, found.inliers, strict=True)
        if agrees and _sees_the_same(pair, found.map_from_body)
    ]
    # Two images of a rig that err alike against one map image confirm nothing.
    num_images = len({pair.regressed.index for pair in agreeing})
    if num_images < config.essential.min_agreeing_pairs:
        reason = f'{num_images} of {len(pairs)} map images agree, and see the same side'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    doubt = max((pair.view for pair in agreeing), key=lambda view: view.position_std)
    covariance = found.covariance + doubt.place_covariance
    return Solution(Status.LOCALIZED, '', PoseEstimate(found.map_from_body, covariance))


def _sees_the_same(pair: _Pair, map_from_body: RigidTransform) -> bool:
    """Tell whether the query looks the way of the map image, which it would not be like else.

    Networks that have not learned anything say the same of every pair, and so agree.
    """
    looking = map_from_body.rotation @ pair.view.body_from_cam.rotation[:, 2]
    return float(looking @ pair.regressed.map_from_ref.rotation[:, 2]) >= MIN_COSINE


def _estimate(pairs: Sequence[_Pair], config: LocalizationConfig) -> PairsPose | None:
    """Estimate the pose as suits the pair estimator."""
    maps_from_ref = [pair.regressed.map_from_ref for pair in pairs]
    places = [pair.view.body_from_cam for pair in pairs]
    sources = np.array([pose.translation for pose in maps_from_ref])
    max_angle = float(np.deg2rad(config.essential.max_direction_angle_deg))
    if config.essential.pair_estimator == 'relocnet':
        found = estimate_pose_from_relative_poses(
            _relative_poses(pairs), maps_from_ref, places, max_angle=max_angle
        )
        return None if found is None else _doubted(found, 1, sources)
    if config.essential.pair_estimator == 'rpr':
        found = estimate_pose_from_directions(
            _relative_poses(pairs), maps_from_ref, places, max_angle=max_angle
        )
    else:
        found = estimate_pose_from_pairs(
            _essentials(pairs), maps_from_ref, places, max_angle=max_angle
        )
    return None if found is None else _doubted(found, int(found.inliers.sum()), sources)


def _doubted(found: PairsPose, count: int, sources: Array) -> PairsPose:
    """Make the covariance that of a single pair, and larger the fewer of all pairs agree.

    A network errs alike on images that look alike: more of them make a pose no surer, and part of
    its error shows nowhere. And who errs on most pairs is not to be trusted with the others.

    Args:
        found: pose.
        count: observations that its covariance is the mean of.
        sources: (P, 3) centres of the map images.
    """
    share = float(found.inliers.mean())
    offsets = sources[found.inliers] - found.map_from_body.translation
    distance = float(np.median(np.linalg.norm(offsets, axis=1)))
    hidden = np.repeat([(HIDDEN_STD * distance) ** 2, HIDDEN_STD**2], 3)
    covariance = found.covariance * (count / share**2) + np.diag(hidden)
    return PairsPose(found.map_from_body, found.inliers, covariance)


def _relative_poses(pairs: Sequence[_Pair]) -> list[RigidTransform]:
    poses = [pair.regressed.cam_from_ref for pair in pairs]
    return [pose for pose in poses if pose is not None]


def _essentials(pairs: Sequence[_Pair]) -> list[Array]:
    essentials = [pair.regressed.essential for pair in pairs]
    return [essential for essential in essentials if essential is not None]
