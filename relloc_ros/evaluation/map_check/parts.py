# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the parts of a map, folders or recordings, fit together: scale, place and direction.

Images of one part are localized among those of the largest one alone. Where they are found,
against where they should be, is one similarity for a part that was scaled or shifted as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from relloc_ros.evaluation.map_check.leave_one_out import LeaveOneOut
from relloc_ros.geometry import Array
from relloc_ros.map.findings import Finding, Level
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['Similarity', 'fit_similarity', 'part_findings', 'parts_of']

Progress = Callable[[int, int, str], None]

MIN_IMAGES = 6
MAX_PARTS, MAX_SAMPLES = 6, 24
PAUSE_S = 60.0
"""Between two recordings in one folder."""
SIGNIFICANT = 5.0
MIN_SCALE = 0.005
MIN_SHIFT = 0.02
"""Of the depth of the scene."""
ROUNDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """What brings the positions of a part to where they were found.

    Attributes:
        scale: factor about the middle of the part.
        scale_std: its standard error (jackknife over images).
        shift: (3,) of the middle, map units.
        shift_std: standard error of its length.
    """

    scale: float
    scale_std: float
    shift: Array
    shift_std: float


def parts_of(names: Sequence[str], stamps_ns: NDArray[np.int64]) -> dict[str, NDArray[np.intp]]:
    """Divide images by folder, and by long pauses where a folder has several recordings."""
    folders: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        folders.setdefault(str(PurePosixPath(name).parent), []).append(index)
    parts: dict[str, NDArray[np.intp]] = {}
    for folder, members in folders.items():
        order = np.array(members)[np.argsort(stamps_ns[members], kind='stable')]
        cuts = np.flatnonzero(np.diff(stamps_ns[order]) > 1e9 * PAUSE_S) + 1
        for number, part in enumerate(np.split(order, cuts)):
            label = 'the images' if folder == '.' else folder
            parts[label if len(cuts) == 0 else f'{label}, recording {number + 1}'] = part
    return {label: part for label, part in parts.items() if len(part) >= MIN_IMAGES}


def part_findings(
    leave_one_out: LeaveOneOut, depth: float, wrong: frozenset[int], progress: Progress
) -> list[Finding]:
    """Compare each part with the largest one.

    Args:
        leave_one_out: of the map.
        depth: of the scene, map units.
        wrong: images that count for nothing.
        progress: called with the number done, the number in all and the name of the image.
    """
    reference_map = leave_one_out.reference_map
    parts = parts_of(reference_map.image_names, reference_map.stamps_ns)
    order = sorted(parts, key=lambda label: -len(parts[label]))[:MAX_PARTS]
    if len(order) < 2:
        return []
    largest = np.zeros(reference_map.num_images, dtype=bool)
    largest[parts[order[0]]] = True
    findings = []
    for label in order[1:]:
        chosen = [int(index) for index in parts[label] if int(index) not in wrong]
        step = max(1, -(-len(chosen) // MAX_SAMPLES))
        stored, found = [], []
        for left_out in leave_one_out.run(chosen[::step], progress, largest):
            if left_out.found.camera_pose is not None:
                stored.append(left_out.cam_from_map.inverse().translation)
                found.append(left_out.found.camera_pose.map_from_body.translation)
        if len(stored) >= MIN_IMAGES:
            fit = fit_similarity(np.array(stored), np.array(found))
            findings += _explained(label, order[0], fit, depth, reference_map)
    return findings


def fit_similarity(stored: Array, found: Array) -> Similarity:
    """Fit scale, rotation and shift robustly (Umeyama's solution, reweighted).

    Args:
        stored: (N, 3) positions in the map.
        found: (N, 3) positions of the same cameras by other images.
    """
    whole = _weighted_fit(stored, found)
    count = len(stored)
    scales, shifts = [], []
    for left_out in range(count):
        scale, shift = _weighted_fit(
            np.delete(stored, left_out, axis=0), np.delete(found, left_out, axis=0)
        )
        scales.append(scale)
        shifts.append(shift)
    factor = (count - 1) / count
    scale_std = np.sqrt(factor * np.sum((np.array(scales) - np.mean(scales)) ** 2))
    shift_std = np.sqrt(factor * np.sum((np.array(shifts) - np.mean(shifts, axis=0)) ** 2))
    return Similarity(whole[0], float(scale_std), whole[1], float(shift_std))


def _weighted_fit(stored: Array, found: Array) -> tuple[float, Array]:
    weights = np.ones(len(stored))
    for _ in range(ROUNDS):
        share = weights / weights.sum()
        middles = share @ stored, share @ found
        first, second = stored - middles[0], found - middles[1]
        u, sizes, vt = np.linalg.svd((share[:, None] * second).T @ first)
        signs = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
        rotation = u @ np.diag(signs) @ vt
        scale = float(sizes @ signs / max(float(np.sum(share[:, None] * first**2)), 1e-300))
        errors = np.linalg.norm(second - scale * first @ rotation.T, axis=1)
        usual = max(float(np.median(errors)), 1e-12)
        weights = 1.0 / (1.0 + (errors / (2.0 * usual)) ** 2)
    middle = stored.mean(axis=0)
    shift: Array = middles[1] + scale * rotation @ (middle - middles[0]) - middle
    return scale, shift


def _explained(
    label: str, largest: str, fit: Similarity, depth: float, reference_map: ReferenceMap
) -> list[Finding]:
    distance, percent = float(np.linalg.norm(fit.shift)), 100.0 * (fit.scale - 1.0)
    if abs(fit.scale - 1.0) >= max(MIN_SCALE, SIGNIFICANT * fit.scale_std):
        return [
            Finding(
                Level.ERROR,
                'part_scale',
                f'{label}: its poses are {abs(percent):.1f} ± {100.0 * fit.scale_std:.1f} % '
                f'{"too close together" if percent > 0.0 else "too far apart"} beside {largest}: '
                'one of the two has another scale',
                (label, largest),
                percent,
                '% to add to the distances',
                100.0 * fit.scale_std,
                'which of the two is right, images do not tell: measure a distance; then build '
                'the wrong one again with the right units or scale, and merge again',
            )
        ]
    if distance >= max(MIN_SHIFT * depth, SIGNIFICANT * fit.shift_std):
        return [
            Finding(
                Level.ERROR,
                'part_shift',
                f'{label}: its images are found {distance:.3g} ± {fit.shift_std:.2g} '
                f'{reference_map.units} beside their poses in {largest}: the two are not in one '
                'frame',
                (label, largest),
                distance,
                reference_map.units,
                fit.shift_std,
                'bring both into one frame and merge again',
            )
        ]
    return []
