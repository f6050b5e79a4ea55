# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a solver says about an image or a rig: a pose with its support, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from relloc_ros.config import LocalizationConfig
from relloc_ros.localizers.sighting import PlacedSighting, matched_images
from relloc_ros.structures import CameraDeviation, Localization, PairMatches, PoseEstimate, Status
from relloc_ros.vision.epipolar_refinement import pose_sampson_errors

__all__ = ['Solution', 'accept', 'answer', 'count_keypoints', 'refusal']

AGREEMENT_THRESHOLD_PX = 1.5

Masks = Sequence[NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A pose of the query's camera or of a rig's body, or a status that says why not.

    Attributes:
        status: LOCALIZED if there is a pose.
        reason: for people; empty when localized.
        pose: in the map.
        inliers: for each matched image of each view a mask over its matches; () without a pose.
        agreement: as in `Localization`.
        is_ambiguous: whether there is no pose because there are two: another method would have to
            choose one, too.
    """

    status: Status
    reason: str = ''
    pose: PoseEstimate | None = None
    inliers: tuple[NDArray[np.bool_], ...] = ()
    agreement: float | None = None
    is_ambiguous: bool = False


def refusal(views: Sequence[PlacedSighting]) -> Solution:
    """Say why none of the views shows anything."""
    sightings = [view.sighting for view in views]
    if len(sightings) == 1:
        return Solution(sightings[0].status, sightings[0].reason)
    reasons = [f'{sighting.name}: {sighting.reason}' for sighting in sightings]
    return Solution(sightings[0].status, '; '.join(reasons))


def accept(
    pose: PoseEstimate,
    inliers: tuple[NDArray[np.bool_], ...],
    views: Sequence[PlacedSighting],
    config: LocalizationConfig,
) -> Solution:
    """Accept a pose that enough keypoints support and that the other matches do not contradict.

    A few matches on repeated structure can agree on a wrong pose; then most of the other matches,
    of the strongest image above all, lie off the epipolar lines the pose gives them.
    """
    count = count_keypoints(views, inliers)
    if count < config.min_inliers:
        return Solution(Status.TOO_FEW_INLIERS, f'{count} inliers, fewer than min_inliers')
    pairs = list(matched_images(views))
    errors = pose_sampson_errors(
        pose.map_from_body,
        [image.points(view.features) for _, view, image in pairs],
        [image.cam_from_map for _, _, image in pairs],
        [view.body_from_cam for _, view, _ in pairs],
    )
    agrees = np.abs(errors) <= AGREEMENT_THRESHOLD_PX
    agreement = float(np.mean(agrees))
    if agreement < config.min_match_agreement:
        reason = f'{count} inliers, but only {agreement:.0%} of all matches agree with the pose'
        return Solution(Status.TOO_FEW_INLIERS, reason)
    ends = np.cumsum([len(image.matches) for *_, image in pairs])
    strongest = max(np.split(agrees, ends[:-1]), key=len)
    mean = float(np.sqrt(agreement * np.mean(strongest)))
    return Solution(Status.LOCALIZED, '', pose, inliers, mean)


def count_keypoints(views: Sequence[PlacedSighting], masks: Masks) -> int:
    """Count the distinct keypoints of the views among masked matches.

    Keypoints of several views that show the same thing, to judge by the map keypoints they are
    matched with, count once: a wrong match is repeated in each image of a moving camera.
    """
    if len(views) == 1:
        found = np.zeros(len(views[0].features), dtype=bool)
        for (*_, image), mask in zip(matched_images(views), masks, strict=True):
            found[image.matches[mask, 0]] = True
        return int(found.sum())
    seen, shown = [np.empty((0, 2), dtype=np.intp)], [np.empty((0, 2), dtype=np.intp)]
    for (number, _, image), mask in zip(matched_images(views), masks, strict=True):
        keypoints, map_keypoints = image.matches[mask].T
        seen.append(np.column_stack([np.full_like(keypoints, number), keypoints]))
        shown.append(np.column_stack([np.full_like(keypoints, image.index), map_keypoints]))
    _, rows = np.unique(np.concatenate(seen), axis=0, return_inverse=True)
    _, columns = np.unique(np.concatenate(shown), axis=0, return_inverse=True)
    if not len(rows):
        return 0
    size = int(rows.max()) + 1 + int(columns.max()) + 1
    edges = (np.ones(len(rows)), (rows.ravel(), columns.ravel() + int(rows.max()) + 1))
    count, _ = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)
    return int(count)


def answer(
    localizer: str,
    views: Sequence[PlacedSighting],
    solution: Solution,
    timings_ms: Mapping[str, float],
    camera_deviation: CameraDeviation | None = None,
) -> Localization:
    """Put together what a localizer returns, at the time of the newest view."""
    pairs = _pair_matches(views, solution)
    names = chain.from_iterable(view.sighting.retrieved for view in views)
    return Localization(
        status=solution.status,
        reason=solution.reason,
        stamp_ns=max(view.sighting.stamp_ns for view in views),
        localizer=localizer,
        camera_pose=solution.pose,
        num_matches=sum(len(pair.inliers) for pair in pairs),
        num_inliers=count_keypoints(views, solution.inliers) if solution.inliers else 0,
        agreement=solution.agreement,
        retrieved=tuple(dict.fromkeys(names)),
        pairs=pairs,
        timings_ms=timings_ms,
        camera_deviation=camera_deviation,
    )


def _pair_matches(views: Sequence[PlacedSighting], solution: Solution) -> tuple[PairMatches, ...]:
    """Give the matches in pixels."""
    pairs = list(matched_images(views))
    masks = solution.inliers or [np.zeros(len(image.matches), dtype=bool) for *_, image in pairs]
    return tuple(
        PairMatches(
            image.name,
            view.features.points2D[image.matches[:, 0]],
            image.features.points2D[image.matches[:, 1]],
            mask,
            number,
        )
        for (number, view, image), mask in zip(pairs, masks, strict=True)
    )
