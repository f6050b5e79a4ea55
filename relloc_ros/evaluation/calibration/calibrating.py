# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrate the covariances of localizers on images of the map itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
import os
from pathlib import Path
import shutil

import numpy as np
from scipy.stats import chi2

from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import DataError
from relloc_ros.evaluation.calibration import DEFAULT_SAMPLES
from relloc_ros.evaluation.calibration.fitting import (
    LEAST_ERRORS,
    fit_camera_scale,
    fit_covariances,
    fit_point_agreement,
)
from relloc_ros.evaluation.calibration.measuring import HeldOut, Progress, hold_out
from relloc_ros.evaluation.uncertainty import normalized_errors
from relloc_ros.map.calibration import Calibration, settings_hash
from relloc_ros.map.editing import changing
from relloc_ros.map.format import Generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import PoseEstimate
from relloc_ros.wrong_camera import widening

__all__ = ['Calibrated', 'calibrate', 'calibrate_map']

LIMIT = float(chi2.ppf(0.95, 6))


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of it.

    Attributes:
        made: calibrations that are in the map now.
        failures: why others are not.
    """

    made: tuple[Calibration, ...]
    failures: tuple[str, ...]


def calibrate_map(
    path: Path,
    configs: Sequence[LocalizationConfig],
    *,
    samples: int = DEFAULT_SAMPLES,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> Calibrated:
    """Calibrate localizers on the images of a map, and write the result into its map.yaml.

    Args:
        path: folder of the map, which stays as it is until all is done.
        configs: localizers and their settings; what was measured for the same is replaced.
        samples: images to hold out, spread over the map; 0 is all.
        wait: seconds to wait for another process that changes the map.
        progress: called with the number done, the number in all and the name of the localizer.

    Raises:
        ConfigError: no such localizer.
        MapError: no map, damaged, being changed, cannot be written, or it lacks what a localizer
            needs.
        DataError: too few images can be localized in the rest of the map, by any localizer.
    """
    made: list[Calibration] = []
    failures: list[str] = []
    with changing(path, wait) as (state, new):
        for config in configs:
            held_out = hold_out(state.reference_map, config, samples, progress)
            try:
                made.append(calibrate(state.reference_map, config, held_out))
            except DataError as error:
                failures.append(str(error))
        if not made:
            raise DataError('; '.join(failures))
        replaced = {(each.localizer, each.settings) for each in made}
        kept = [
            each
            for each in state.manifest.calibrations
            if (each.localizer, each.settings) not in replaced
        ]
        _link_all(state.generation, new)
        replace(state.manifest, calibrations=(*kept, *made)).write(new.manifest)
    return Calibrated(tuple(made), tuple(failures))


def calibrate(
    reference_map: ReferenceMap, config: LocalizationConfig, held_out: HeldOut
) -> Calibration:
    """Fit scale, exponent and floors to the poses of images held out, and say how well they fit.

    Raises:
        DataError: too few poses.
    """
    if len(held_out) < LEAST_ERRORS:
        remedy = 'add images that see the same from other places'
        if held_out.num_tried < held_out.num_fit:
            remedy = 'hold out more, with --samples'
        raise DataError(
            f'map {reference_map.path}: {len(held_out)} of {held_out.num_tried} images held out '
            f'are localized by {config.localizer} in the rest of it, {LEAST_ERRORS} are needed to '
            f'calibrate: {remedy}'
        )
    covariances = np.array([estimate.covariance for estimate in held_out.estimates])
    deviations = [each for each in held_out.camera_deviations if each]
    camera_scale = fit_camera_scale(deviations)
    point_agreement, point_agreement_std = fit_point_agreement(deviations)
    widenings = np.array([widening(each, camera_scale) for each in held_out.camera_deviations])
    fit = fit_covariances(held_out.errors(), covariances, held_out.num_inliers, widenings)
    bare = Calibration(
        localizer=config.localizer,
        settings=settings_hash(config),
        scale=fit.scale,
        inlier_exponent=fit.inlier_exponent,
        position_floor=fit.position_floor,
        rotation_floor=fit.rotation_floor,
        map_id=reference_map.map_id,
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        num_tried=held_out.num_tried,
        num_localized=len(held_out),
        view_shift=held_out.view_shift,
        median_nees_before=0.0,
        median_nees_after=0.0,
        coverage_before=0.0,
        coverage_after=0.0,
        camera_scale=camera_scale,
        point_agreement=point_agreement,
        point_agreement_std=point_agreement_std,
    )
    calibrated = [
        PoseEstimate(estimate.map_from_body, bare.apply(estimate.covariance, int(count)) + wider)
        for estimate, count, wider in zip(
            held_out.estimates, held_out.num_inliers, widenings, strict=True
        )
    ]
    before = normalized_errors(held_out.estimates, held_out.truths).pose
    after = normalized_errors(calibrated, held_out.truths).pose
    return replace(
        bare,
        median_nees_before=float(np.median(before)),
        median_nees_after=float(np.median(after)),
        coverage_before=float(np.mean(before <= LIMIT)),
        coverage_after=float(np.mean(after <= LIMIT)),
    )


def _link_all(old: Generation, new: Generation) -> None:
    """Take over everything but map.yaml. Files of a generation are never written again."""
    for source in old.folder.iterdir():
        target = new.folder / source.name
        if source.is_dir():
            shutil.copytree(source, target, copy_function=_link)
        elif source.name != old.manifest.name:
            _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
