# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What localization loses where a map has fewer images, and how sure that is.

The same frames are localized among few and among all images. A difference counts by its upper
confidence bound: frames that tell nothing thin out no map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relloc_ros.evaluation.bootstrap import BlockBootstrap, choose_block_length
from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.proportions import binomial_upper_bound
from relloc_ros.geometry import Array

__all__ = ['MAX_LOST', 'Accuracy', 'Loss', 'Yardstick', 'least_frames', 'measure_loss']

MAX_GROWTH = 0.2
"""By which medians may grow."""
MAX_TAIL_GROWTH = 1.0
"""By which the 90th percentiles may."""
MAX_LOST = 0.05
"""Share of frames whose poses may become useless."""
CONFIDENCE = 0.9
TAIL = 0.9


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well frames that are not in a map are localized in it; infinite errors are no poses.

    Attributes:
        position: median error, map units.
        rotation_deg: median error.
        tail_position: error that nine in ten frames keep within, map units.
        tail_rotation_deg: the same.
        available: share of the frames that are localized.
    """

    position: float
    rotation_deg: float
    tail_position: float
    tail_rotation_deg: float
    available: float

    @classmethod
    def of(cls, errors: Array) -> Accuracy:
        """Sum up errors (N, 2), map units and degrees, of at least one frame."""
        median = np.median(errors, axis=0)
        tail = np.quantile(errors, TAIL, axis=0, method='inverted_cdf')
        return cls(*map(float, (*median, *tail, np.isfinite(errors[:, 0]).mean())))


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What counts in a scene.

    Attributes:
        exact: errors up to these, map units and degrees, are as good as none.
        useful: errors up to which a pose is of use.
    """

    exact: PoseError
    useful: PoseError


@dataclass(frozen=True, slots=True)
class Loss:
    """Upper bounds, each at 90 % confidence, of what is lost.

    Attributes:
        position: share by which the median error grows.
        rotation: the same.
        tail_position: share by which the 90th percentile grows.
        tail_rotation: the same.
        lost: share of the frames with a useful pose among all images and none among the few.
    """

    position: float
    rotation: float
    tail_position: float
    tail_rotation: float
    lost: float

    @property
    def medians(self) -> float:
        """Share by which one of the medians grows."""
        return max(self.position, self.rotation)

    @property
    def tails(self) -> float:
        """Share by which one of the 90th percentiles grows."""
        return max(self.tail_position, self.tail_rotation)

    @property
    def excess(self) -> str:
        """What is more than may be lost, in words; empty where all is within the limits."""
        measures = (
            ('median position error', self.position, MAX_GROWTH),
            ('median rotation error', self.rotation, MAX_GROWTH),
            ('90th percentile of position errors', self.tail_position, MAX_TAIL_GROWTH),
            ('90th percentile of rotation errors', self.tail_rotation, MAX_TAIL_GROWTH),
        )
        found = [
            f'{name} may grow by {growth:.0%}'
            if np.isfinite(growth)
            else f'{name} may be infinite'
            for name, growth, limit in measures
            if growth > limit
        ]
        if self.lost > MAX_LOST:
            found.append(f'{self.lost:.0%} of the poses may be lost')
        return ', '.join(found)


def least_frames() -> int:
    """Count the frames that can show that no more than `MAX_LOST` is lost."""
    return int(np.ceil(np.log(1.0 - CONFIDENCE) / np.log(1.0 - MAX_LOST)))


def measure_loss(few: Array, all_images: Array, yardstick: Yardstick) -> Loss:
    """Compare errors (N, 2) of the same N frames, in their order, among few and all images.

    Growth is bounded by a paired block bootstrap, as neighbouring frames err alike; lost poses
    by the exact binomial bound.
    """
    length = max(choose_block_length(few), choose_block_length(all_images))
    bootstrap = BlockBootstrap(len(few), length)
    position, rotation, tail_position, tail_rotation = (
        _bound(bootstrap.quantiles(few[:, axis], share), dense, yardstick.exact[axis])
        for share in (0.5, TAIL)
        for axis in (0, 1)
        for dense in [bootstrap.quantiles(all_images[:, axis], share)]
    )
    was_useful = (all_images <= yardstick.useful).all(axis=1)
    lost = int((was_useful & ~(few <= yardstick.useful).all(axis=1)).sum())
    bound = binomial_upper_bound(lost, len(few), CONFIDENCE)
    lost_share = 1.0 if bound is None else bound
    return Loss(position, rotation, tail_position, tail_rotation, lost_share)


def _bound(few: Array, dense: Array, exact: float) -> float:
    """Upper bound of the growth of resampled figures; infinite ones that stay do not grow."""
    few, dense = np.maximum(few, exact), np.maximum(dense, exact)
    growths = np.zeros(len(few))
    finite = np.isfinite(dense)
    growths[finite] = few[finite] / dense[finite] - 1.0
    return float(np.quantile(growths, CONFIDENCE, method='higher'))
