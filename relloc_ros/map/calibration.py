# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What covariances must be multiplied by and added to so that they say how large errors are.

Measured on images of the map by `relloc map calibrate`, kept in map.yaml, applied to every pose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
import hashlib
import json
import math
from typing import Any

import numpy as np

from relloc_ros.config import LocalizationConfig, flatten
from relloc_ros.geometry import Array

__all__ = ['Calibration', 'ChosenCalibration', 'choose_calibration', 'settings_hash']

INLIERS = 100
"""The scale is that of a pose with this many inliers."""
LOCALIZER_BLOCKS = ('apr', 'essential', 'retrieval', 'structure')
CHANGE_NO_POSE = frozenset(
    (
        'acceptance.check_camera',
        'acceptance.max_false_accept_rate',
        'acceptance.orientation_tolerance_deg',
        'acceptance.position_tolerance',
        'apr.network_images',
        'covariance_scale',
        'descriptor_cache_mb',
        'max_orientation_std',
        'max_position_std',
        'essential.network_images',
        'focal_length_std',
        'num_threads',
        'random_seed',
        'resized_images',
        'weights_folder',
    )
)
"""Settings that do not change how wrong a pose is."""
ADDED_LATER: Mapping[str, str | int | float] = {
    'essential.network': '',
    'essential.matching_network': '',
    'essential.network_side': 480,
    'essential.learned_threshold_px': 5.5,
}
"""Settings that older maps have no idea of: with this value, all is as it was."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scale and floors of a localizer's covariances in a map, and what they were found from.

    Calibrated = scale * (100 / inliers) ^ inlier_exponent * covariance + floors. A localizer that
    counts no inliers has the scale alone.

    Attributes:
        localizer: name of the method.
        settings: hash of the settings that were measured.
        scale: factor.
        position_floor: standard deviation added in each direction, map units.
        rotation_floor: about each axis, radians.
        map_id: of the state of the map that was measured.
        created: time, ISO 8601, UTC.
        num_tried: images that were held out.
        num_localized: of these; the evidence is theirs.
        view_shift: share of an image's width by which views differ at least that they were
            localized by.
        median_nees_before: of the errors, 6 degrees of freedom; 5.35 is right.
        median_nees_after: the same with calibrated covariances.
        coverage_before: share of the errors inside the region that should hold 95 % of them.
        coverage_after: the same with calibrated covariances.
        camera_scale: factor of the covariance of what an image says of its camera, see
            `wrong_camera.contradiction`; 0 where it was not measured.
        point_agreement: log odds with which a point that an image may show agrees with its pose,
            the median of the images.
        point_agreement_std: standard deviation of these; 0 where it was not measured.
        inlier_exponent: power of the inliers; 1 where it was not fitted.
    """

    localizer: str
    settings: str
    scale: float
    position_floor: float
    rotation_floor: float
    map_id: str
    created: str
    num_tried: int
    num_localized: int
    view_shift: float
    median_nees_before: float
    median_nees_after: float
    coverage_before: float
    coverage_after: float
    camera_scale: float = 0.0
    point_agreement: float = 0.0
    point_agreement_std: float = 0.0
    inlier_exponent: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no covariance.

        Raises:
            ValueError: the scale or a floor is not positive, that of the camera, the standard
                deviation of the agreement or the exponent negative, or a number not finite.
        """
        for name in ('scale', 'position_floor', 'rotation_floor'):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f'calibration of {self.localizer}: {name} is {value}')
        for name, least in (
            ('camera_scale', 0.0),
            ('point_agreement', -math.inf),
            ('point_agreement_std', 0.0),
            ('inlier_exponent', 0.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f'calibration of {self.localizer}: {name} is {value}')

    def apply(self, covariance: Array, num_inliers: int, *, shrink: bool = True) -> Array:
        """Give the calibrated covariance (6, 6).

        Args:
            covariance: (6, 6) as the localizer has it.
            num_inliers: of the pose; 0 where the localizer counts none.
            shrink: False where something else than the map's images is in the covariance, as
                odometry is: it was not measured, and is never made smaller.
        """
        share = INLIERS / num_inliers if num_inliers else 1.0
        factor = self.scale * share**self.inlier_exponent
        if not shrink:
            factor = max(factor, 1.0)
        floors = np.repeat([self.position_floor**2, self.rotation_floor**2], 3)
        calibrated: Array = factor * covariance + np.diag(floors)
        return calibrated

    def content(self) -> dict[str, str | int | float]:
        """Give what stands in map.yaml."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: float(f'{value:.6g}') if isinstance(value, float) else value
            for key, value in values.items()
        }

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Calibration:
        """Take what stands in map.yaml.

        Raises:
            KeyError: something is missing.
            TypeError: not of the kind it should be.
            ValueError: a number that none can be made of, or that makes no covariance.
        """
        kinds = {'str': str, 'int': int, 'float': float}
        return cls(
            **{
                field.name: kinds[str(field.type)](content[field.name])
                for field in fields(cls)
                # What older maps have no idea of has a default.
                if field.name in content or field.default is MISSING
            }
        )


@dataclass(frozen=True, slots=True)
class ChosenCalibration:
    """What of a map's calibrations is applied.

    Attributes:
        calibration: None leaves covariances as they are.
        remark: what there is to say about that; '' where all is as it should be.
        is_warning: whether someone expects something else.
    """

    calibration: Calibration | None = None
    remark: str = ''
    is_warning: bool = False


def choose_calibration(
    calibrations: Sequence[Calibration], config: LocalizationConfig, map_id: str, map_path: str
) -> ChosenCalibration:
    """Find the calibration that was made with these settings.

    One that was made before the map was changed is applied all the same: it is nearer to the
    truth than none.

    Args:
        calibrations: of the map.
        config: settings of the localizer.
        map_id: of the map as it is.
        map_path: for people.
    """
    name = config.localizer
    known = [calibration for calibration in calibrations if calibration.localizer == name]
    remedy = f'relloc map calibrate {map_path} --localizer {name}'
    if not known:
        return ChosenCalibration(
            remark=f'covariances of {name} are not calibrated in map {map_path}: `{remedy}`'
        )
    wanted = settings_hash(config)
    found = [calibration for calibration in known if calibration.settings == wanted]
    if not found:
        return ChosenCalibration(
            remark=f'covariances are not calibrated: map {map_path} was calibrated for {name} '
            f'with other settings; give these to `{remedy}`, too',
            is_warning=True,
        )
    if found[0].map_id == map_id:
        return ChosenCalibration(found[0])
    return ChosenCalibration(
        found[0],
        f'map {map_path} was changed after covariances of {name} were calibrated: `{remedy}`',
        is_warning=True,
    )


def settings_hash(config: LocalizationConfig) -> str:
    """Hash the settings that a localizer's errors depend on."""
    foreign = tuple(f'{block}.' for block in LOCALIZER_BLOCKS if block != config.localizer)
    values = {
        key: value
        for key, value in flatten(config).items()
        if key not in CHANGE_NO_POSE
        and not key.startswith(foreign)
        and not (key in ADDED_LATER and value == ADDED_LATER[key])
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
