# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How alike every place of one image is to every place of another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from relloc_ros.errors import DataError

__all__ = ['as_channels', 'correlate', 'mutual_matching']

EPSILON = 1e-6


def correlate(features_a: Tensor, features_b: Tensor) -> Tensor:
    """Correlation volume of two feature maps, each cell of unit length.

    Args:
        features_a: (B, C, Ha, Wa).
        features_b: (B, C, Hb, Wb).

    Returns:
        (B, Ha, Wa, Hb, Wb) cosines.

    Raises:
        DataError: batch or channels differ.
    """
    if (
        features_a.ndim != 4
        or features_b.ndim != 4
        or features_a.shape[:2] != features_b.shape[:2]
    ):
        raise DataError(
            f'features_a of shape {tuple(features_a.shape)} and features_b of shape '
            f'{tuple(features_b.shape)} cannot be correlated: both are (B, C, H, W) with the same '
            'B and C'
        )
    unit_a, unit_b = normalize(features_a, dim=1), normalize(features_b, dim=1)
    scores = unit_a.flatten(2).transpose(1, 2) @ unit_b.flatten(2)
    return scores.unflatten(1, features_a.shape[2:]).unflatten(3, features_b.shape[2:])


def as_channels(scores: Tensor) -> Tensor:
    """Make the places of image B channels of those of A, positive and of unit length.

    Rocco et al. (CVPR 2017): what is alike to one place only stands out.

    Args:
        scores: (B, Ha, Wa, Hb, Wb).

    Returns:
        (B, Hb Wb, Ha, Wa).
    """
    return normalize(relu(scores).flatten(3).permute(0, 3, 1, 2), dim=1)


def mutual_matching(scores: Tensor) -> Tensor:
    """Weaken what is not the best of its place in both directions (Rocco et al., NeurIPS 2018).

    Args:
        scores: (B, Ha, Wa, Hb, Wb), not negative.

    Returns:
        The same shape: each score times its ratio to the best of its place in A, and in B. Half
        precision becomes single.
    """
    if scores.dtype == torch.float16:
        # Products of three small scores are less than its smallest number.
        scores = scores.float()
    best_of_a = scores.amax(dim=(3, 4), keepdim=True)
    best_of_b = scores.amax(dim=(1, 2), keepdim=True)
    return scores * (scores / (best_of_a + EPSILON)) * (scores / (best_of_b + EPSILON))
