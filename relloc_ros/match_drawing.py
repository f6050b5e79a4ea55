# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A query beside the map image it has most in common with, with the matches drawn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, PairMatches

__all__ = ['draw_matches', 'draw_query', 'strongest_pair']

ImageArray = NDArray[np.uint8]

HEIGHT_PX = 360
MAX_LINES = 150
"""Of each kind; more are a solid surface."""
INLIER_COLOUR, OUTLIER_COLOUR = (80, 200, 60), (60, 60, 230)
"""BGR."""
TEXT_COLOUR, TEXT_GROUND = (255, 255, 255), (0, 0, 0)


def draw_query(
    image: ImageArray, localization: Localization, reference_map: ReferenceMap
) -> ImageArray:
    """Draw a query beside its best map image; without one, or without thumbnails, alone.

    Args:
        image: grey or BGR, as it was localized.
        localization: what came out, with its pairs.
        reference_map: has the thumbnails.

    Returns:
        BGR, 360 pixels high.
    """
    pair = strongest_pair(localization)
    if pair is not None:
        name = pair.image_name
    elif localization.retrieved:
        name = localization.retrieved[0]
    else:
        name = ''
    index = reference_map.image_names.index(name) if name else None
    thumbnail = None if index is None else reference_map.thumbnail(index)
    if index is None or thumbnail is None:
        picture = _resized(image)[0]
    else:
        camera = reference_map.camera(index)
        picture = draw_matches(image, thumbnail, pair, (camera.width, camera.height))
    return _labelled(picture, f'{localization.status} {localization.reason} {name}')


def strongest_pair(localization: Localization) -> PairMatches | None:
    """Give the map image with most inliers, then most matches; None where nothing was matched."""
    pairs = [pair for pair in localization.pairs if len(pair.inliers)]
    return max(pairs, key=lambda pair: (int(pair.inliers.sum()), len(pair.inliers)), default=None)


def draw_matches(
    query: ImageArray,
    map_image: ImageArray,
    pair: PairMatches | None,
    map_size: tuple[int, int],
) -> ImageArray:
    """Put two images side by side, with a line for each match: green inliers over red others.

    Args:
        query: grey or BGR, in full size.
        map_image: the same or a thumbnail.
        pair: matches in pixels of the images in full size; None draws none.
        map_size: width and height of the map image in full size.

    Returns:
        BGR, 360 pixels high.
    """
    left, left_scale = _resized(query)
    right, _ = _resized(map_image)
    picture = np.hstack([left, right])
    if pair is None:
        return picture
    right_scale = np.array([right.shape[1] / map_size[0], right.shape[0] / map_size[1]])
    starts = pair.query_points2D * left_scale
    ends = pair.map_points2D * right_scale + [left.shape[1], 0]
    for kind, colour in ((~pair.inliers, OUTLIER_COLOUR), (pair.inliers, INLIER_COLOUR)):
        _draw_lines(picture, starts[kind], ends[kind], colour)
    return picture


def _draw_lines(
    picture: ImageArray, starts: Array, ends: Array, colour: tuple[int, int, int]
) -> None:
    step = -(-len(starts) // MAX_LINES) or 1
    # OpenCV counts from the centre of the first pixel, we from its corner.
    for start, end in zip(starts[::step] - 0.5, ends[::step] - 0.5, strict=True):
        points = [tuple(int(value) for value in np.round(point)) for point in (start, end)]
        cv2.line(picture, points[0], points[1], colour, 1, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, 2, colour, -1, cv2.LINE_AA)


def _resized(image: ImageArray) -> tuple[ImageArray, Array]:
    """Scale to the common height, in colour; gives the factors of x and y too."""
    height, width = image.shape[:2]
    new_width = max(1, round(width * HEIGHT_PX / height))
    interpolation = cv2.INTER_AREA if height > HEIGHT_PX else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (new_width, HEIGHT_PX), interpolation=interpolation)
    if scaled.ndim == 2:
        scaled = cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR)
    return np.asarray(scaled, np.uint8), np.array([new_width / width, HEIGHT_PX / height])


def _labelled(picture: ImageArray, text: str) -> ImageArray:
    # The font knows ASCII alone.
    line = ' '.join(text.encode('ascii', 'replace').decode().split())
    for colour, thickness in ((TEXT_GROUND, 3), (TEXT_COLOUR, 1)):
        cv2.putText(
            picture, line, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA
        )
    return picture
