# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize images of a map as if the map had been made without them.

A robot does not come back to where the map's images were taken, least of all to within the few
centimetres that the images of a video are apart. So an image is localized without those that show
nearly the same. A network cannot do without what it has learned: of a localizer that is trained on
the map, those images tell that training held out, and that show nearly the same as none it has
learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import AcceptanceConfig, LocalizationConfig
from relloc_ros.evaluation.calibration.fitting import LEAST_ERRORS
from relloc_ros.evaluation.calibration.held_out_map import HeldOutMap
from relloc_ros.evaluation.calibration.view_shifts import ViewShifts
from relloc_ros.geometry import Array, RigidTransform, log_so3
from relloc_ros.localizers.network_estimators import NETWORK_ESTIMATORS, images_of_estimator
from relloc_ros.localizers.network_images import images_folder
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import CameraDeviation, PoseEstimate

__all__ = ['HeldOut', 'Progress', 'hold_out']

Progress = Callable[[int, int, str], None]

VIEW_SHIFTS = (0.25, 0.1, 0.05, 0.0)
"""Shares of an image's width by which an image left out differs from all others at least. The
queries of six data sets differ from the map image most like them by 0.11 to 0.32, by the medians.
The others are for maps so small or so sparse that hardly anything is left: the first with enough
poses is taken."""
LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Poses found for images of a map that the map did without, N of those tried.

    Attributes:
        estimates: N poses, with covariances as the localizer has them.
        truths: N map_from_cam in the map.
        num_inliers: (N,) 0 where the localizer counts none.
        camera_deviations: N, None where an image says nothing of its camera.
        num_tried: images that were held out.
        num_fit: images that could have been: of a localizer trained on the map those only that it
            has not learned from.
        view_shift: share of an image's width by which they differ from all others at least.
    """

    estimates: Sequence[PoseEstimate]
    truths: Sequence[RigidTransform]
    num_inliers: NDArray[np.intp]
    camera_deviations: Sequence[CameraDeviation | None]
    num_tried: int
    num_fit: int
    view_shift: float

    def __len__(self) -> int:
        """Return the number of poses found."""
        return len(self.estimates)

    def errors(self) -> Array:
        """Errors (N, 6), as in `PoseEstimate`."""
        rows = [
            np.concatenate(
                [
                    truth.translation - estimate.map_from_body.translation,
                    log_so3(truth.rotation @ estimate.map_from_body.rotation.T),
                ]
            )
            for estimate, truth in zip(self.estimates, self.truths, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 6)


def hold_out(
    reference_map: ReferenceMap,
    config: LocalizationConfig,
    samples: int = 0,
    progress: Progress | None = None,
) -> HeldOut:
    """Localize images of a map in the rest of it, without those that show nearly the same.

    All goes the way of any query but for the pixels, which the map does not have: its features and
    descriptors of the images are taken. Networks see the images themselves. The vocabulary of the
    map has seen the images held out, and with `structure.matching: direct` so have the descriptors
    in its visual words: both make localization a little easier than it is.

    Args:
        reference_map: the map.
        config: localizer and settings; the limits of the gate are not applied.
        samples: images to hold out, spread over the map; 0 is all.
        progress: called with the number done, the number in all and the name of the localizer.

    Raises:
        ConfigError: no such localizer.
        DataError: the localizer is trained on another map.
        MapError: the map lacks what the localizer needs.
    """
    shifts = ViewShifts(reference_map)
    held_out_map = HeldOutMap(
        reference_map,
        with_points=config.localizer == 'structure',
        images=_seen_images(reference_map, config),
    )
    ungated = replace(
        config,
        max_position_std=0.0,
        max_orientation_std=0.0,
        covariance_scale=1.0,
        focal_length_std=0.0,
        acceptance=AcceptanceConfig(max_false_accept_rate=1.0, check_camera=False),
    )
    relocalizer = Relocalizer(held_out_map, ungated)
    learned = relocalizer.learned_images
    fit = np.flatnonzero(~learned)
    rows = [int(fit[place]) for place in _spread(len(fit), samples)]
    found = HeldOut((), (), np.empty(0, dtype=np.intp), (), len(rows), len(fit), 0.0)
    for view_shift in VIEW_SHIFTS:
        excluded = {row: shifts.of(row) < view_shift for row in rows}
        unseen = {row: near for row, near in excluded.items() if not (near & learned).any()}
        poses = _hold_out(relocalizer, held_out_map, unseen, progress)
        found = HeldOut(*poses, len(unseen), len(fit), view_shift)
        if len(found) >= max(LEAST_ERRORS, LEAST_SHARE * len(unseen)):
            break
    return found


def _hold_out(
    relocalizer: Relocalizer,
    held_out_map: HeldOutMap,
    excluded: Mapping[int, NDArray[np.bool_]],
    progress: Progress | None,
) -> tuple[
    list[PoseEstimate], list[RigidTransform], NDArray[np.intp], list[CameraDeviation | None]
]:
    """Localize each of some images, by index, without those (N,) that are excluded for it.

    Returns:
        Poses of those that are localized, their true poses, their numbers of inliers, and
        what they say of their cameras.
    """
    report = progress or (lambda done, total, stage: None)
    name = relocalizer.config.localizer
    estimates, truths, num_inliers, deviations = [], [], [], []
    for done, (row, without) in enumerate(excluded.items()):
        report(done, len(excluded), name)
        without[row] = True
        found = relocalizer.process(held_out_map.hold_out(row, without))
        if found.camera_pose is not None:
            estimates.append(found.camera_pose)
            truths.append(held_out_map.cam_from_map(row).inverse())
            num_inliers.append(found.num_inliers)
            deviations.append(found.camera_deviation)
    report(len(excluded), len(excluded), name)
    return estimates, truths, np.array(num_inliers, dtype=np.intp), deviations


def _seen_images(reference_map: ReferenceMap, config: LocalizationConfig) -> Path | None:
    """Give the folder of the map's images if the localizer is a network that looks at them."""
    if config.localizer == 'apr':
        return images_folder(
            reference_map,
            config.apr.network_images,
            setting='apr.network_images',
            user='calibration of localizer apr',
        )
    settings = config.essential
    is_network = config.localizer == 'essential' and settings.pair_estimator in NETWORK_ESTIMATORS
    return images_of_estimator(reference_map, settings) if is_network else None


def _spread(count: int, samples: int) -> list[int]:
    wanted = min(samples or count, count)
    return [int(row) for row in np.linspace(0, count - 1, wanted)]
