# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How close pose regression is to retrieval: Sattler et al., CVPR 2019, section 5, Eq. 6.

A prediction is that for a training image J and an offset: ``c(I) = c(J) + P (α_I - α_J)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from relloc_ros.geometry import Array

__all__ = ['closeness', 'explained_by_nearest', 'nearest']


def nearest(queries: Array, training: Array, count: int = 1) -> tuple[NDArray[np.intp], Array]:
    """Find the training images with the most similar embeddings.

    Args:
        queries: (Q, N) embeddings.
        training: (T, N) embeddings.
        count: how many; at most T are given.

    Returns:
        (Q, K) indices of training images, the nearest first, and (Q, K) Euclidean distances.
    """
    count = min(count, len(training))
    distances = cdist(queries, training)
    indices = np.argsort(distances, axis=1, kind='stable')[:, :count]
    return indices, np.take_along_axis(distances, indices, axis=1)


def closeness(to_truth: Array, to_nearest: Array) -> Array:
    """Where predictions are between the truth (0) and what retrieval would answer (1).

    ``κ = e / (e + r)``: e is the error of the prediction, r how far it is from the pose of the
    training image whose embedding is nearest. 0.5 is as far from both.

    Args:
        to_truth: (Q,) e; distances or angles.
        to_nearest: (Q,) r, in the same unit.

    Returns:
        (Q,) in [0, 1]; NaN where prediction, truth and training image are one.
    """
    total = to_truth + to_nearest
    return np.divide(to_truth, total, out=np.full(len(total), np.nan), where=total > 0.0)


def explained_by_nearest(predicted: Array, retrieved: Array) -> float:
    """Share of the variance of predictions that is that of the nearest training images.

    ``1 - Σ ‖c(I) - c_J‖² / Σ ‖c(I) - mean‖²``, not below 0. 1 is retrieval.

    Args:
        predicted: (Q, 3) positions.
        retrieved: (Q, 3) positions of the training images with the nearest embeddings.

    Returns:
        In [0, 1]; NaN where all predictions are one.
    """
    variation = float(((predicted - predicted.mean(axis=0)) ** 2).sum())
    if variation == 0.0:
        return float('nan')
    return max(0.0, 1.0 - float(((predicted - retrieved) ** 2).sum()) / variation)
