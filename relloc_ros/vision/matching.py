# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of local features: nearest neighbours that are mutual and pass the ratio test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import ConfigError
from relloc_ros.geometry import Array
from relloc_ros.vision.mutual_ratio import quickest_matching

__all__ = [
    'Keypoints',
    'Matcher',
    'MutualRatio',
    'compact_basis',
    'count_mutual_ratio',
    'create_matcher',
    'match_mutual_ratio',
    'unit_descriptors',
]

COMPACT_DIMENSIONS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """What matchers look at.

    Attributes:
        points2D: (N, 2) float64 pixels.
        descriptors: (N, D) float32 of unit length.
        image_size: width and height, pixels.
        compact: (N, C) float32 descriptors in the basis of `compact_basis`, for a quicker search;
            None searches the whole ones.
    """

    points2D: Array
    descriptors: NDArray[np.float32]
    image_size: tuple[int, int]
    compact: NDArray[np.float32] | None = None


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
        search = None
        if query.compact is not None and reference.compact is not None:
            search = query.compact, reference.compact
        return match_mutual_ratio(query.descriptors, reference.descriptors, self.ratio, search)


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


def compact_basis(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the basis in which few numbers keep most of the scalar products of descriptors.

    These are the main axes of the descriptors about the origin, not about their mean, for which
    products would need a correction.

    Args:
        sample: (N, D) float32 of unit length.

    Returns:
        (D, C) float32 with orthonormal columns, C at most 32. Products in it are near the whole
        ones, and too small by what the axes left out hold.
    """
    moments = sample.T.astype(np.float64) @ sample
    _, axes = np.linalg.eigh(moments)
    # Signs are arbitrary: the same sample gives the same basis everywhere.
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(len(axes))] < 0, -1.0, 1.0)
    return np.ascontiguousarray(axes[:, ::-1][:, :COMPACT_DIMENSIONS], dtype=np.float32)


def match_mutual_ratio(
    query: NDArray[np.float32],
    reference: NDArray[np.float32],
    ratio: float,
    search: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> NDArray[np.intp]:
    """Match two sets of unit descriptors.

    Args:
        query: (N, D) float32 of unit length.
        reference: (M, D) float32 of unit length.
        ratio: largest ratio of the distances to the nearest and the second-nearest reference
            descriptor (Lowe, IJCV 2004); 1 accepts all.
        search: the same in fewer numbers (N, C), (M, C), to find the nearest two by, whose
            distances are then compared in full. None finds them in full.

    Returns:
        (K, 2) indices (query, reference); each index occurs once at most.
    """
    return quickest_matching().match(query, reference, search or (query, reference), ratio)


def count_mutual_ratio(
    query: NDArray[np.float32], references: Sequence[NDArray[np.float32]], ratio: float
) -> list[int]:
    """Count the matches of few descriptors with several map images.

    Args:
        query: (N, D) float32 of unit length.
        references: (M, D) float32 of unit length, of each map image.
        ratio: as in `match_mutual_ratio`.
    """
    return quickest_matching().count(query, references, ratio)
