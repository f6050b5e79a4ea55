# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether other map images would give another pose just as well: places that look alike.

A pose that half of the matches agree with passes every test that looks at it alone, also if the
other half agree with a pose at the other end of the building. So the map images that do not
support a pose are asked for one of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import pose_error
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.pose_from_points import solve_from_points
from relloc_ros.localizers.sighting import PlacedSighting
from relloc_ros.localizers.solution import Solution, count_keypoints
from relloc_ros.structures import PoseEstimate, Status

__all__ = ['undisputed']

SUPPORT = 0.15
"""A map image supports a pose if this share of its matches does."""
RIVAL_SHARE = 0.5
"""A rival has at least this share of the keypoints that support the pose."""
RIVAL_ANGLE = np.deg2rad(5.0)
RIVAL_SHIFT = 0.1
"""Nearer, as a share of the distance of the points, it is the same place seen less well."""


def undisputed(
    solution: Solution, views: Sequence[PlacedSighting], config: LocalizationConfig, seed: int
) -> Solution:
    """Give a solution back, or DEGENERATE if there is another pose nearly as good.

    Args:
        solution: of the views.
        views: what it was found from.
        config: how sure a pose must be.
        seed: of the RANSAC.
    """
    if solution.pose is None:
        return solution
    count = count_keypoints(views, solution.inliers)
    others = _without_supporters(views, solution.inliers, least=RIVAL_SHARE * count)
    if not others:
        return solution
    others = [_with_points(view, config) for view in others]
    rival = solve_from_points(
        others,
        replace(config, min_inliers=max(config.min_inliers, int(np.ceil(RIVAL_SHARE * count)))),
        seed,
        threshold_px=config.essential.reprojection_threshold_px,
        called='triangulated keypoints',
    )
    if rival.pose is None or not _elsewhere(rival.pose, solution.pose, others):
        return solution
    found = count_keypoints(others, rival.inliers)
    reason = f'two places look alike: {count} keypoints are for one, {found} for another'
    return Solution(Status.DEGENERATE, reason, is_ambiguous=True)


def _without_supporters(
    views: Sequence[PlacedSighting], inliers: Sequence[NDArray[np.bool_]], least: float
) -> list[PlacedSighting]:
    """Keep the map images that do not support a pose; views that have none left are left out.

    Those of fewer than two map images, or fewer matches than `least`, cannot give another.
    """
    others, masks = [], iter(inliers)
    for view in views:
        rest = tuple(
            image
            for image in view.sighting.matched
            if np.count_nonzero(next(masks)) < SUPPORT * len(image.matches)
        )
        if len(rest) >= 2 and sum(len(image.matches) for image in rest) >= least:
            others.append(replace(view, sighting=replace(view.sighting, matched=rest)))
    return others


def _with_points(view: PlacedSighting, config: LocalizationConfig) -> PlacedSighting:
    points = triangulate_matches(view.features, view.sighting.matched, config.essential)
    return replace(view, sighting=replace(view.sighting, points=points))


def _elsewhere(rival: PoseEstimate, pose: PoseEstimate, others: Sequence[PlacedSighting]) -> bool:
    """Tell whether two poses are of different places, not of one that is hard to make out."""
    shift, angle = pose_error(rival.map_from_body, pose.map_from_body)
    positions = [view.sighting.points.positions for view in others if view.sighting.points]
    offsets = np.concatenate(positions) - rival.map_from_body.translation
    distance = float(np.median(np.linalg.norm(offsets, axis=1)))
    return angle > RIVAL_ANGLE or shift > RIVAL_SHIFT * distance
