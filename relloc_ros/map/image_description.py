# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that a map keeps of an image's pixels, worked out in this process or in another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig, MapConfig
from relloc_ros.errors import DataError
from relloc_ros.map.image_index import image_digest
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.vision.features import FeatureExtractor, LocalFeatures, create_extractor
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS, GlobalDescriptor

__all__ = ['Described', 'Describer', 'describe', 'in_full', 'open_describer']

THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 320, 80

Config = TypeVar('Config', MapConfig, LocalizationConfig)


class Describer(NamedTuple):
    """What describes images, prepared."""

    extractor: FeatureExtractor
    max_keypoints: int
    descriptor: GlobalDescriptor


class Described(NamedTuple):
    """Local features, global descriptor (D,), digest of the pixels, small copy as JPEG."""

    features: LocalFeatures
    vector: NDArray[np.float32]
    digest: str
    thumbnail: bytes


def open_describer(config: MapConfig, vocabulary: Path, weights: str) -> Describer:
    """Make in a worker what the process has that builds the map.

    Args:
        config: settings of the map.
        vocabulary: file of the map's vocabulary.
        weights: SHA-256 of the weights of the features there.

    Raises:
        DataError: a file is missing or damaged, or the weights are others.
        MissingDependencyError: a network is asked for whose packages are not installed.
    """
    extractor = create_extractor(config.features, config.weights_folder)
    extractor.prepare()
    if extractor.weights != weights:
        raise DataError(
            f'a worker has other weights of {config.features} than the process that builds the '
            'map: install the same packages, or let all see the same weights_folder'
        )
    kind = GLOBAL_DESCRIPTORS[config.global_descriptor]
    descriptor = kind.load(vocabulary, config.weights_folder)
    descriptor.prepare()
    return Describer(extractor, config.max_keypoints, descriptor)


def describe(describer: Describer, image: PosedImage) -> Described:
    """Read an image and work out what a map keeps of it.

    Raises:
        DataError: unreadable, or not of its camera's size.
    """
    pixels = read_image(image)
    features = describer.extractor.extract(pixels, describer.max_keypoints)
    vector = describer.descriptor.describe(pixels)
    return Described(features, vector, image_digest(pixels), _thumbnail(pixels))


def in_full(config: Config) -> Config:
    """Give settings as processes in other folders understand them."""
    folder = config.weights_folder
    return replace(config, weights_folder=str(Path(folder).absolute()) if folder else '')


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """Give a small copy as JPEG, for people: debug images and reports show it."""
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])[1])
