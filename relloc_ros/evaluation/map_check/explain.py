# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a map turned into findings: what is significant, what is large, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.evaluation.map_check.adjustment import Adjustment
from relloc_ros.evaluation.map_check.corrections import Corrections
from relloc_ros.evaluation.map_check.pose_outliers import PoseOutlier
from relloc_ros.evaluation.map_check.suspects import Suspect, swapped
from relloc_ros.geometry import Array
from relloc_ros.map.findings import Finding, Level
from relloc_ros.map.reference_map import ReferenceMap

__all__ = [
    'adjusted_camera_findings',
    'camera_findings',
    'depth_findings',
    'outlier_findings',
    'suspect_findings',
    'time_findings',
]

SIGNIFICANT = 5.0
"""Standard errors. Those come from the scatter between parts of the map, and are too small by a
factor where the errors of poses are alike all over it."""
SIGNIFICANT_ADJUSTED = 3.0
"""Of standard errors that contain the errors of poses: one false alarm in 400 cameras."""
MIN_FOCAL_SHARE = 0.01
MIN_SHIFT_PX = 2.0
MAX_FOCAL_SHARE = 0.15
"""Beyond this it is not the calibration that is wrong."""
HALF_PIXEL_LIMITS = (0.3, 0.7)
MAX_HALF_PIXEL_STD = 0.15
MIN_OFFSET_S = 0.015
MIN_GAIN = 0.1
"""Share of the errors that a time offset must explain."""
PLAUSIBLE_DEPTHS_M = (0.1, 1000.0)


def time_findings(corrections: Corrections) -> list[Finding]:
    """Say by how much the clocks of images and poses differ, if they do."""
    seconds, std = corrections.seconds, corrections.seconds_std
    before, after = corrections.errors_px
    if seconds is None or abs(seconds) < max(MIN_OFFSET_S, SIGNIFICANT * std):
        return []
    if after > (1.0 - MIN_GAIN) * before:
        return []
    when = 'later than' if seconds < 0.0 else 'before'
    milliseconds = 1e3 * seconds
    return [
        Finding(
            Level.ERROR,
            'time_offset',
            f'poses belong to {abs(milliseconds):.0f} ± {1e3 * std:.0f} ms {when} their images: '
            f'shifting them takes the median epipolar error from {before:.2f} to {after:.2f} '
            'pixels',
            figure=milliseconds,
            unit='ms to add to the stamps of the images',
            std=1e3 * std,
            remedy=f'build the map again with --time-offset {seconds:+.3f} (added to one that was '
            'given), or mend the clocks: stamps of images are to be those of the exposure',
        )
    ]


def camera_findings(corrections: Corrections, cameras: dict[int, Camera]) -> list[Finding]:
    """Say which cameras are calibrated wrongly, as far as fixed poses can tell."""
    if any(abs(values[0]) > MAX_FOCAL_SHARE for values in corrections.cameras.values()):
        return [_inconsistent(corrections)]
    findings = []
    for key, values in corrections.cameras.items():
        stds = corrections.camera_stds[key]
        focal, shift = float(values[0]), values[1:]
        if abs(focal) >= max(MIN_FOCAL_SHARE, SIGNIFICANT * stds[0]):
            findings.append(_focal_length(key, cameras[key], focal, float(stds[0])))
        if _is_half_pixel(shift, stds[1:]):
            findings.append(_half_pixel(key, shift, stds[1:]))
        elif (np.abs(shift) >= np.maximum(MIN_SHIFT_PX, SIGNIFICANT * stds[1:])).any():
            findings.append(_principal_point(key, cameras[key], shift, stds[1:]))
    return findings


def adjusted_camera_findings(
    adjustment: Adjustment, corrections: Corrections | None, cameras: dict[int, Camera]
) -> list[Finding]:
    """Say which focal lengths are wrong, where only adjusted poses can tell.

    Few images with measured poses say more about a camera when the errors of the poses are known
    for what they are; many say more when the poses hold.
    """
    findings = []
    for key in adjustment.camera_ids:
        values, stds = adjustment.camera(key)
        share, std = float(values[0]), float(stds[0])
        held = corrections.camera_stds.get(key) if corrections is not None else None
        if held is not None and held[0] <= std:
            continue
        if MIN_FOCAL_SHARE <= abs(share) <= MAX_FOCAL_SHARE and (
            abs(share) >= SIGNIFICANT_ADJUSTED * std
        ):
            firm = abs(share) >= SIGNIFICANT * std
            finding = _focal_length(key, cameras[key], share, std)
            findings.append(finding if firm else replace(finding, level=Level.WARNING))
    return findings


