# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that do not fit the rest of a map turned into findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relloc_ros.evaluation.map_check.adjustment import Adjustment
from relloc_ros.evaluation.map_check.corrections import PosedPair
from relloc_ros.evaluation.map_check.own_camera import OwnCamera, own_camera
from relloc_ros.evaluation.map_check.pose_outliers import PoseOutlier, noticeable
from relloc_ros.evaluation.map_check.suspects import Suspect, swapped
from relloc_ros.map.findings import Finding, Level
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['outlier_findings', 'sensitivity_finding', 'suspect_findings']

REMEDY = 'take it out of the map, or mend its pose and build the map again'


def suspect_findings(
    suspects: Sequence[Suspect], pairs: Sequence[PosedPair], units: str
) -> list[Finding]:
    """Say which images are somewhere else than the map says, or are of another camera."""
    findings = []
    exchanges = swapped(suspects)
    exchanged = {id(suspect) for both in exchanges for suspect in both}
    for first, second in exchanges:
        names = (first.left_out.name, second.left_out.name)
        findings.append(
            Finding(
                Level.ERROR,
                'swapped_images',
                f'{names[0]} and {names[1]} have exchanged their poses: each was found where the '
                f'map has the other, {first.distance:.3g} {units} away',
                names,
                first.distance,
                units,
                remedy='exchange the two in the source and build the map again',
            )
        )
    for suspect in suspects:
        if id(suspect) not in exchanged:
            other = own_camera(suspect.left_out.index, pairs)
            findings.append(
                _wrong_pose(suspect, units)
                if other is None
                else _wrong_camera(suspect.left_out.name, other)
            )
    return findings


def _wrong_pose(suspect: Suspect, units: str) -> Finding:
    name = suspect.left_out.name
    return Finding(
        Level.ERROR,
        'wrong_pose',
        f'{name}: the rest of the map puts it {suspect.distance:.3g} {units} and '
        f'{np.degrees(suspect.angle):.2f} degrees away from its pose ({suspect.score:.0f} '
        f'standard deviations); {suspect.on_lines:.0%} of its matches lie on the epipolar lines '
        f"of the poses, {suspect.on_own_lines:.0%} on the pairs' own",
        (name,),
        suspect.distance,
        units,
        remedy=REMEDY,
    )


def outlier_findings(
    outliers: Sequence[PoseOutlier],
    adjustment: Adjustment,
    pairs: Sequence[PosedPair],
    reference_map: ReferenceMap,
) -> list[Finding]:
    """Say which poses are further off than the errors of the others let expect."""
    names, units = reference_map.image_names, reference_map.units
    findings = []
    for outlier in outliers:
        name, other = names[outlier.index], own_camera(outlier.index, pairs)
        findings.append(
            _outlier(outlier, adjustment, name, units)
            if other is None
            else _wrong_camera(name, other)
        )
    return findings


def sensitivity_finding(adjustment: Adjustment, units: str) -> Finding:
    """Say what would not be noticed: no finding is no proof."""
    shift, turn = noticeable(adjustment)
    return Finding(
        Level.NOTE,
        'sensitivity',
        f'the poses agree with the matches within {adjustment.shift_std:.2g} {units} and '
        f'{np.degrees(adjustment.turn_std):.2g} degrees about each axis: what is off by less than '
        f'some {shift:.2g} {units} and {np.degrees(turn):.2g} degrees need not be noticed',
        figure=shift,
        unit=units,
    )


def _outlier(outlier: PoseOutlier, adjustment: Adjustment, name: str, units: str) -> Finding:
    return Finding(
        Level.ERROR,
        'wrong_pose',
        f'{name}: its matches put it {outlier.distance:.3g} {units} and '
        f'{np.degrees(outlier.angle):.2f} degrees away from its pose, where the poses of the '
        f'map are usually off by {adjustment.shift_std:.2g} {units} and '
        f'{np.degrees(adjustment.turn_std):.2g} degrees about each axis',
        (name,),
        outlier.distance,
        units,
        remedy=REMEDY,
    )


def _wrong_camera(name: str, other: OwnCamera) -> Finding:
    before, after = other.errors_px
    x, y = other.shift
    return Finding(
        Level.ERROR,
        'wrong_camera',
        f'{name}: another camera explains its matches where its pose is: a focal length '
        f'{100.0 * other.focal_share:+.1f} % and a principal point ({x:+.0f}, {y:+.0f}) pixels '
        f'away take its median epipolar error from {before:.1f} to {after:.1f} pixels',
        (name,),
        100.0 * other.focal_share,
        '% to add to the focal length',
        remedy='was it taken by another camera, zoomed, cropped or resized? Give it a camera of '
        'its own, or take it out',
    )
