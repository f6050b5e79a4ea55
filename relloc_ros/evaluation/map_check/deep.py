# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check a map by localizing its own images in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.evaluation.map_check.adjustment import Adjustment, adjust
from relloc_ros.evaluation.map_check.corrections import (
    Corrections,
    PosedPair,
    estimate_corrections,
    jackknifed,
)
from relloc_ros.evaluation.map_check.coverage import Place, coverage_findings, places_of
from relloc_ros.evaluation.map_check.explain import (
    camera_findings,
    depth_findings,
    focal_findings,
    half_pixel_findings,
    is_confirmed,
    time_findings,
)
from relloc_ros.evaluation.map_check.explain_poses import (
    outlier_findings,
    sensitivity_finding,
    suspect_findings,
)
from relloc_ros.evaluation.map_check.leave_one_out import LeaveOneOut, LeftOut
from relloc_ros.evaluation.map_check.pairs import image_motions, verified_pairs
from relloc_ros.evaluation.map_check.parts import part_findings
from relloc_ros.evaluation.map_check.pose_outliers import PoseOutlier, find_outliers
from relloc_ros.evaluation.map_check.suspects import (
    Suspect,
    doubtful_references,
    find_suspects,
)
from relloc_ros.geometry import RigidTransform, rotation_angle
from relloc_ros.map.findings import Finding, Level
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['DeepCheck', 'check_by_localizing']

Progress = Callable[[int, int, str], None]

MIN_PAIRS = 6
"""Fewer say nothing about a calibration."""
CLEAR_SCORE = 10.0
MAX_HELD_PAIRS = 600
"""With the poses held fixed, more add nothing."""
MAX_ADJUSTED = 400
"""Images: time grows with the cube."""
CLEAR_OUTLIER = 2.0
MIN_CONFIRMED = 0.5
"""Of the way that the matches ask for, the image must be found away from its pose, if at all."""
MAX_FURTHER = 0.5
"""Share of the samples that may be looked at in addition, because others disagree with them."""


@dataclass(frozen=True, slots=True, eq=False)
class DeepCheck:
    """What came out.

    Attributes:
        findings: errors first.
        places: how localization went, for each image looked at.
        num_images: of the map.
    """

    findings: list[Finding]
    places: list[Place]
    num_images: int


def check_by_localizing(
    reference_map: ReferenceMap, samples: int = 0, progress: Progress | None = None
) -> DeepCheck:
    """Localize images of a map in the rest of it, and explain what does not fit.

    Args:
        reference_map: the map.
        samples: images to look at, spread over the map; 0 is all. With fewer, those that disagree
            with the poses found for others are looked at as well.
        progress: called with the number done, the number in all and the name of the image.
    """
    report = progress or (lambda done, total, stage: None)
    leave_one_out = LeaveOneOut(reference_map)
    left_outs = leave_one_out.run(_evenly(reference_map.num_images, samples), report)
    places = places_of(left_outs)
    further = doubtful_references(left_outs)[: int(MAX_FURTHER * len(left_outs))]
    left_outs += leave_one_out.run(further, report)
    report(0, 1, 'comparing')
    suspects = find_suspects(leave_one_out, left_outs)
    pairs = _pairs(reference_map, left_outs)
    wrong = frozenset(suspect.left_out.index for suspect in suspects)
    depth = float(np.nanmedian([left_out.depth for left_out in left_outs] or [np.nan]))
    adjustment = adjust(_some_images(pairs), depth) if np.isfinite(depth) and pairs else None
    systematic = _systematic(reference_map, _evenly_among(pairs, wrong), adjustment)
    outliers = []
    if adjustment is not None:
        outliers = _outliers(adjustment, suspects, left_outs, leave_one_out)
    if any(
        finding.level is Level.ERROR or finding.kind == 'focal_length' for finding in systematic
    ):
        # What concerns all images hits some harder than others.
        suspects = [suspect for suspect in suspects if suspect.score >= CLEAR_SCORE]
        outliers = [outlier for outlier in outliers if outlier.score >= CLEAR_OUTLIER]
    findings = suspect_findings(suspects, pairs, reference_map.units)
    if adjustment is not None:
        findings += outlier_findings(outliers, adjustment, pairs, reference_map)
    wrong |= frozenset(outlier.index for outlier in outliers)
    findings += [
        *systematic,
        *part_findings(leave_one_out, depth, wrong, report),
        *_depths(reference_map, left_outs),
        *coverage_findings([p for p in places if p.index not in wrong], reference_map.units),
    ]
    if adjustment is not None:
        findings.append(sensitivity_finding(adjustment, reference_map.units))
    report(1, 1, 'comparing')
    return DeepCheck(findings, places, reference_map.num_images)


