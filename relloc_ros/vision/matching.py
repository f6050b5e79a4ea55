# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of local features: nearest neighbours that are mutual and pass the ratio test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import ConfigError
from relloc_ros.geometry import Array

__all__ = [
    'Keypoints',
    'Matcher',
    'MutualRatio',
    'create_matcher',
    'match_mutual_ratio',
    'unit_descriptors',
]

ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """What matchers look at.

    Attributes:
        points2D: (N, 2) float64 pixels.
        descriptors: (N, D) float32 of unit length.
        image_size: width and height, pixels.
    """

    points2D: Array
    descriptors: NDArray[np.float32]
    image_size: tuple[int, int]


class Matcher(Protocol):
    """Finds which keypoints of two images show the same point."""

    def match(self, query: Keypoints, reference: Keypoints) -> NDArray[np.intp]:
        """Give (K, 2) indices (query, reference); each index occurs once at most."""


@dataclass(frozen=True, slots=True)
class MutualRatio:
    """Mutual nearest descriptors that pass the ratio test.

    Attributes:
        ratio: as in `match_mutual_ratio`.
    """

    ratio: float

    def match(self, query: Keypoints, reference: Keypoints) -> NDArray[np.intp]:
        """Give (K, 2) indices (query, reference); each index occurs once at most."""
        return match_mutual_ratio(query.descriptors, reference.descriptors, self.ratio)


def create_matcher(name: str, features: str, ratio: float, weights_folder: str = '') -> Matcher:
    """Make the matcher of this name.

    Args:
        name: mutual_ratio or lighterglue.
        features: name of the features to match.
        ratio: of the ratio test.
        weights_folder: with the weights of networks; '' takes installed packages.

    Raises:
        ConfigError: no such matcher, or not for these features.
        DataError: weights missing from the folder, or unusable.
        MissingDependencyError: a package for learned matching is not installed.
    """
    if name == 'mutual_ratio':
        return MutualRatio(ratio)
    if name != 'lighterglue':
        raise ConfigError(f'unknown matcher {name!r}; known: mutual_ratio, lighterglue')
    if features != 'xfeat':
        raise ConfigError(
            f'matcher: lighterglue is for maps with features: xfeat, this one has {features}: '
            'choose matcher: mutual_ratio, or build the map again with --set features=xfeat'
        )
    from relloc_ros.vision.lighterglue import (  # noqa: PLC0415  it builds on this module
        LighterGlue,
    )

    return LighterGlue(weights_folder)


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
