# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose keyframes by how far away the scene is, and measure what that costs.

How far apart two images may be that show nearly the same depends on the depth of what they see.
That is measured, and so is what is lost: images left out are localized among the keyframes and
among all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.evaluation.map_check.leave_one_out import LeaveOneOut
from relloc_ros.evaluation.metrics import PoseError, measure_error
from relloc_ros.evaluation.scene_depth import scene_depths
from relloc_ros.geometry import Array
from relloc_ros.map.builder import build_map
from relloc_ros.map.keyframes import keyframes_of
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage

__all__ = ['Accuracy', 'Choice', 'Trial', 'choose_keyframes']

Progress = Callable[[int, int, str], None]

SHIFTS = (0.05, 0.035, 0.025)
"""Shares of an image's width by which views of neighbouring keyframes differ. The first is the
rule; the others are for places where that is too few."""
MAX_GROWTH = 2.0
"""Factor by which errors may grow. Images left out lie on the very path of the others, where many
images localize better than anywhere else: on a later pass through redkitchen nothing is lost where
they lose half. This notices keyframes that do not suffice, no more."""
MAX_LESS_AVAILABLE = 0.02
MAX_MEASURED = 1000
"""Images in a row that accuracy is measured on; features of all of them are extracted."""
MAX_SAMPLES = 60
LEAST_SAMPLES = 10
"""A median of fewer says nothing: all images are kept."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well images that are not in a map are localized in it.

    Attributes:
        position: median error, map units; infinite where half of them are not localized.
        rotation: median error, degrees.
        available: share of the images that are localized.
    """

    position: float
    rotation: float
    available: float

    def keeps(self, dense: Accuracy) -> bool:
        """Whether little enough is lost of the accuracy among all images."""
        return (
            self.position <= MAX_GROWTH * dense.position
            and self.rotation <= MAX_GROWTH * dense.rotation
            and self.available >= dense.available - MAX_LESS_AVAILABLE
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Keyframes at some spacing, and what they are good for.

    Attributes:
        rows: (K,) indices of the keyframes.
        distance: between their centres, map units.
        angle: between their orientations, radians.
        accuracy: among the keyframes.
    """

    rows: NDArray[np.intp]
    distance: float
    angle: float
    accuracy: Accuracy


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was found.

    Attributes:
        rows: (K,) indices of the images to take, ascending.
        num_samples: images that were left out and localized; 0 where there were too few.
        dense: accuracy among all images; None where nothing was measured.
        trials: what was tried, the fewest keyframes first; the last one is taken if it keeps the
            accuracy.
    """

    rows: NDArray[np.intp]
    num_samples: int = 0
    dense: Accuracy | None = None
    trials: tuple[Trial, ...] = ()

    @property
    def taken(self) -> Trial | None:
        """The trial that was taken; None where all images are."""
        if self.dense is None or not self.trials[-1].accuracy.keeps(self.dense):
            return None
        return self.trials[-1]


def choose_keyframes(
    posed: Sequence[PosedImage],
    sharpnesses: Array,
    config: MapConfig,
    *,
    vocabulary: Path | None = None,
    progress: Progress,
) -> Choice:
    """Take the keyframes that the depth of the scene asks for, or more where they do not suffice.

    Measured is on at most `MAX_MEASURED` images in a row, in a map of them that is thrown away
    afterwards. As in `LeaveOneOut`, an image is localized without those nearly the same, which
    hardly any robot will ever find again.

    Args:
        posed: N images.
        sharpnesses: (N,), see `measure_sharpness`.
        config: settings of the map.
        vocabulary: as in `build_map`.
        progress: called after every image.

    Raises:
        DataError: as `build_map`.
        MissingDependencyError: as `build_map`.
    """
    start = max(0, len(posed) - MAX_MEASURED) // 2
    window = range(start, min(len(posed), start + MAX_MEASURED))
    with TemporaryDirectory(prefix='relloc-') as folder:
        path = Path(folder) / 'map'
        build_map(
            posed[window.start : window.stop],
            path,
            config,
            vocabulary=vocabulary,
            progress=progress,
        )
        with ReferenceMap.open(path, weights_folder=config.weights_folder) as reference_map:
            return _try_spacings(posed, sharpnesses, window, reference_map, progress)


def _try_spacings(
    posed: Sequence[PosedImage],
    sharpnesses: Array,
    window: range,
    reference_map: ReferenceMap,
    progress: Progress,
) -> Choice:
    depth = float(np.median(scene_depths(reference_map)))
    limits = [_limits(shift, depth, [image.camera for image in posed]) for shift in SHIFTS]
    everything = np.arange(len(posed))
    left_out = np.setdiff1d(window, keyframes_of(posed, sharpnesses, *limits[0]))
    if len(left_out) < LEAST_SAMPLES:
        return Choice(everything)
    spread = np.linspace(0, len(left_out) - 1, min(len(left_out), MAX_SAMPLES)).astype(np.intp)
    samples = left_out[spread] - window.start
    localizer = LeaveOneOut(reference_map)
    dense = _measure(localizer, samples, None, progress)
    trials: list[Trial] = []
    for distance, angle in limits:
        rows = keyframes_of(posed, sharpnesses, distance, angle)
        among = np.zeros(reference_map.num_images, dtype=bool)
        among[np.intersect1d(rows, window) - window.start] = True
        accuracy = _measure(localizer, samples, among, progress)
        trials.append(Trial(rows, distance, angle, accuracy))
        if accuracy.keeps(dense):
            return Choice(rows, len(samples), dense, tuple(trials))
    return Choice(everything, len(samples), dense, tuple(trials))


def _limits(shift: float, depth: float, cameras: Sequence[Camera]) -> tuple[float, float]:
    """Distance and angle that move what is usual in view by a share of an image's width."""
    width = float(np.median([camera.width / camera.mean_focal_length for camera in cameras]))
    return shift * depth * width, shift * 2.0 * math.atan(width / 2.0)


def _measure(
    localizer: LeaveOneOut,
    samples: NDArray[np.intp],
    among: NDArray[np.bool_] | None,
    progress: Progress,
) -> Accuracy:
    stage = 'all images' if among is None else f'{int(among.sum())} keyframes'
    errors: list[PoseError] = [
        measure_error(left_out.found.camera_pose, left_out.cam_from_map.inverse())
        for left_out in localizer.run(
            samples.tolist(), lambda done, total, name: progress(done, total, stage), among
        )
    ]
    values = np.array(errors)
    position, rotation = np.median(values, axis=0)
    available = np.isfinite(values[:, 0]).mean()
    return Accuracy(float(position), float(rotation), float(available))
