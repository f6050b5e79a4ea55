# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the tracker, the same for node and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, setting

__all__ = ['TrackingConfig']


@dataclass(frozen=True, slots=True, config=STRICT)
class TrackingConfig:
    """Settings of the tracker: which poses of a sequence are trusted."""

    mahalanobis_threshold: float = setting(
        22.46,
        'Squared Mahalanobis distance (chi-squared, 6 degrees of freedom) beyond which two poses '
        'contradict each other.',
        gt=0,
        le=1e12,
    )
    consensus_count: int = setting(
        3,
        'Poses that must agree before the first is trusted, or one that contradicts the track; 1 '
        'switches it off.',
        ge=1,
        le=100,
    )
    consensus_window: int = setting(5, 'Images among which they must be.', ge=1, le=1000)
    suspect_timeout: float = setting(
        3.0, 'So long after the last fix: SUSPECT.', unit='s', gt=0, le=86400
    )
    lost_timeout: float = setting(
        30.0,
        'So long after the last fix: LOST, and consensus is needed again.',
        unit='s',
        gt=0,
        le=86400,
    )
    lost_position_std: float = setting(
        1.0,
        'Odometry less sure than this since the last fix: LOST.',
        unit='m',
        gt=0,
        le=1e6,
    )
    odometry_translation_noise: float = setting(
        0.1,
        'Drift of odometry in position (standard deviation) by distance.',
        unit='m/m',
        ge=0,
        le=10,
    )
    odometry_rotation_noise: float = setting(
        0.1, 'Drift of odometry in rotation by angle turned.', unit='rad/rad', ge=0, le=10
    )
    odometry_heading_noise: float = setting(
        0.02, 'Drift of odometry in rotation by distance.', unit='rad/m', ge=0, le=10
    )
    odometry_min_position_std: float = setting(
        0.002,
        'Odometry from one image to the next is taken to be no surer than this, for fusion.',
        unit='m',
        gt=0,
        le=1e3,
    )
    odometry_min_rotation_std: float = setting(
        0.001,
        'The same for its rotation.',
        unit='rad',
        gt=0,
        le=3,
    )
    min_position_std: float = setting(
        0.05,
        'For comparisons, no position is taken to be surer than this.',
        unit='m',
        gt=0,
        le=1e3,
    )
    min_orientation_std: float = setting(
        0.03,
        'For comparisons, no rotation is taken to be surer than this.',
        unit='rad',
        gt=0,
        le=3,
    )
    prior_timeout: float = setting(
        10.0,
        'An initial pose that no image confirms is forgotten after this time.',
        unit='s',
        gt=0,
        le=86400,
    )
    fusion: Literal['none', 'pgo'] = setting(
        'none',
        'What becomes of accepted poses: none leaves them as they are; pgo optimizes the last of '
        'them together with the odometry between them (a pose graph; needs gtsam).',
    )
    fusion_window: int = setting(20, 'Poses that are optimized together.', ge=2, le=200)
