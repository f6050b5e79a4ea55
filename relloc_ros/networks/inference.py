# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trained networks as localization uses them: numpy in, numpy out, the same answer every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform, nearest_rotation
from relloc_ros.networks.base import PairNetwork, Prediction
from relloc_ros.networks.consensus import NeighbourhoodConsensus
from relloc_ros.networks.correlation import correlate
from relloc_ros.networks.preprocessing import crop_square, resize_shorter_side, to_tensor
from relloc_ros.vision.pretrained import inference

__all__ = ['DenseFeatures', 'DenseMatcher', 'PairRegressor', 'mutual_matches']

MIN_RELATIVE_SCORE = 0.1
"""Matches with a smaller part of the best score of the pair are left out."""

Image = NDArray[np.uint8]


class PairRegressor:
    """A network that regresses essential matrices or relative poses."""

    def __init__(self, network: PairNetwork) -> None:
        """Take a trained network."""
        self._network = network.eval()

    def describe(self, image: Image) -> NDArray[np.float32]:
        """Features of a grey or BGR uint8 image, for `essentials` or `relative_poses`.

        Raises:
            DataError: no such image.
        """
        config = self._network.config
        resized, intrinsics = resize_shorter_side(image, np.eye(3), config.shorter_side)
        cropped, _ = crop_square(resized, intrinsics, config.crop)
        with inference():
            return np.asarray(self._network.describe(to_tensor(cropped)[None])[0].numpy())

    def essentials(
        self, references: Sequence[NDArray[np.float32]], query: NDArray[np.float32]
    ) -> Array:
        """Essential matrices (P, 3, 3) float64 of the query and P references."""
        predicted = self._compare(references, query)
        return np.asarray(predicted['essential'].double().numpy())

    def relative_poses(
        self, references: Sequence[NDArray[np.float32]], query: NDArray[np.float32]
    ) -> list[RigidTransform]:
        """Poses query_from_reference of the query and P references."""
        predicted = self._compare(references, query)
        rotations = predicted['rotation'].double().numpy()
        translations = predicted['translation'].double().numpy()
        return [
            # Single precision is not orthonormal enough.
            RigidTransform(nearest_rotation(rotation), np.asarray(translation))
            for rotation, translation in zip(rotations, translations, strict=True)
        ]

    def _compare(
        self, references: Sequence[NDArray[np.float32]], query: NDArray[np.float32]
    ) -> Prediction:
        first = torch.from_numpy(np.stack(references))
        second = torch.from_numpy(query).expand_as(first)
        with inference():
            predicted = self._network.compare(first, second)
        for name, tensor in predicted.items():
            if not torch.isfinite(tensor).all():
                raise DataError(
                    f'network {self._network.name} gives a {name} that is not finite: its weights '
                    'are damaged, or its training has diverged'
                )
        return predicted


@dataclass(frozen=True, slots=True, eq=False)
class DenseFeatures:
    """Features of an image on a grid.

    Attributes:
        features: (C, h, w) float32.
        points2D: (h w, 2) float64 what the cells look at, pixels of the image as it was.
    """

    features: NDArray[np.float32]
    points2D: Array


class DenseMatcher:
    """Features of a trained backbone, matched with neighbourhood consensus (Zhou et al., IV-C)."""

    def __init__(
        self, features: PairNetwork, consensus: NeighbourhoodConsensus, shorter_side: int
    ) -> None:
        """Take trained networks.

        Args:
            features: whose backbone is used.
            consensus: which may have been trained with another.
            shorter_side: of the images, which are not cropped, pixels.
        """
        self._backbone = features.backbone.eval()
        self._consensus = consensus.eval()
        self._shorter_side = shorter_side

    def describe(self, image: Image) -> DenseFeatures:
        """Features of a grey or BGR uint8 image.

        Raises:
            DataError: no such image.
        """
        stride = self._backbone.stride
        resized, factors = resize_shorter_side(image, np.eye(3), self._shorter_side, stride)
        with inference():
            features = self._backbone(to_tensor(resized)[None])[0].numpy()
        height, width = features.shape[1:]
        # See ResNet.stride; + 0.5 is the centre of a pixel.
        y, x = np.mgrid[:height, :width].reshape(2, -1) * stride + 0.5
        return DenseFeatures(features, np.column_stack([x, y]) / np.diag(factors)[:2])

    def match(self, query: DenseFeatures, reference: DenseFeatures) -> NDArray[np.intp]:
        """Match cells: (K, 2) indices (query, reference), each at most once."""
        with inference():
            scores = self._consensus(
                correlate(
                    torch.from_numpy(query.features)[None],
                    torch.from_numpy(reference.features)[None],
                )
            )
            return mutual_matches(scores[0])


def mutual_matches(scores: Tensor) -> NDArray[np.intp]:
    """Find cells that are each other's best.

    Args:
        scores: (Ha, Wa, Hb, Wb), not negative.

    Returns:
        (K, 2) indices of cells, row by row, in A and B. None has less than a tenth of the best
        score of all.
    """
    table = scores.flatten(2).flatten(0, 1)
    best_score, best = table.max(dim=1)
    is_mutual = table.argmax(dim=0)[best] == torch.arange(len(table))
    is_good = (best_score > 0) & (best_score >= MIN_RELATIVE_SCORE * table.max())
    rows = torch.nonzero(is_mutual & is_good)[:, 0]
    return np.asarray(torch.stack([rows, best[rows]], dim=1).numpy(), dtype=np.intp)
