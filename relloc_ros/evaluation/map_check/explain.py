# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a map turned into findings: what is significant, what is large, and what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.evaluation.map_check.adjustment import Adjustment
from relloc_ros.evaluation.map_check.corrections import Corrections
from relloc_ros.geometry import Array
from relloc_ros.map.findings import Finding, Level

__all__ = [
    'camera_findings',
    'depth_findings',
    'focal_findings',
    'half_pixel_findings',
    'is_confirmed',
    'time_findings',
]

SIGNIFICANT = 5.0
"""Standard errors. Those come from the scatter between parts of the map, and are too small by a
factor where the errors of poses are alike all over it."""
SIGNIFICANT_ADJUSTED = 3.0
"""Of standard errors that contain the errors of poses: one false alarm in 400 cameras."""
MIN_FOCAL_SHARE = 0.01
MIN_SHIFT_PX = 2.0
MIN_CONFIRMED = 0.5
"""Of a shift of the principal point: what adjusted poses leave of it."""
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
    if any(
        abs(values[0]) > max(MAX_FOCAL_SHARE, SIGNIFICANT * corrections.camera_stds[key][0])
        for key, values in corrections.cameras.items()
    ):
        return [_inconsistent(corrections)]
    findings = []
    for key, values in corrections.cameras.items():
        stds = corrections.camera_stds[key]
        focal, shift = float(values[0]), values[1:]
        if abs(focal) >= max(MIN_FOCAL_SHARE, SIGNIFICANT * stds[0]):
            findings.append(_focal_length(key, cameras[key], focal, float(stds[0])))
        if (np.abs(shift) >= np.maximum(MIN_SHIFT_PX, SIGNIFICANT * stds[1:])).any():
            findings.append(_principal_point(key, cameras[key], shift, stds[1:]))
    return findings


def focal_findings(
    adjustment: Adjustment, held: Corrections | None, cameras: dict[int, Camera]
) -> list[Finding]:
    """Say which focal lengths are wrong, where only adjusted poses can tell.

    Few images with measured poses say more about a camera when the errors of the poses are known
    for what they are; many say more when the poses hold.
    """
    findings = []
    for key in adjustment.camera_ids:
        values, stds = adjustment.camera(key)
        share, std = float(values[0]), float(stds[0])
        if held is not None and key in held.cameras and held.camera_stds[key][0] <= std:
            continue
        least = max(MIN_FOCAL_SHARE, SIGNIFICANT_ADJUSTED * std)
        if least <= abs(share) <= MAX_FOCAL_SHARE:
            finding = _focal_length(key, cameras[key], share, std)
            firm = abs(share) >= SIGNIFICANT * std
            findings.append(finding if firm else replace(finding, level=Level.WARNING))
    return findings


def half_pixel_findings(adjustment: Adjustment) -> list[Finding]:
    """Say where half a pixel has been forgotten, if it can be told from the poses' errors."""
    findings = []
    for key in adjustment.camera_ids:
        values, stds = adjustment.camera(key)
        if _is_half_pixel(values[1:], stds[1:]):
            findings.append(_half_pixel(key, values[1:], stds[1:]))
    return findings


def is_confirmed(finding: Finding, adjustment: Adjustment | None) -> bool:
    """Tell whether adjusted poses ask for much the same camera, if that is what it is about.

    What only poses that are held ask for is their own error.
    """
    if adjustment is None or finding.figure is None or finding.std is None:
        return True
    ids = {f'camera {key}': key for key in adjustment.camera_ids}
    if not finding.subjects or finding.subjects[0] not in ids:
        return True
    values, stds = adjustment.camera(ids[finding.subjects[0]])
    if finding.kind == 'principal_point':
        return bool((values[1:] / finding.figure).max() >= MIN_CONFIRMED)
    if finding.kind == 'focal_length':
        difference = abs(0.01 * finding.figure - float(values[0]))
        return difference <= SIGNIFICANT_ADJUSTED * float(stds[0]) + MIN_FOCAL_SHARE
    return True


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
