# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate of a single frame: a pose that is not sure enough, or not probable, is not a pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relloc_ros.confidence import least_confidence, rate
from relloc_ros.config import LocalizationConfig
from relloc_ros.map.calibration import Calibration
from relloc_ros.structures import Localization, PoseEstimate, Status
from relloc_ros.vision.covariance import standard_deviations
from relloc_ros.wrong_camera import contradiction

__all__ = ['gate']


def gate(
    localization: Localization,
    config: LocalizationConfig,
    calibration: Calibration | None = None,
) -> Localization:
    """Scale the covariance, rate the pose, and turn one that is too unsure into `Status.GATED`.

    Args:
        localization: with calibrated covariance.
        config: its limits.
        calibration: of the map, see `wrong_camera.contradiction`.
    """
    pose = localization.camera_pose
    if pose is None:
        return localization
    pose = PoseEstimate(pose.map_from_body, pose.covariance * config.covariance_scale)
    refusal = _refusal(pose, config)
    deviation = localization.camera_deviation
    if not refusal and deviation is not None and config.acceptance.check_camera:
        refusal = contradiction(deviation, calibration)
    if not refusal and localization.agreement is not None:
        confidence = rate(
            localization.agreement, localization.num_inliers, pose, config.acceptance
        )
        localization = replace(localization, confidence=confidence)
        refusal = _doubt(confidence, config.acceptance.max_false_accept_rate)
    if refusal:
        return replace(localization, status=Status.GATED, reason=refusal, camera_pose=None)
    return replace(localization, camera_pose=pose)


def _doubt(confidence: float, false_accept_rate: float) -> str:
    least = least_confidence(false_accept_rate)
    if confidence >= least:
        return ''
    return (
        f'confidence {confidence:.3f} is less than the {least:.3f} that '
        f'acceptance.max_false_accept_rate {false_accept_rate:g} takes'
    )


def _refusal(pose: PoseEstimate, config: LocalizationConfig) -> str:
    numbers = (
        pose.map_from_body.rotation,
        pose.map_from_body.translation,
        pose.covariance,
    )
    if not all(np.isfinite(array).all() for array in numbers):
        return 'the pose is not finite'
    if np.linalg.eigvalsh(pose.covariance)[0] <= 0.0:
        return 'the covariance is not positive definite'
    position_std, rotation_std = standard_deviations(pose.covariance)
    if config.max_position_std and position_std > config.max_position_std:
        return f'position std {position_std:.3g} exceeds max_position_std'
    if config.max_orientation_std and rotation_std > config.max_orientation_std:
        return f'rotation std {rotation_std:.3g} rad exceeds max_orientation_std'
    return ''
