# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that base poses and coefficients say of a network for absolute poses and its queries.

Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose Regression",
CVPR 2019, sections 3 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relloc_ros.analysis.condition import (
    TOLERANCE,
    Reach,
    cone_distances,
    cone_is_span,
    extent,
    is_conical,
    reach_of_mixtures,
    reach_of_relevant,
    reach_of_weights,
    stretch,
)
from relloc_ros.analysis.nearest import closeness, explained_by_nearest, nearest
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, rotation_angle

__all__ = [
    'PART_SIZE',
    'Analysis',
    'BaseTranslations',
    'EmbeddedImages',
    'NetworkLimits',
    'QueryFigures',
    'analyse',
    'network_limits',
]

PART_SIZE = 10
"""Training images, those with the nearest embeddings, that are the query's part of the scene."""


@dataclass(frozen=True, slots=True, eq=False)
class BaseTranslations:
    """Positions as the network predicts them, ``offset + translations @ alpha`` (Eq. 3).

    Attributes:
        offset: (3,) map frame and units.
        translations: (3, N) map units.
    """

    offset: Array
    translations: Array

    def predict(self, alphas: Array) -> Array:
        """Positions (M, 3) of coefficients (M, N)."""
        positions: Array = self.offset + alphas @ self.translations.T
        return positions


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedImages:
    """Images with known poses, and their coefficients.

    Attributes:
        names: (M,).
        alphas: (M, N) float64.
        positions: (M, 3) true camera centres, map frame and units.
        rotations: (M, 3, 3) true map_from_cam.
    """

    names: tuple[str, ...]
    alphas: Array
    positions: Array
    rotations: Array

    def __post_init__(self) -> None:
        """Check that there are as many of all, and some.

        Raises:
            DataError: there are not.
        """
        counts = [len(each) for each in (self.names, self.alphas, self.positions, self.rotations)]
        if len(set(counts)) > 1 or not counts[0]:
            raise DataError(
                f'names, coefficients, positions and rotations of {counts} images: give as many '
                'of each, one at least'
            )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkLimits:
    """What is known before any query is seen.

    Attributes:
        conical: no coefficient of a training image is negative.
        signs_matter: conical combinations do not reach all that signed ones do.
        tolerance: lengths below count as none, map units.
        weights: where the prediction is, whatever the image.
        relevant: where images are whose coefficients are like those of training images (Eq. 5).
        mixtures: where images are whose embedding mixes those of training images.
    """

    conical: bool
    signs_matter: bool
    tolerance: float
    weights: Reach
    relevant: Reach
    mixtures: Reach

    @property
    def binding(self) -> Reach | None:
        """The least conditional of them that keeps predictions to a flat; None if none does."""
        for reach in (self.weights, self.relevant, self.mixtures):
            if reach.flat.rank < 3:
                return reach
        return None


