# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose keyframes by how far away the scene is, and measure what that costs.

How far apart two images may be that show nearly the same depends on the depth of what they see.
That is measured, and so is what is lost: images left out are localized among the keyframes and
among all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.evaluation.keyframe_loss import (
    Accuracy,
    Loss,
    Yardstick,
    least_frames,
    measure_loss,
)
from relloc_ros.evaluation.map_check.leave_one_out import LeaveOneOut
from relloc_ros.evaluation.metrics import PoseError, measure_error
from relloc_ros.geometry import Array
from relloc_ros.map.builder import build_map
from relloc_ros.map.keyframes import keyframes_of
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.scene_depth import scene_depths
from relloc_ros.map.sources import PosedImage

__all__ = ['SHIFTS', 'Choice', 'Trial', 'choose_keyframes']

Progress = Callable[[int, int, str], None]
Rows = NDArray[np.intp]

SHIFTS = (0.1, 0.08, 0.065, 0.05, 0.04, 0.03, 0.025)
"""Shares of an image's width by which views of neighbouring keyframes differ, fewest first."""
EXACT_PIXELS = 1.0
"""Poses of frames that follow each other err alike, so that they agree better with each other
than with the truth. What moves the view by less than this is not taken for accuracy."""
USEFUL_DEPTHS, USEFUL_ANGLE = 0.05, 5.0
"""A pose is of use up to this share of the scene's depth, and to as many degrees."""
MAX_MEASURED = 1000
"""Images in a row that accuracy is measured on; features of all of them are extracted."""
MAX_SAMPLES = 200
"""Of these, evenly spread, those that keyframes leave out are localized."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Keyframes at some spacing, and what they are good for.

    Attributes:
        rows: (K,) indices of the keyframes.
        distance: between their centres, map units.
        angle: between their orientations, radians.
        num_samples: images left out that were localized.
        dense: their accuracy among all images.
        accuracy: their accuracy among the keyframes.
        loss: the difference, at most.
        exact: errors that count as none, map units and degrees.
    """

    rows: Rows
    distance: float
    angle: float
    num_samples: int
    dense: Accuracy
    accuracy: Accuracy
    loss: Loss
    exact: PoseError


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What was found.

    Attributes:
        rows: (K,) indices of the images to take, ascending.
        num_images: of which these are taken.
        trials: what was tried, the fewest keyframes first; the last one is taken if it loses
            little enough. None where too few images could be left out to measure anything.
    """

    rows: Rows
    num_images: int
    trials: tuple[Trial, ...] = ()

    @property
    def taken(self) -> Trial | None:
        """The trial that was taken; None where all images are."""
        if not self.trials or self.trials[-1].loss.excess:
            return None
        return self.trials[-1]

    @property
    def evidence(self) -> dict[str, float]:
        """What is remembered of it in the map: the figures before and after."""
        if self.taken is None:
            return {}
        before, after = asdict(self.taken.dense), asdict(self.taken.accuracy)
        return {
            'images_before': self.num_images,
            'images_after': len(self.rows),
            'held_out': self.taken.num_samples,
            **{
                f'{name}_{when}': float(f'{value:.4g}')
                for name in before
                for when, value in (('before', before[name]), ('after', after[name]))
            },
        }


def choose_keyframes(
    posed: Sequence[PosedImage],
    sharpnesses: Array,
    config: MapConfig,
    *,
    vocabulary: Path | None = None,
    max_measured: int = MAX_MEASURED,
    progress: Progress,
) -> Choice:
    """Take the fewest keyframes that are shown to lose little, or all images.

    Measured is on images in a row, in a map of them that is thrown away afterwards. As in
    `LeaveOneOut`, an image is localized without those nearly the same, which hardly any robot
    will ever find again.

    Args:
        posed: N images.
        sharpnesses: (N,), see `measure_sharpness`.
        config: settings of the map.
        vocabulary: as in `build_map`.
        max_measured: images in a row to measure on.
        progress: called after every image.

    Raises:
        DataError: as `build_map`.
        MissingDependencyError: as `build_map`.
    """
    start = max(0, len(posed) - max_measured) // 2
    window = range(start, min(len(posed), start + max_measured))
    if len(window) < least_frames():
        return Choice(np.arange(len(posed)), len(posed))
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
    held_out = _HeldOut(reference_map, progress)
    cameras = [image.camera for image in posed]
    trials: list[Trial] = []
    for shift in SHIFTS:
        distance, angle = _limits(shift, held_out.depth, cameras)
        rows = keyframes_of(posed, sharpnesses, distance, angle)
        among = np.zeros(len(posed), dtype=bool)
        among[rows] = True
        found = held_out.measure(among[window.start : window.stop])
        if found is None:
            break
        few, dense = found
        yardstick = _yardstick(held_out.depth, cameras)
        loss = measure_loss(few, dense, yardstick)
        accuracies = Accuracy.of(dense), Accuracy.of(few)
        trials.append(Trial(rows, distance, angle, len(few), *accuracies, loss, yardstick.exact))
        if not loss.excess:
            return Choice(rows, len(posed), tuple(trials))
    return Choice(np.arange(len(posed)), len(posed), tuple(trials))


class _HeldOut:
    """Localizes images that keyframes leave out, among the keyframes and among all images."""

    def __init__(self, reference_map: ReferenceMap, progress: Progress) -> None:
        self.depth = float(np.median(scene_depths(reference_map)))
        self._localizer = LeaveOneOut(reference_map)
        self._progress = progress
        count = reference_map.num_images
        self._samples = range(0, count, -(-count // MAX_SAMPLES))
        self._dense: dict[int, PoseError] = {}

    def measure(self, among: NDArray[np.bool_]) -> tuple[Array, Array] | None:
        """Errors (K, 2) of images that are not in `among`: in there, and in the whole map.

        None where they are too few to tell anything.
        """
        samples = [index for index in self._samples if not among[index]]
        if len(samples) < least_frames():
            return None
        new = [index for index in samples if index not in self._dense]
        self._dense.update(zip(new, self._errors(new, None), strict=True))
        dense = np.array([self._dense[index] for index in samples])
        return np.array(self._errors(samples, among)), dense

    def _errors(self, samples: list[int], among: NDArray[np.bool_] | None) -> list[PoseError]:
        stage = 'all images' if among is None else f'{int(among.sum())} keyframes'
        left_outs = self._localizer.run(
            samples,
            lambda done, total, name: self._progress(done, total, stage),
            among,
            self.depth,
        )
        return [
            measure_error(left_out.found.camera_pose, left_out.cam_from_map.inverse())
            for left_out in left_outs
        ]


def _limits(shift: float, depth: float, cameras: Sequence[Camera]) -> tuple[float, float]:
    """Distance and angle that move what is usual in view by a share of an image's width."""
    width = float(np.median([camera.width / camera.mean_focal_length for camera in cameras]))
    return shift * depth * width, shift * 2.0 * math.atan(width / 2.0)


def _yardstick(depth: float, cameras: Sequence[Camera]) -> Yardstick:
    pixel = EXACT_PIXELS / float(np.median([camera.mean_focal_length for camera in cameras]))
    return Yardstick((depth * pixel, math.degrees(pixel)), (USEFUL_DEPTHS * depth, USEFUL_ANGLE))
