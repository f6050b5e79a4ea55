# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thin out dense sequences: of images taken nearly at one place, the best one stays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from relloc_ros.geometry import Array
from relloc_ros.map.builder import WORKERS, Progress
from relloc_ros.map.sources import PosedImage, read_image

__all__ = ['keyframes_of', 'measure_sharpness', 'select_keyframes', 'sharpness']

SHARPNESS_SIDE = 320
"""Longer side of the copy on which images are compared: noise is gone, shake is not."""

Rows = NDArray[np.intp]


def select_keyframes(
    centres: Array,
    rotations: Array,
    cameras: Sequence[Hashable],
    best_first: Sequence[int] | Rows,
    distance: float,
    angle: float,
) -> Rows:
    """Go through images, best first, and keep those far enough from all kept so far.

    Every image left out has a better one of its own camera that is near and looks the same way,
    and two that stay are never that near: what is covered stays covered, evenly.

    Args:
        centres: (N, 3) camera centres.
        rotations: (N, 3, 3) cam_from_map.
        cameras: N cameras, or what tells them apart.
        best_first: all N indices, the best image first.
        distance: between centres, map units.
        angle: between orientations, radians.

    Returns:
        (K,) indices of the images that stay, ascending.
    """
    tree = cKDTree(centres)
    kept = np.zeros(len(centres), dtype=bool)
    least_trace = 1.0 + 2.0 * np.cos(min(angle, np.pi))
    for row in best_first:
        near = np.array(tree.query_ball_point(centres[row], distance), dtype=np.intp)
        near = near[kept[near]]
        traces = np.einsum('nij,ij->n', rotations[near], rotations[row])
        alike = near[traces >= least_trace - 1e-12]
        if not any(cameras[other] == cameras[row] for other in alike):
            kept[row] = True
    return np.flatnonzero(kept)


def sharpness(image: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of a grey or BGR image, on a small copy.

    It compares images of one scene. Source: Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy: a comparative study", ICPR 2000.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = SHARPNESS_SIDE / max(grey.shape)
    if scale < 1.0:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def measure_sharpness(posed: Sequence[PosedImage], progress: Progress | None = None) -> Array:
    """Measure the sharpness (N,) of images, which are read one after the other.

    Args:
        posed: the images.
        progress: called after every image.

    Raises:
        DataError: an image that is unreadable or not of its camera's size.
    """
    values = np.empty(len(posed))
    pool = ThreadPoolExecutor(WORKERS)
    try:
        found = pool.map(lambda image: sharpness(read_image(image)), posed)
        for done, value in enumerate(found):
            values[done] = value
            if progress is not None:
                progress(done + 1, len(posed), 'sharpness')
    finally:
        pool.shutdown(cancel_futures=True)
    return values


def keyframes_of(
    posed: Sequence[PosedImage], sharpnesses: Array, distance: float, angle: float
) -> Rows:
    """Select keyframes of posed images, the sharpest of those that are alike.

    Args:
        posed: N images.
        sharpnesses: (N,), see `measure_sharpness`.
        distance: between camera centres, map units.
        angle: between orientations, radians.

    Returns:
        (K,) indices of the images that stay, ascending.
    """
    return select_keyframes(
        np.array([image.cam_from_map.inverse().translation for image in posed]).reshape(-1, 3),
        np.array([image.cam_from_map.rotation for image in posed]).reshape(-1, 3, 3),
        [image.camera for image in posed],
        np.argsort(-sharpnesses, kind='stable'),
        distance,
        angle,
    )