def _systematic(
    reference_map: ReferenceMap, pairs: Sequence[PosedPair], adjustment: Adjustment | None
) -> list[Finding]:
    """Find what concerns all images alike: with the poses held, and with them adjusted."""
    cameras = reference_map.cameras
    held = estimate_corrections(pairs) if len(pairs) >= MIN_PAIRS else None
    asked = [] if adjustment is None else focal_findings(adjustment, None, cameras)
    if held is not None and (asked or _explain(held, cameras)):
        held = jackknifed(pairs, held)
    findings = [] if held is None else _explain(held, cameras)
    findings = [finding for finding in findings if is_confirmed(finding, adjustment)]
    kinds = {finding.kind for finding in findings}
    if adjustment is None or kinds & {'time_offset', 'inconsistent'}:
        return findings
    if 'focal_length' not in kinds:
        findings += focal_findings(adjustment, held, cameras)
    return findings + half_pixel_findings(adjustment)


def _explain(corrections: Corrections, cameras: dict[int, Camera]) -> list[Finding]:
    # A calibration that poses of another time seem to ask for means nothing.
    return time_findings(corrections) or camera_findings(corrections, cameras)


def _pairs(reference_map: ReferenceMap, left_outs: Sequence[LeftOut]) -> list[PosedPair]:
    poses = [reference_map.cam_from_map(i).inverse() for i in range(reference_map.num_images)]
    motions = image_motions(reference_map.stamps_ns.tolist(), poses)
    return verified_pairs(reference_map, left_outs, motions)


def _evenly_among(pairs: Sequence[PosedPair], wrong: frozenset[int]) -> list[PosedPair]:
    right = [pair for pair in pairs if wrong.isdisjoint(pair.images)]
    return right[:: max(1, -(-len(right) // MAX_HELD_PAIRS))]


def _some_images(pairs: Sequence[PosedPair]) -> list[PosedPair]:
    """Take pairs until they have as many images as can be adjusted."""
    images: set[int] = set()
    for pair in pairs:
        if len(images | set(pair.images)) <= MAX_ADJUSTED:
            images |= set(pair.images)
    return [pair for pair in pairs if images.issuperset(pair.images)]


def _outliers(
    adjustment: Adjustment,
    suspects: Sequence[Suspect],
    left_outs: Sequence[LeftOut],
    leave_one_out: LeaveOneOut,
) -> list[PoseOutlier]:
    """Drop those known already, and those that are found near their poses without these."""
    known = frozenset(suspect.left_out.index for suspect in suspects)
    by_index = {left_out.index: left_out for left_out in left_outs}

    def is_elsewhere(outlier: PoseOutlier) -> bool:
        left_out = by_index.get(outlier.index)
        if left_out is not None and left_out.discrepancy is None:
            # Images that are wrong in the same way may have made its place ambiguous.
            left_out = leave_one_out.without(left_out, known)
        if left_out is None or left_out.discrepancy is None:
            return True
        return _is_far(outlier, left_out.discrepancy, adjustment)

    return [
        outlier
        for outlier in find_outliers(adjustment)
        if outlier.index not in known and is_elsewhere(outlier)
    ]


def _is_far(outlier: PoseOutlier, discrepancy: RigidTransform, adjustment: Adjustment) -> bool:
    if outlier.distance * adjustment.turn_std > outlier.angle * adjustment.shift_std:
        distance = float(np.linalg.norm(discrepancy.translation))
        return distance >= MIN_CONFIRMED * outlier.distance
    return rotation_angle(discrepancy.rotation) >= MIN_CONFIRMED * outlier.angle


def _depths(reference_map: ReferenceMap, left_outs: Sequence[LeftOut]) -> list[Finding]:
    depths = np.array([left_out.depth for left_out in left_outs])
    extent = float(np.ptp(reference_map.centres, axis=0).max())
    return depth_findings(depths, extent, reference_map.units)


def _evenly(count: int, samples: int) -> list[int]:
    if samples <= 0 or samples >= count:
        return list(range(count))
    return sorted(set(np.linspace(0, count - 1, samples).astype(int).tolist()))
