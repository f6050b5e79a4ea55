# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DenseVLAD, the global descriptor of an image for retrieval.

Torii et al., "24/7 Place Recognition by View Synthesis", CVPR 2015, at one scale: dense RootSIFT,
VLAD with intra-normalization and signed square root, PCA whitening.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError
from relloc_ros.vision.features import to_grey
from relloc_ros.vision.whitening import (
    normalize,
    read_arrays,
    train_whitening,
    write_arrays,
)

__all__ = ['DenseVlad', 'extract_dense_rootsift']

FloatArray = NDArray[np.float32]

LONG_SIDE_PX = 480
CELL_PX = 8
CELLS = 4
"""A patch has 4 x 4 cells; patches start at every cell."""
ORIENTATIONS = 8
PATCH_DIMENSION = CELLS * CELLS * ORIENTATIONS

WEAKEST_DROPPED = 0.05
"""Share of the patches with the least gradient that carry only noise."""
MIN_PATCH_ENERGY = 1.0
"""Sum of gradients, in grey levels, below which a patch has no texture at all."""

TRAINING_PATCHES = 50_000
"""Patches the vocabulary is learned from, the same number from each image."""
KMEANS_ITERATIONS = 20


@dataclass(frozen=True, slots=True, eq=False)
class DenseVlad:
    """A vocabulary and a whitening, which turn an image into a vector.

    Attributes:
        centres: (K, 128) float32 visual words.
        mean: (K * 128,) float32, of the training images' VLAD vectors.
        projection: (D, K * 128) float32, whitening rows.
    """

    TRAINING_PASSES: ClassVar[int] = 2
    weights: ClassVar[str] = ''

    centres: FloatArray
    mean: FloatArray
    projection: FloatArray

    @property
    def dimension(self) -> int:
        """Length of the described vectors."""
        return len(self.projection)

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Centres, mean and projection."""
        return self.centres, self.mean, self.projection

    @classmethod
    def train(cls, images: Sequence[NDArray[np.uint8]], config: MapConfig) -> DenseVlad:
        """Learn vocabulary and whitening.

        Args:
            images: grey or BGR uint8; gone through twice, so a sequence may read them lazily.
            config: number of visual words, dimension, seed.

        Raises:
            DataError: no image has texture.
        """
        centres = _train_vocabulary(images, config)
        patches = (extract_dense_rootsift(image) for image in images)
        vlads = np.array([_vlad(each, centres) for each in patches if len(each) > 0])
        mean, projection = train_whitening(vlads, config.descriptor_dimension)
        return cls(centres, mean, projection)

    def prepare(self) -> None:
        """Do nothing: there is no network to load."""

    def describe(self, image: NDArray[np.uint8]) -> FloatArray:
        """Describe a grey or BGR uint8 image by (D,) float32 of length 1.

        An image without texture gives zeros.
        """
        patches = extract_dense_rootsift(image)
        if len(patches) == 0:
            return np.zeros(self.dimension, dtype=np.float32)
        centred = _vlad(patches, self.centres) - self.mean
        return normalize(np.einsum('ij,j->i', self.projection, centred))

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        write_arrays(path, centres=self.centres, mean=self.mean, projection=self.projection)

    @classmethod
    def load(cls, path: Path, weights_folder: str = '') -> DenseVlad:
        """Read an .npz file.

        Raises:
            DataError: missing or damaged file, or arrays that do not fit together.
        """
        arrays = read_arrays(path, ('centres', 'mean', 'projection'))
        centres, mean, projection = (np.asarray(array, dtype=np.float32) for array in arrays)
        length = centres.size
        if (
            centres.shape[1:] != (PATCH_DIMENSION,)
            or mean.shape != (length,)
            or projection.shape[1:] != (length,)
            or len(projection) == 0
        ):
            raise DataError(
                f'vocabulary {path}: shapes {centres.shape}, {mean.shape}, {projection.shape} do '
                'not fit together; build it again'
            )
        return cls(centres, mean, projection)


def extract_dense_rootsift(image: NDArray[np.uint8]) -> FloatArray:
    """Describe all patches of a grid by RootSIFT.

    The image is resized to a long side of 480 pixels, patches are 32 pixels wide and start every
    8. Upright, at one scale, one histogram entry a pixel and orientation: no loop over patches.

    Returns:
        (N, 128) float32 of length 1; the weakest and the textureless patches are left out.
    """
    cells = _orientation_histograms(_resize(to_grey(image)))
    windows = np.lib.stride_tricks.sliding_window_view(cells, (CELLS, CELLS), axis=(0, 1))
    patches = windows.transpose(0, 1, 3, 4, 2).reshape(-1, PATCH_DIMENSION)
    energy = patches.sum(axis=1)
    keep = energy >= max(np.quantile(energy, WEAKEST_DROPPED), MIN_PATCH_ENERGY)
    descriptors: FloatArray = np.sqrt(patches[keep] / energy[keep, np.newaxis])
    return descriptors


def _resize(grey: NDArray[np.uint8]) -> FloatArray:
    scale = LONG_SIDE_PX / max(grey.shape)
    # Whole cells, and at least one patch however narrow the image.
    height, width = (max(CELLS, round(side * scale / CELL_PX)) * CELL_PX for side in grey.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(grey, (width, height), interpolation=interpolation).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(resized, (0, 0), 1.0))


def _orientation_histograms(grey: FloatArray) -> FloatArray:
    """Sum gradients over cells: (H / 8, W / 8, 8), with linear weights of two orientations."""
    gradient_x = cv2.Scharr(grey, cv2.CV_32F, 1, 0, scale=1 / 32)
    gradient_y = cv2.Scharr(grey, cv2.CV_32F, 0, 1, scale=1 / 32)
    # Not cv2.cartToPolar: in some versions its magnitudes depend on where the memory lies.
    magnitude = np.sqrt(gradient_x * gradient_x + gradient_y * gradient_y)
    position = cv2.phase(gradient_x, gradient_y) * (ORIENTATIONS / (2 * np.pi))
    lower = position.astype(np.int32)
    fraction = position - lower
    rows, columns = (np.arange(side) // CELL_PX for side in grey.shape)
    cells = (int(rows[-1]) + 1, int(columns[-1]) + 1, ORIENTATIONS)
    first_bin = ((rows[:, np.newaxis] * cells[1] + columns) * ORIENTATIONS).astype(np.int32)
    histogram = np.zeros(np.prod(cells))
    for orientation, weight in ((lower, 1 - fraction), (lower + 1, fraction)):
        bins = first_bin + orientation % ORIENTATIONS
        histogram += np.bincount(
            bins.ravel(), (weight * magnitude).ravel(), minlength=len(histogram)
        )
    return np.asarray(histogram.reshape(cells), dtype=np.float32)


def _vlad(patches: FloatArray, centres: FloatArray) -> FloatArray:
    """Sum residuals to the nearest word, with intra-, power and L2 normalization: (K * 128,)."""
    # No matrix products: BLAS threads take ten times as long as they should on a busy machine.
    _, nearest = cv2.batchDistance(patches, centres, cv2.CV_32F, normType=cv2.NORM_L2SQR, K=1)
    order = np.argsort(nearest[:, 0], kind='stable')
    counts = np.bincount(nearest[:, 0], minlength=len(centres))
    used = np.flatnonzero(counts)
    starts = np.cumsum(counts[used]) - counts[used]
    residuals = np.zeros_like(centres)
    residuals[used] = np.add.reduceat(patches[order], starts, axis=0)
    residuals -= counts[:, np.newaxis].astype(np.float32) * centres
    vector = normalize(residuals).ravel()
    vector = np.sign(vector) * np.sqrt(np.abs(vector))
    return normalize(vector)


def _train_vocabulary(images: Sequence[NDArray[np.uint8]], config: MapConfig) -> FloatArray:
    rng = np.random.default_rng(config.random_seed)
    share = max(1, TRAINING_PATCHES // max(1, len(images)))
    samples = [np.empty((0, PATCH_DIMENSION), dtype=np.float32)]
    for image in images:
        patches = extract_dense_rootsift(image)
        count = min(len(patches), share)
        samples.append(patches[rng.choice(len(patches), count, replace=False)])
    patches = np.concatenate(samples)
    if len(patches) == 0:
        raise DataError('no image has texture: a vocabulary cannot be learned')
    words = min(config.vlad_clusters, len(patches))
    with warnings.catch_warnings():
        # A word without patches, as artificial images leave them, keeps its place: no harm.
        warnings.simplefilter('ignore', UserWarning)
        centres, _ = kmeans2(patches, words, iter=KMEANS_ITERATIONS, minit='points', seed=rng)
    return np.asarray(centres, dtype=np.float32)
