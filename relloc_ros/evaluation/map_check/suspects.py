# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images have poses that the rest of the map contradicts.

A wrong pose spoils the poses found with its help, too. So the worst image is taken out of the map,
those that were matched with it are localized again without it, and so on until nobody stands out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.evaluation.map_check.leave_one_out import LeaveOneOut, LeftOut
from relloc_ros.geometry import Array, log_so3, pose_error, skew
from relloc_ros.vision.epipolar_refinement import pose_sampson_errors
from relloc_ros.vision.relative_pose import estimate_essential_5pt, sampson_errors

__all__ = ['Suspect', 'doubtful_references', 'find_suspects', 'swapped']

MIN_SCORE = 5.0
"""Standard deviations, those of the poses found or of the map's usual discrepancy."""
MIN_RATIO = 2.5
"""To the usual discrepancy."""
MIN_AGREEMENT = 0.3
"""Of the matches with the pose found: with less, it may be that one that is wrong."""
ON_LINE_PX = 1.5
MAX_SHARE = 0.3
"""So many cannot be single faults."""
OWN_THRESHOLD_PX = 2.0
SAME_PLACE = 0.2
MIN_PAIRS, POOR_SHARE = 2, 0.5
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """An image whose pose in the map differs from the one that others give it.

    Attributes:
        left_out: the image, localized without other suspects.
        distance: between both positions, map units.
        angle: between both rotations, radians.
        score: standard deviations.
        on_lines: share of the matches that lie on the epipolar lines of the pose in the map.
        on_own_lines: share on those of the pairs' own essential matrices.
    """

    left_out: LeftOut
    distance: float
    angle: float
    score: float
    on_lines: float
    on_own_lines: float


def find_suspects(leave_one_out: LeaveOneOut, left_outs: Sequence[LeftOut]) -> list[Suspect]:
    """Take the worst image out until none stands out; worst first."""
    current = {left_out.index: left_out for left_out in left_outs}
    taken: dict[int, float] = {}
    while len(taken) < max(2, MAX_SHARE * len(left_outs)):
        scores = _scores([each for key, each in current.items() if key not in taken])
        if not scores or max(scores.values()) < MIN_SCORE:
            break
        worst = max(scores, key=lambda key: scores[key])
        taken[worst] = scores[worst]
        for key, score in scores.items():
            if score >= 0.5 * MIN_SCORE and key != worst:
                current[key] = leave_one_out.without(current[key], frozenset(taken))
    # Those taken out early may have been misled by those taken out later.
    confirmed = []
    usual = [each for key, each in current.items() if key not in taken]
    for key, first_score in taken.items():
        again = leave_one_out.without(current[key], frozenset(taken) - {key})
        score = _scores([*usual, again]).get(key, 0.0)
        if again.discrepancy is None or score >= MIN_SCORE:
            confirmed.append(_suspect(again if again.discrepancy else current[key], first_score))
    return sorted(confirmed, key=lambda suspect: -suspect.score)


def doubtful_references(left_outs: Sequence[LeftOut]) -> list[int]:
    """Find images whose own poses were not looked at and that disagree with the poses found.

    Returns:
        Their indices in the map, worst first.
    """
    known = {left_out.index for left_out in left_outs}
    shares: dict[int, list[float]] = {}
    for left_out in left_outs:
        pose, features = left_out.found.camera_pose, left_out.sighting.features
        if pose is None or features is None:
            continue
        for image in left_out.sighting.matched:
            errors = pose_sampson_errors(
                pose.map_from_body, [image.points(features)], [image.cam_from_map]
            )
            share = float(np.mean(np.abs(errors) <= ON_LINE_PX))
            shares.setdefault(image.index, []).append(share)
    medians = {key: float(np.median(values)) for key, values in shares.items()}
    if not medians:
        return []
    limit = POOR_SHARE * float(np.median(list(medians.values())))
    doubtful = [
        key
        for key, median in medians.items()
        if key not in known and median < limit and len(shares[key]) >= MIN_PAIRS
    ]
    return sorted(doubtful, key=lambda key: medians[key])


