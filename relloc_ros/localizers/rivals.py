# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether other map images would give another pose just as well: places that look alike.

A pose that half of the matches agree with passes every test that looks at it alone, also if the
other half agree with a pose at the other end of the building. So the map images that do not
support a pose are asked for one of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import pose_error
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.pose_from_points import solve_from_points
from relloc_ros.localizers.reference_matching import MatchedImage
from relloc_ros.localizers.sighting import PlacedSighting
from relloc_ros.localizers.solution import Solution, count_keypoints
from relloc_ros.structures import PoseEstimate, Status

__all__ = ['undisputed']

SUPPORT = 0.15
"""A map image supports a pose if this share of its matches does."""
RIVAL_SHARE = 0.3
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
    least = max(config.min_inliers, int(np.ceil(RIVAL_SHARE * count)))
    strict = replace(config, min_inliers=least)
    for others in _rests(views, solution.inliers, strict):
        rival = solve_from_points(
            others,
            strict,
            seed,
            threshold_px=config.essential.reprojection_threshold_px,
            called='triangulated keypoints',
        )
        if rival.pose is not None and _elsewhere(rival.pose, solution.pose, others):
            found = count_keypoints(others, rival.inliers)
            reason = f'two places look alike: {count} keypoints are for one, {found} for another'
            return Solution(Status.DEGENERATE, reason, is_ambiguous=True)
    return solution


def _rests(
    views: Sequence[PlacedSighting],
    inliers: Sequence[NDArray[np.bool_]],
    config: LocalizationConfig,
) -> Iterator[list[PlacedSighting]]:
    """Give the views without the map images that support a pose; then without such matches.

    The first are of another place, the second of things that are repeated in one image. What has
    fewer than two map images in a view, or `min_inliers` matches, gives no pose and is left out.
    """
    for whole_images in (True, False):
        others, masks = [], iter(inliers)
        for view in views:
            rest = []
            for image in view.sighting.matched:
                mask = next(masks)
                if not whole_images:
                    rest.append(replace(image, matches=image.matches[~mask]))
                elif np.count_nonzero(mask) < SUPPORT * len(mask):
                    rest.append(image)
            if len(rest) >= 2 and sum(len(image.matches) for image in rest) >= config.min_inliers:
                others.append(_with_points(view, rest, config))
        if others:
            yield others


def _with_points(
    view: PlacedSighting, rest: list[MatchedImage], config: LocalizationConfig
) -> PlacedSighting:
    points = triangulate_matches(view.features, rest, config.essential)
    return replace(view, sighting=replace(view.sighting, matched=tuple(rest), points=points))


def _elsewhere(rival: PoseEstimate, pose: PoseEstimate, others: Sequence[PlacedSighting]) -> bool:
    """Tell whether two poses are of different places, not of one that is hard to make out."""
    shift, angle = pose_error(rival.map_from_body, pose.map_from_body)
    positions = [view.sighting.points.positions for view in others if view.sighting.points]
    offsets = np.concatenate(positions) - rival.map_from_body.translation
    distance = float(np.median(np.linalg.norm(offsets, axis=1)))
    return angle > RIVAL_ANGLE or shift > RIVAL_SHIFT * distance
