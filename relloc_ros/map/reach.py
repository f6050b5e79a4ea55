# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far from a camera those images are that help to localize it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.similarity_search import SimilaritySearch
from relloc_ros.map.stored_rows import StoredRows

__all__ = ['reach']

FloatArray = NDArray[np.float32]

SAMPLES = 100
QUANTILE = 0.9
MARGIN = 2.0


def reach(
    centres: Array, descriptors: FloatArray | StoredRows, search: SimilaritySearch, k: int
) -> float:
    """Derive from a map how far away the images are that retrieval finds.

    A map tells by itself: each of its images is a query whose place is known. The median distance
    to the `k` most similar others says how far these are, and does not care if up to half of them
    show another place that looks alike. Of these medians nearly the largest is taken, twice: an
    area that is too wide costs nothing, one that is too narrow costs the pose. In a map of little
    more than `k` images this is about all of it, and nothing is left out.

    Args:
        centres: (N, 3) camera centres.
        descriptors: (N, D) global descriptors.
        search: among them.
        k: number of images that will be retrieved.

    Returns:
        A distance in map units; 0 for a map of one image.
    """
    count = len(centres)
    if count < 2:
        return 0.0
    samples = np.linspace(0, count - 1, min(count, SAMPLES)).astype(np.intp)
    medians = []
    for sample, descriptor in zip(samples, descriptors[samples], strict=True):
        found, _ = search.nearest(descriptor, min(k + 1, count))
        similar = found[found != sample][:k]
        medians.append(np.median(np.linalg.norm(centres[similar] - centres[sample], axis=1)))
    return MARGIN * float(np.quantile(medians, QUANTILE))
