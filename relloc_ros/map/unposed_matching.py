# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Match images of which nothing is known, into a database for COLMAP to map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.map.colmap_workspace import write_tables
from relloc_ros.map.image_pairs import EXHAUSTIVE, Pair, all_pairs, choose_pairs
from relloc_ros.map.unposed_images import UnposedImage
from relloc_ros.vision.features import LocalFeatures, create_extractor
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS
from relloc_ros.vision.matching import Keypoints, MutualRatio

__all__ = ['match_images']

Progress = Callable[[int, int, str], None]

WORKERS = 2
MAX_TRAINING_IMAGES = 200
MIN_MATCHES = 15
"""As in COLMAP: fewer are likely to be chance."""


def match_images(
    images: Sequence[UnposedImage], config: MapConfig, database: Path, report: Progress
) -> int:
    """Write cameras, keypoints and geometrically verified matches of images.

    Args:
        images: images of one scene, in the order of time or name.
        config: settings of the features.
        database: to make.
        report: called with the number done, the number in all and the name of the stage.

    Returns:
        The number of pairs with enough matches.

    Raises:
        DataError: an image is unreadable or not of its camera's size.
        MissingDependencyError: the features need a network whose packages are not installed.
    """
    model = _model(images)
    write_tables(model, database)
    features = _extract(images, config, report)
    if len(images) <= EXHAUSTIVE:
        pairs = all_pairs(len(images))
    else:
        pairs = choose_pairs(_describe(images, config, report))
    opened = pycolmap.Database.open(database)
    try:
        with pycolmap.DatabaseTransaction(opened):
            for image_id, item in enumerate(features, start=1):
                opened.write_keypoints(image_id, item.points2D.astype(np.float32))
            return _write_matches(opened, model, images, features, pairs, config, report)
    finally:
        opened.close()


def _model(images: Sequence[UnposedImage]) -> pycolmap.Reconstruction:
    """Number images and different cameras from 1; images of equal guesses share a camera."""
    model = pycolmap.Reconstruction()
    camera_ids: dict[Camera, int] = {}
    for image_id, image in enumerate(images, start=1):
        if image.camera not in camera_ids:
            camera_ids[image.camera] = len(camera_ids) + 1
            camera = image.camera.to_pycolmap(camera_ids[image.camera])
            camera.has_prior_focal_length = image.focal_known
            model.add_camera_with_trivial_rig(camera)
        camera_id = camera_ids[image.camera]
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=image.name, camera_id=camera_id, image_id=image_id)
        )
    return model


def _extract(
    images: Sequence[UnposedImage], config: MapConfig, report: Progress
) -> list[LocalFeatures]:
    extractor = create_extractor(config.features, config.weights_folder)
    extractor.prepare()
    found = []
    pool = ThreadPoolExecutor(WORKERS)
    try:
        extracted = pool.map(
            lambda image: extractor.extract(image.read(), config.max_keypoints), images
        )
        for features in extracted:
            found.append(features)
            report(len(found), len(images), 'features')
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _describe(
    images: Sequence[UnposedImage], config: MapConfig, report: Progress
) -> NDArray[np.float32]:
    """Describe whole images, by a vocabulary learned from some of them."""
    step = -(-len(images) // MAX_TRAINING_IMAGES)
    kind = GLOBAL_DESCRIPTORS[config.global_descriptor]
    report(0, len(images), 'vocabulary')
    descriptor = kind.train([image.read() for image in images[::step]], config)
    rows = []
    for image in images:
        rows.append(descriptor.describe(image.read()))
        report(len(rows), len(images), 'choosing pairs')
    return np.array(rows, dtype=np.float32)


def _write_matches(
    database: pycolmap.Database,
    model: pycolmap.Reconstruction,
    images: Sequence[UnposedImage],
    features: Sequence[LocalFeatures],
    pairs: Sequence[Pair],
    config: MapConfig,
    report: Progress,
) -> int:
    extractor = create_extractor(config.features, config.weights_folder)
    matcher = MutualRatio(extractor.match_ratio)
    cameras = [model.cameras[model.images[i + 1].camera_id] for i in range(len(images))]
    options = pycolmap.TwoViewGeometryOptions()
    options.min_num_inliers = MIN_MATCHES
    options.ransac.random_seed = 0
    # Most pairs show different places; to be sure of that takes as long as COLMAP lets it.
    options.ransac.max_num_trials = 2000

    def match(pair: Pair) -> tuple[NDArray[np.uint32], pycolmap.TwoViewGeometry | None]:
        keypoints = [
            Keypoints(
                features[i].points2D,
                extractor.unit_descriptors(features[i].descriptors),
                (images[i].camera.width, images[i].camera.height),
            )
            for i in pair
        ]
        matches = matcher.match(*keypoints).astype(np.uint32)
        if len(matches) < MIN_MATCHES:
            return matches, None
        first, second = pair
        geometry = pycolmap.estimate_two_view_geometry(
            cameras[first],
            features[first].points2D,
            cameras[second],
            features[second].points2D,
            matches,
            options,
        )
        return matches, geometry

    good = 0
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for done, (pair, (matches, geometry)) in enumerate(
            zip(pairs, pool.map(match, pairs), strict=True), start=1
        ):
            if geometry is not None and len(geometry.inlier_matches) >= MIN_MATCHES:
                good += 1
                database.write_matches(pair[0] + 1, pair[1] + 1, matches)
                database.write_two_view_geometry(pair[0] + 1, pair[1] + 1, geometry)
            report(done, len(pairs), 'matching')
    finally:
        pool.shutdown(cancel_futures=True)
    return good