def _inconsistent(corrections: Corrections) -> Finding:
    before, _ = corrections.errors_px
    return Finding(
        Level.ERROR,
        'inconsistent',
        'many poses contradict the matches of their images: the median epipolar error is '
        f'{before:.2f} pixels, and no plausible calibration or time offset explains it',
        figure=before,
        unit='pixels',
        remedy='are the poses those of the camera (not of a body, not their inverses), in the '
        'order of the images, and of one run?',
    )


def _focal_length(key: int, camera: Camera, share: float, std: float) -> Finding:
    present = camera.mean_focal_length
    return Finding(
        Level.ERROR,
        'focal_length',
        f'camera {key}: its matches fit a focal length of {present * (1.0 + share):.1f} pixels, '
        f'not {present:.1f}: {100.0 * share:+.1f} ± {100.0 * std:.1f} %',
        (f'camera {key}',),
        100.0 * share,
        '% to add',
        100.0 * std,
        'calibrate the camera at this resolution and focus, and build the map again; if the '
        'calibration is sure, the scale or the rotations of the poses are wrong',
    )


def _is_half_pixel(shift: Array, stds: Array) -> bool:
    low, high = HALF_PIXEL_LIMITS
    inside = (np.abs(shift) >= low) & (np.abs(shift) <= high)
    return bool(inside.all() and shift[0] * shift[1] > 0.0 and (stds <= MAX_HALF_PIXEL_STD).all())


def _half_pixel(key: int, shift: Array, stds: Array) -> Finding:
    x, y = shift
    return Finding(
        Level.WARNING,
        'half_pixel',
        f'camera {key}: its matches fit a principal point that is ({x:+.2f}, {y:+.2f}) ± '
        f'{stds.max():.2f} pixels away: as if half a pixel had been forgotten',
        (f'camera {key}',),
        float(shift.mean()),
        'pixels to add',
        float(stds.max()),
        'look up where the calibration has the centre of the first pixel: (0, 0) in OpenCV and '
        'ROS, (0.5, 0.5) in COLMAP and here',
    )


def _principal_point(key: int, camera: Camera, shift: Array, stds: Array) -> Finding:
    x, y = shift
    degrees = float(np.degrees(np.abs(shift).max() / camera.mean_focal_length))
    worst = int(np.abs(shift).argmax())
    return Finding(
        Level.WARNING,
        'principal_point',
        f'camera {key}: its matches fit a principal point that is ({x:+.1f}, {y:+.1f}) ± '
        f'{stds.max():.1f} pixels away, or cameras turned by {degrees:.1f} degrees on their body',
        (f'camera {key}',),
        float(shift[worst]),
        'pixels to add',
        float(stds[worst]),
        'calibrate the camera, and where it sits on the body whose poses were measured',
    )


def suspect_findings(suspects: Sequence[Suspect], units: str) -> list[Finding]:
    """Say which images are somewhere else than the map says."""
    findings = []
    pairs = swapped(suspects)
    exchanged = {id(suspect) for pair in pairs for suspect in pair}
    for first, second in pairs:
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
            findings.append(_wrong_pose(suspect, units))
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
        remedy='take it out of the map, or mend its pose and build the map again',
    )


def outlier_findings(
    outliers: Sequence[PoseOutlier], adjustment: Adjustment, reference_map: ReferenceMap
) -> list[Finding]:
    """Say which poses are further off than the errors of the others let expect."""
    names, units = reference_map.image_names, reference_map.units
    return [
        Finding(
            Level.ERROR,
            'wrong_pose',
            f'{names[outlier.index]}: its matches put it {outlier.distance:.3g} {units} and '
            f'{np.degrees(outlier.angle):.2f} degrees away from its pose, where the poses of the '
            f'map are usually off by {adjustment.shift_std:.2g} {units} and '
            f'{np.degrees(adjustment.turn_std):.2g} degrees about each axis',
            (names[outlier.index],),
            outlier.distance,
            units,
            remedy='take it out of the map, or mend its pose and build the map again',
        )
        for outlier in outliers
    ]


def depth_findings(depths: Array, extent: float, units: str) -> list[Finding]:
    """Say if what is seen is implausibly near or far: poses in other units than they claim."""
    known = depths[np.isfinite(depths)]
    if len(known) == 0 or units != 'm':
        return []
    depth = float(np.median(known))
    low, high = PLAUSIBLE_DEPTHS_M
    if low <= depth <= high:
        return []
    return [
        Finding(
            Level.WARNING,
            'units',
            f'what the cameras see is {depth:.3g} m away, and they are spread over {extent:.3g} '
            'm: are the poses in metres?',
            (),
            depth,
            'm',
            remedy='build the map with --units, or scale the poses; images alone tell no scale',
        )
    ]
