# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of map images with matches that do not depend on the poses in the map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from relloc_ros.evaluation.map_check.corrections import Motion, PosedPair
from relloc_ros.evaluation.map_check.leave_one_out import LeftOut
from relloc_ros.geometry import RigidTransform, log_so3
from relloc_ros.localizers.reference_matching import MatchedImage
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.relative_pose import estimate_essential_5pt

__all__ = ['image_motions', 'verified_pairs']

MAX_MATCHES = 120
MIN_INLIERS = 25
THRESHOLD_PX = 3.0
"""Wide: with a focal length that is off by some percent the true matches must stay in."""
MAX_GAP_S = 1.0
JUMP = 5.0
"""A step this many times longer than usual is a cut between sequences."""
SEED = 0


def verified_pairs(
    reference_map: ReferenceMap,
    left_outs: Sequence[LeftOut],
    motions: Sequence[Motion | None],
) -> list[PosedPair]:
    """Keep the matches of pairs that an essential matrix of their own confirms.

    Args:
        reference_map: the map.
        left_outs: its images with their matches.
        motions: of all images of the map.
    """
    pairs = [
        _verified(reference_map, left_out, image, motions)
        for left_out in left_outs
        for image in left_out.sighting.matched
    ]
    return [pair for pair in pairs if pair is not None]


def _verified(
    reference_map: ReferenceMap,
    left_out: LeftOut,
    image: MatchedImage,
    motions: Sequence[Motion | None],
) -> PosedPair | None:
    features = left_out.sighting.features
    assert features is not None
    points = image.points(features)
    geometry = estimate_essential_5pt(points, threshold_px=THRESHOLD_PX, seed=SEED)
    if geometry is None or geometry.inliers is None or geometry.inliers.sum() < MIN_INLIERS:
        return None
    rows = np.flatnonzero(geometry.inliers)
    rows = rows[:: max(1, len(rows) // MAX_MATCHES)]
    mask = np.zeros(len(geometry.inliers), dtype=bool)
    mask[rows] = True
    images = (left_out.index, image.index)
    first, second = images
    return PosedPair(
        images,
        (reference_map.camera_id(first), reference_map.camera_id(second)),
        (left_out.cam_from_map.inverse(), image.cam_from_map.inverse()),
        (motions[first], motions[second]),
        points.select(mask),
    )


def image_motions(
    stamps_ns: Sequence[int], poses: Sequence[RigidTransform]
) -> list[Motion | None]:
    """Tell how the camera moves at each image; None at cuts and in long gaps.

    Args:
        stamps_ns: of N images, in any order.
        poses: map_from_cam of each.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    order = np.argsort(stamps, kind='stable')
    gaps = 1e-9 * np.diff(stamps[order])
    steps = np.array(
        [
            np.linalg.norm(poses[after].translation - poses[before].translation)
            for before, after in pairwise(order)
        ]
    )
    usable = (gaps > 0.0) & (gaps <= MAX_GAP_S)
    if usable.any():
        usable &= steps <= JUMP * max(float(np.median(steps[usable])), 1e-12)
    motions: list[Motion | None] = [None] * len(poses)
    for place, index in enumerate(order):
        before = place - 1 if place > 0 and usable[place - 1] else place
        after = place + 1 if place + 1 < len(order) and usable[place] else place
        if after - before == 2:
            motions[index] = _motion(
                poses[order[before]],
                poses[order[after]],
                1e-9 * float(stamps[order[after]] - stamps[order[before]]),
            )
    return motions


def _motion(before: RigidTransform, after: RigidTransform, seconds: float) -> Motion:
    return Motion(
        (after.translation - before.translation) / seconds,
        log_so3(after.rotation @ before.rotation.T) / seconds,
    )
