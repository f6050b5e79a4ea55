# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How unlike everything that a network has learned from an image is.

Absolute pose regression always answers. What it answers is a combination of base poses, with the
coefficients of the image; how far these are from those of the nearest training image tells whether
the network has seen anything like it (as Sun et al., "Out-of-distribution detection with deep
nearest neighbors", ICML 2022, do for classification).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError

__all__ = ['Novelty']

ACCEPTED_SHARE = 0.95
"""Of the images that training held out. Some of them show what no training image does."""
LEAST_LIMIT = 1e-6
"""Share of the largest coefficient vector, where images held out are the same as others."""


class Novelty:
    """Compares coefficients with those of the training images.

    Attributes:
        limit: distance to the nearest training image that nearly all images held out keep to.
    """

    def __init__(self, training: NDArray[np.float32], held_out: NDArray[np.float32]) -> None:
        """Find the limit.

        Args:
            training: (M, N) coefficients of the training images.
            held_out: (V, N) of images of the same map that the network has not learned from.

        Raises:
            DataError: no images of either kind, or coefficients that are not finite.
        """
        for kind, alphas in (('training', training), ('validation', held_out)):
            if len(alphas) == 0 or not np.isfinite(alphas).all():
                raise DataError(
                    f'coefficients of {len(alphas)} {kind} images, or not all of them finite, do '
                    'not tell which images the network knows: train again'
                )
        self._training = training.astype(np.float64)
        self._squares = (self._training**2).sum(axis=1)
        distances = [self._distances(alpha).min() for alpha in held_out]
        least = LEAST_LIMIT * (1.0 + float(np.sqrt(self._squares.max())))
        self.limit = max(float(np.quantile(distances, ACCEPTED_SHARE, method='higher')), least)

    def nearest(
        self, alpha: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the training images nearest to coefficients (N,).

        Returns:
            Indices of at most `count` training images, and their distances in units of the limit,
            nearest first.
        """
        distances = self._distances(alpha)
        order = np.argsort(distances, kind='stable')[:count]
        return order, distances[order] / self.limit

    def _distances(self, alpha: NDArray[np.float32]) -> NDArray[np.float64]:
        own = alpha.astype(np.float64)
        squares = self._squares - 2.0 * self._training @ own + own @ own
        distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
        return distances
