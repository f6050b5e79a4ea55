# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether other map images would give another pose just as well: places that look alike.

A pose that half of the matches agree with passes every test that looks at it alone, also if the
other half agree with a pose at the other end of the building. So what does not support a pose is
asked for one of its own: the strongest map image alone, by its essential matrix, which says from
which line the query was taken; then all other matches together, by the points they triangulate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.geometry import RigidTransform, pose_error, rotation_angle
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.pose_from_points import solve_from_points
from relloc_ros.localizers.reference_matching import MatchedImage
from relloc_ros.localizers.sighting import NO_ROW, PlacedSighting, matched_images
from relloc_ros.localizers.solution import Solution, count_keypoints
from relloc_ros.structures import PoseEstimate, Status
from relloc_ros.vision.epipolar_refinement import pose_sampson_errors
from relloc_ros.vision.relative_pose import (
    MatchedPoints,
    PairGeometry,
    decompose_essential,
    estimate_essential_5pt,
    in_front,
)

__all__ = ['undisputed']

SUPPORT = 0.15
"""A map image supports a pose if this share of its matches does, or lies on its epipolar lines."""
RIVAL_SHARE = 0.3
"""A rival has at least this share of the keypoints that support the pose."""
RIVAL_ANGLE = np.deg2rad(10.0)
RIVAL_SHIFT = 0.1
"""Nearer, as a share of the distance of the points, it is the same place seen less well."""
EPIPOLAR_PX = 1.5
OF_ONE_MIND = 0.4
"""Such a share of a map image's matches agree with its essential matrix if it shows the query's
place; of images that do not, chance found up to 35 %."""
MAX_ITERATIONS = 150
MAX_IMAGES = 5
"""Each pair of images costs time. Those that do not support the pose tell most."""


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
    found = _contradicting(solution.pose, solution.inliers, views, config, least)
    if not found:
        found = _rival(solution.pose, solution.inliers, views, config, least, seed)
    if not found:
        return solution
    reason = f'two places look alike: {count} keypoints are for one, {found} for another'
    return Solution(Status.DEGENERATE, reason, is_ambiguous=True)


def _contradicting(
    pose: PoseEstimate,
    inliers: Sequence[NDArray[np.bool_]],
    views: Sequence[PlacedSighting],
    config: LocalizationConfig,
    least: int,
) -> int:
    """Count the keypoints with which one map image has the query elsewhere; 0 if none has.

    Only the image with most matches is asked of those that do not support the pose.
    """
    silent = [
        (view, image)
        for (_, view, image), mask in zip(matched_images(views), inliers, strict=True)
        if len(mask) >= least and np.count_nonzero(mask) < SUPPORT * len(mask)
    ]
    if not silent:
        return 0
    near = RIVAL_SHIFT * _distance(pose.map_from_body, inliers, views, config)
    for view, image in sorted(silent, key=lambda pair: -len(pair[1].matches)):
        map_from_cam = pose.map_from_body @ view.body_from_cam
        map_from_ref = image.cam_from_map.inverse()
        points = image.points(view.features)
        if np.linalg.norm(map_from_cam.translation - map_from_ref.translation) <= near:
            continue
        errors = np.abs(pose_sampson_errors(map_from_cam, [points], [image.cam_from_map]))
        if np.mean(errors <= EPIPOLAR_PX) >= SUPPORT:
            continue
        geometry = estimate_essential_5pt(
            points,
            threshold_px=config.essential.epipolar_threshold_px,
            seed=view.sighting.seed,
            max_iterations=MAX_ITERATIONS,
        )
        if geometry is None or geometry.inliers is None:
            return 0
        count = int(geometry.inliers.sum())
        if count < max(least, OF_ONE_MIND * len(points.query)):
            return 0
        apart = _is_elsewhere(map_from_cam, map_from_ref, points, geometry, near)
        return count if apart else 0
    return 0


