# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of local descriptors: nearest neighbours that are mutual and pass the ratio test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['match_mutual_ratio', 'unit_descriptors']

ROUNDING = 1e-6


def unit_descriptors(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn (N, D) uint8 descriptors into float32 ones of unit length."""
    values = descriptors.astype(np.float32)
    norms = np.sqrt(np.einsum('nd,nd->n', values, values))
    values /= np.maximum(norms, 1e-6)[:, None]
    return values


def match_mutual_ratio(
    query: NDArray[np.float32], reference: NDArray[np.float32], ratio: float
) -> NDArray[np.intp]:
    """Match two sets of unit descriptors.

    Args:
        query: (N, D) float32 of unit length.
        reference: (M, D) float32 of unit length.
        ratio: largest ratio of the distances to the nearest and the second-nearest reference
            descriptor (Lowe, IJCV 2004); 1 accepts all.

    Returns:
        (K, 2) indices (query, reference); each index occurs once at most.
    """
    if len(query) == 0 or len(reference) < 2:
        return np.empty((0, 2), dtype=np.intp)
    similarity = query @ reference.T
    rows = np.arange(len(query))
    nearest = similarity.argmax(axis=1)
    best = similarity[rows, nearest]
    similarity[rows, nearest] = -1.0
    second = similarity.max(axis=1)
    similarity[rows, nearest] = best
    # Half the squared distance of unit vectors is 1 - cos; copies of one descriptor are ambiguous
    # however near they are, so rounding must not tell them apart.
    nearer, further = (np.maximum(1.0 - cosine, ROUNDING) for cosine in (best, second))
    distinct = rows[nearer <= ratio * ratio * further]
    # The mutual check needs the columns of the few that are left only.
    columns = nearest[distinct]
    mutual = similarity[:, columns].max(axis=0) <= best[distinct]
    return np.column_stack([distinct[mutual], columns[mutual]])
