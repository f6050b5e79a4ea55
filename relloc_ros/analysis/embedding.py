# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Coefficients of queries and training images, from a trained network."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from relloc_ros.analysis.model_analysis import BaseTranslations, EmbeddedImages
from relloc_ros.errors import DataError
from relloc_ros.evaluation.queries import Queries, Query
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer

if TYPE_CHECKING:
    from relloc_ros.networks.apr import BasePoses, PoseRegressor, TrainingEmbeddings

__all__ = ['Image', 'SeenQueries', 'base_translations', 'embedded_training', 'see_queries']

PICTURE_WIDTH = 240
"""Pixels of the small copies that are kept for the animation."""

Image = NDArray[np.uint8]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class SeenQueries:
    """What a network, and another localizer, made of Q queries.

    Attributes:
        images: with their coefficients and true poses.
        positions: (Q, 3) predicted camera centres, map units.
        rotations: (Q, 3, 3) predicted map_from_cam.
        pictures: (Q,) small copies of the images, grey or BGR.
        estimates: (Q,) map_from_cam by the other localizer, None where it gave none; None without
            another localizer.
        left_out: names of queries that are in the map, have no true pose, or cannot be decoded.
    """

    images: EmbeddedImages
    positions: Array
    rotations: Array
    pictures: tuple[Image, ...]
    estimates: tuple[RigidTransform | None, ...] | None
    left_out: tuple[str, ...]


def base_translations(poses: BasePoses) -> BaseTranslations:
    """Take the translational part of base poses."""
    return BaseTranslations(poses.position_offset, poses.positions)


def embedded_training(embeddings: TrainingEmbeddings) -> EmbeddedImages:
    """Take the training images that a network's file holds."""
    quats = embeddings.quats_wxyz[:, [1, 2, 3, 0]]
    return EmbeddedImages(
        embeddings.names,
        embeddings.alphas.astype(np.float64),
        embeddings.positions,
        np.asarray(Rotation.from_quat(quats).as_matrix()),
    )


def see_queries(
    queries: Queries,
    regressor: PoseRegressor,
    reference_map: ReferenceMap,
    relocalizer: Relocalizer | None = None,
    *,
    allow_map_images: bool = False,
    progress: Progress | None = None,
) -> SeenQueries:
    """Embed and localize queries.

    Args:
        queries: with known poses; the pose of the camera is what counts, in bags, too.
        regressor: the network.
        reference_map: that it was trained on.
        relocalizer: another localizer for comparison.
        allow_map_images: take queries that are in the map as well.
        progress: called with (queries done, all queries, detail).

    Raises:
        DataError: no query is left, or the source is damaged.
    """
    names = None if allow_map_images else frozenset(reference_map.image_names)
    seen: list[_Seen] = []
    left_out: list[str] = []
    previous: Image | None = None
    for done, query in enumerate(queries, start=1):
        image = query.pixels()
        found = None
        if image is not None and not _in_map(query, image, reference_map, names):
            found = _see(query, image, previous, regressor, relocalizer)
        if found is None:
            left_out.append(query.name)
        else:
            seen.append(found)
        previous = image if queries.sequence else None
        if progress is not None:
            progress(done, len(queries), query.name)
    if not seen:
        raise DataError(
            f'none of the {len(queries)} queries can be analysed: they are images of the map '
            f'{reference_map.path} (--allow-map-images takes them nevertheless), have no true '
            'pose, or cannot be decoded'
        )
    return _together(seen, tuple(left_out), with_estimates=relocalizer is not None)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    name: str
    alpha: NDArray[np.float32]
    truth: RigidTransform
    predicted: RigidTransform
    picture: Image
    estimate: RigidTransform | None


def _in_map(
    query: Query, image: Image, reference_map: ReferenceMap, names: Collection[str] | None
) -> bool:
    if names is None:
        return False
    return query.name in names or reference_map.find_same(image) is not None


def _see(
    query: Query,
    image: Image,
    previous: Image | None,
    regressor: PoseRegressor,
    relocalizer: Relocalizer | None,
) -> _Seen | None:
    """Embed and localize an image; None without a true pose of its camera."""
    view = query.true_view()
    if view is None:
        return None
    alpha = regressor.describe(image, previous)
    pose = None if relocalizer is None else query.localize(relocalizer).localization.camera_pose
    return _Seen(
        query.name,
        alpha,
        view.map_from_cam,
        regressor.pose(alpha),
        _picture(image),
        None if pose is None else pose.map_from_body,
    )


def _picture(image: Image) -> Image:
    height, width = image.shape[:2]
    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _together(
    seen: list[_Seen], left_out: tuple[str, ...], *, with_estimates: bool
) -> SeenQueries:
    images = EmbeddedImages(
        tuple(each.name for each in seen),
        np.array([each.alpha for each in seen], dtype=np.float64),
        np.array([each.truth.translation for each in seen]),
        np.array([each.truth.rotation for each in seen]),
    )
    return SeenQueries(
        images,
        np.array([each.predicted.translation for each in seen]),
        np.array([each.predicted.rotation for each in seen]),
        tuple(each.picture for each in seen),
        tuple(each.estimate for each in seen) if with_estimates else None,
        left_out,
    )