def _distance(
    map_from_body: RigidTransform,
    inliers: Sequence[NDArray[np.bool_]],
    views: Sequence[PlacedSighting],
    config: LocalizationConfig,
) -> float:
    """Median distance of the points that support a pose; infinite if none is known."""
    masks, found = iter(inliers), [np.empty((0, 3))]
    for view in views:
        points = view.sighting.points
        if points is None:
            points = triangulate_matches(view.features, view.sighting.matched, config.essential)
        for rows in points.shown:
            found.append(points.positions[rows[next(masks) & (rows != NO_ROW)]])
    offsets = np.concatenate(found) - map_from_body.translation
    return float(np.median(np.linalg.norm(offsets, axis=1))) if len(offsets) else np.inf


def _is_elsewhere(
    map_from_cam: RigidTransform,
    map_from_ref: RigidTransform,
    points: MatchedPoints,
    geometry: PairGeometry,
    near: float,
) -> bool:
    """Tell whether a camera is turned, or off the ray on which a map image has it."""
    assert geometry.inliers is not None
    agreeing = points.select(geometry.inliers)
    rotations, direction = decompose_essential(geometry.essential)
    cam_from_ref = max(
        (RigidTransform(r, sign * direction) for r in rotations for sign in (1.0, -1.0)),
        key=lambda candidate: np.count_nonzero(in_front(candidate, agreeing)),
    )
    seen = map_from_ref @ cam_from_ref.inverse()
    offset = map_from_cam.translation - map_from_ref.translation
    ray = seen.translation - map_from_ref.translation
    along = max(0.0, float(offset @ ray)) if geometry.has_baseline else 0.0
    aside = float(np.linalg.norm(offset - along * ray))
    return aside > near or rotation_angle(seen.rotation @ map_from_cam.rotation.T) > RIVAL_ANGLE


def _rival(
    pose: PoseEstimate,
    inliers: Sequence[NDArray[np.bool_]],
    views: Sequence[PlacedSighting],
    config: LocalizationConfig,
    least: int,
    seed: int,
) -> int:
    """Count the keypoints that support another pose; 0 if there is none."""
    rests = list(_rests(inliers, views, config.min_inliers))
    if sum(count for *_, count in rests) < least:
        return 0
    others = [_with_points(view, rest, config) for view, rest, _ in rests]
    rival = solve_from_points(
        others,
        replace(config, min_inliers=least, min_match_agreement=0.0),
        seed,
        threshold_px=config.essential.reprojection_threshold_px,
        called='triangulated keypoints',
    )
    if rival.pose is None:
        return 0
    shift, angle = pose_error(rival.pose.map_from_body, pose.map_from_body)
    near = RIVAL_SHIFT * _distance(pose.map_from_body, inliers, views, config)
    if shift <= near and angle <= RIVAL_ANGLE:
        return 0
    return count_keypoints(others, rival.inliers)


def _rests(
    inliers: Sequence[NDArray[np.bool_]], views: Sequence[PlacedSighting], least: int
) -> Iterator[tuple[PlacedSighting, list[MatchedImage], int]]:
    """Give views, what of their matches does not support the pose, and how many points at most.

    Views that cannot give as many points as `least` are left out.
    """
    masks = iter(inliers)
    for view in views:
        supporting: list[MatchedImage] = []
        silent: list[MatchedImage] = []
        for image in view.sighting.matched:
            mask = next(masks)
            is_silent = np.count_nonzero(mask) < SUPPORT * len(mask)
            left_over = replace(image, matches=image.matches[~mask])
            (silent if is_silent else supporting).append(left_over)
        rest = (_most_matches_first(silent) + _most_matches_first(supporting))[:MAX_IMAGES]
        times_seen = np.zeros(len(view.features), dtype=int)
        for image in rest:
            times_seen[image.matches[:, 0]] += 1
        count = int(np.count_nonzero(times_seen >= 2))
        if count >= least:
            yield view, rest, count


def _most_matches_first(images: list[MatchedImage]) -> list[MatchedImage]:
    return sorted(images, key=lambda image: -len(image.matches))


def _with_points(
    view: PlacedSighting, rest: list[MatchedImage], config: LocalizationConfig
) -> PlacedSighting:
    points = triangulate_matches(view.features, rest, config.essential)
    return replace(view, sighting=replace(view.sighting, matched=tuple(rest), points=points))