@dataclass(frozen=True, slots=True, eq=False)
class QueryFigures:
    """What comes out for Q queries; lengths in map units, angles in radians.

    Attributes:
        off_weights: (Q,) distance of the truth from all that the network can predict.
        off_relevant: (Q,) from the flat of `NetworkLimits.relevant`.
        off_mixtures: (Q,) from the flat of `NetworkLimits.mixtures`.
        predicted_off_mixtures: (Q,) of the prediction from the same.
        stretch: (Q,) see `condition.stretch`, with all training images.
        part_stretch: (Q,) with the query's part of the scene alone.
        nearest: (Q,) index of the training image with the nearest embedding.
        embedding_distances: (Q,) to it.
        position_errors: (Q,) of the predictions.
        rotation_errors: (Q,)
        retrieval_position_errors: (Q,) of the pose of the nearest training image.
        retrieval_rotation_errors: (Q,)
        offsets: (Q,) length of ``P (α_I - α_J)``, by which Eq. 6 leaves the nearest image.
        position_closeness: (Q,) see `nearest.closeness`.
        rotation_closeness: (Q,)
        explained: see `nearest.explained_by_nearest`.
    """

    off_weights: Array
    off_relevant: Array
    off_mixtures: Array
    predicted_off_mixtures: Array
    stretch: Array
    part_stretch: Array
    nearest: NDArray[np.intp]
    embedding_distances: Array
    position_errors: Array
    rotation_errors: Array
    retrieval_position_errors: Array
    retrieval_rotation_errors: Array
    offsets: Array
    position_closeness: Array
    rotation_closeness: Array
    explained: float


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A network, its training images, and queries.

    Attributes:
        base: its base translations.
        training: images it was trained on.
        queries: others.
        predicted_positions: (Q, 3) camera centres that the network gives for the queries.
        limits: known without the queries.
        figures: known with them.
    """

    base: BaseTranslations
    training: EmbeddedImages
    queries: EmbeddedImages
    predicted_positions: Array
    limits: NetworkLimits
    figures: QueryFigures


def network_limits(base: BaseTranslations, training: EmbeddedImages) -> NetworkLimits:
    """Find out what a network cannot predict, without any query.

    Raises:
        DataError: the network has other coefficients than the training images.
    """
    if base.translations.shape[1] != training.alphas.shape[1]:
        raise DataError(
            f'{base.translations.shape[1]} base poses and {training.alphas.shape[1]} coefficients '
            'of each training image: they belong to different networks'
        )
    given = (base.offset, base.translations)
    tolerance = TOLERANCE * extent(training.positions)
    conical = is_conical(training.alphas)
    return NetworkLimits(
        conical,
        conical and not cone_is_span(base.translations),
        tolerance,
        reach_of_weights(*given),
        reach_of_relevant(*given, training.alphas, tolerance),
        reach_of_mixtures(*given, training.alphas, tolerance),
    )


def analyse(
    base: BaseTranslations,
    training: EmbeddedImages,
    queries: EmbeddedImages,
    predicted_positions: Array,
    predicted_rotations: Array,
) -> Analysis:
    """Hold queries against what the network can predict, and against retrieval.

    Args:
        base: of the network.
        training: images it was trained on.
        queries: others, with coefficients.
        predicted_positions: (Q, 3) what the network says of them, map units.
        predicted_rotations: (Q, 3, 3) map_from_cam.

    Raises:
        DataError: coefficients of another network.
    """
    limits = network_limits(base, training)
    neighbours, distances = nearest(queries.alphas, training.alphas, PART_SIZE)
    first = neighbours[:, 0]
    retrieved, turned = training.positions[first], training.rotations[first]
    position_errors = _lengths(predicted_positions - queries.positions)
    rotation_errors = _angles(predicted_rotations, queries.rotations)
    given, truth = (base.offset, base.translations), queries.positions
    figures = QueryFigures(
        off_weights=cone_distances(*given, truth)
        if limits.signs_matter
        else limits.weights.flat.distances(truth),
        off_relevant=limits.relevant.flat.distances(truth),
        off_mixtures=limits.mixtures.flat.distances(truth),
        predicted_off_mixtures=limits.mixtures.flat.distances(predicted_positions),
        stretch=stretch(*given, training.alphas, truth),
        part_stretch=np.concatenate(
            [
                stretch(*given, training.alphas[part], point[None])
                for part, point in zip(neighbours, truth, strict=True)
            ]
        ),
        nearest=first,
        embedding_distances=distances[:, 0],
        position_errors=position_errors,
        rotation_errors=rotation_errors,
        retrieval_position_errors=_lengths(retrieved - truth),
        retrieval_rotation_errors=_angles(turned, queries.rotations),
        offsets=_lengths((queries.alphas - training.alphas[first]) @ base.translations.T),
        position_closeness=closeness(position_errors, _lengths(predicted_positions - retrieved)),
        rotation_closeness=closeness(rotation_errors, _angles(predicted_rotations, turned)),
        explained=explained_by_nearest(predicted_positions, retrieved),
    )
    return Analysis(base, training, queries, predicted_positions, limits, figures)


def _lengths(vectors: Array) -> Array:
    lengths: Array = np.linalg.norm(vectors, axis=1)
    return lengths


def _angles(first: Array, second: Array) -> Array:
    pairs = zip(first, second, strict=True)
    return np.array([rotation_angle(one @ other.T) for one, other in pairs])