def swapped(suspects: Sequence[Suspect]) -> list[tuple[Suspect, Suspect]]:
    """Find pairs of suspects each of which is where the map has the other."""
    pairs = []
    for place, first in enumerate(suspects):
        for second in suspects[place + 1 :]:
            near = [_is_at(first, second), _is_at(second, first)]
            if all(near):
                pairs.append((first, second))
    return pairs


def _is_at(suspect: Suspect, other: Suspect) -> bool:
    found = suspect.left_out.found.camera_pose
    if found is None:
        return False
    distance, _ = pose_error(found.map_from_body, other.left_out.cam_from_map.inverse())
    return distance < SAME_PLACE * suspect.distance


def _scores(left_outs: Sequence[LeftOut]) -> Mapping[int, float]:
    """How much each image stands out, by its index; those without a trustworthy pose do not."""
    found = [left_out for left_out in left_outs if left_out.discrepancy is not None]
    if not found:
        return {}
    differences = np.array([_difference(left_out) for left_out in found])
    sizes = np.linalg.norm(differences.reshape(-1, 2, 3), axis=2)
    usual = np.maximum(np.median(sizes, axis=0), 1e-12)
    deviations = np.array(
        [_mahalanobis(left_out, each) for left_out, each in zip(found, differences, strict=True)]
    )
    deviations /= max(1.0, float(np.median(deviations)))
    # What is large beside the usual difference, and not for lack of matches.
    large = (sizes / usual).max(axis=1) >= MIN_RATIO
    sure = np.array([_agreement(left_out) for left_out in found]) >= MIN_AGREEMENT
    return {
        left_out.index: float(score)
        for left_out, score in zip(found, np.where(large & sure, deviations, 0.0), strict=True)
    }


def _difference(left_out: LeftOut) -> Array:
    """Position and rotation vector (6,) from the pose found to the one in the map."""
    assert left_out.found.camera_pose is not None
    found, stored = left_out.found.camera_pose.map_from_body, left_out.cam_from_map.inverse()
    return np.concatenate(
        [stored.translation - found.translation, log_so3(stored.rotation @ found.rotation.T)]
    )


def _mahalanobis(left_out: LeftOut, difference: Array) -> float:
    assert left_out.found.camera_pose is not None
    covariance = left_out.found.camera_pose.covariance
    return float(np.sqrt(difference @ np.linalg.solve(covariance, difference)))


def _agreement(left_out: LeftOut) -> float:
    """Share of the matches on the epipolar lines of the pose found."""
    assert left_out.found.camera_pose is not None
    found = left_out.found.camera_pose.map_from_body
    features = left_out.sighting.features
    assert features is not None
    matched = left_out.sighting.matched
    errors = pose_sampson_errors(
        found, [image.points(features) for image in matched], [m.cam_from_map for m in matched]
    )
    return float(np.mean(np.abs(errors) <= ON_LINE_PX)) if len(errors) else 0.0


def _suspect(left_out: LeftOut, score: float) -> Suspect:
    difference = _difference(left_out)
    on_lines, on_own = _shares(left_out)
    return Suspect(
        left_out,
        float(np.linalg.norm(difference[:3])),
        float(np.linalg.norm(difference[3:])),
        score,
        on_lines,
        on_own,
    )


def _shares(left_out: LeftOut) -> tuple[float, float]:
    """Medians over the pairs: matches on the lines of the map's poses, and on their own lines."""
    features = left_out.sighting.features
    assert features is not None
    shares = []
    for image in left_out.sighting.matched:
        points = image.points(features)
        geometry = estimate_essential_5pt(points, threshold_px=OWN_THRESHOLD_PX, seed=SEED)
        if geometry is None:
            continue
        relative = left_out.cam_from_map @ image.cam_from_map.inverse()
        by_poses = sampson_errors(skew(relative.translation) @ relative.rotation, points)
        own = sampson_errors(geometry.essential, points)
        shares.append([np.mean(np.abs(each) <= ON_LINE_PX) for each in (by_poses, own)])
    if not shares:
        return 0.0, 0.0
    on_lines, on_own = np.median(shares, axis=0)
    return float(on_lines), float(on_own)
