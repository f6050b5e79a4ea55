# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a solver says about one query: a pose with its supporting matches, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, QueryImage, Status
from relloc_ros.vision.epipolar_refinement import pose_sampson_errors

__all__ = ['Solution', 'accept', 'answer', 'count_keypoints']

AGREEMENT_THRESHOLD_PX = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A pose of the query's camera, or a status that says why not.

    Attributes:
        status: LOCALIZED if there is a pose.
        reason: for people; empty when localized.
        pose: of the camera in the map.
        inliers: for each matched image a mask over its matches; () without a pose.
    """

    status: Status
    reason: str = ''
    pose: PoseEstimate | None = None
    inliers: tuple[NDArray[np.bool_], ...] = ()


def accept(
    pose: PoseEstimate,
    inliers: tuple[NDArray[np.bool_], ...],
    query: QueryFeatures,
    matched: Sequence[MatchedImage],
    config: LocalizationConfig,
) -> Solution:
    """Accept a pose that enough keypoints support and that the other matches do not contradict.

    A few matches on repeated structure can agree on a wrong pose; then most of the other matches,
    of the strongest image above all, lie off the epipolar lines the pose gives them.
    """
    count = count_keypoints(matched, inliers)
    if count < config.min_inliers:
        return Solution(Status.TOO_FEW_INLIERS, f'{count} inliers, fewer than min_inliers')
    errors = pose_sampson_errors(
        pose.map_from_body,
        [image.points(query) for image in matched],
        [image.cam_from_map for image in matched],
    )
    agreement = float(np.mean(np.abs(errors) <= AGREEMENT_THRESHOLD_PX))
    if agreement < config.min_match_agreement:
        reason = f'{count} inliers, but only {agreement:.0%} of all matches agree with the pose'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    return Solution(Status.LOCALIZED, '', pose, inliers)


def count_keypoints(matched: Sequence[MatchedImage], masks: Sequence[NDArray[np.bool_]]) -> int:
    """Count the distinct query keypoints among masked matches."""
    found = [image.matches[mask, 0] for image, mask in zip(matched, masks, strict=True)]
    return len(np.unique(np.concatenate(found))) if found else 0


def answer(
    query: QueryImage,
    localizer: str,
    timings_ms: Mapping[str, float],
    solution: Solution,
    features: QueryFeatures | None = None,
    retrieved: tuple[str, ...] = (),
    matched: Sequence[MatchedImage] = (),
) -> Localization:
    """Put together what a localizer returns; what it did not get to is left out."""
    masks = solution.inliers or tuple(
        np.zeros(len(image.matches), dtype=bool) for image in matched
    )
    return Localization(
        status=solution.status,
        reason=solution.reason,
        stamp_ns=query.stamp_ns,
        localizer=localizer,
        camera_pose=solution.pose,
        num_matches=sum(len(image.matches) for image in matched),
        num_inliers=count_keypoints(matched, masks),
        retrieved=retrieved,
        pairs=() if features is None else _pair_matches(features, matched, masks),
        timings_ms=timings_ms,
    )


def _pair_matches(
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    masks: tuple[NDArray[np.bool_], ...],
) -> tuple[PairMatches, ...]:
    """Give the matches in pixels."""
    return tuple(
        PairMatches(
            image.name,
            features.points2D[image.matches[:, 0]],
            image.features.points2D[image.matches[:, 1]],
            mask,
        )
        for image, mask in zip(matched, masks, strict=True)
    )
