# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A query beside the map image it has most in common with, with the matches drawn."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.picture_text import Colour, caption, with_banner
from relloc_ros.structures import Localization, PairMatches, Status
from relloc_ros.tracker import Verdict

__all__ = ['draw_matches', 'draw_query', 'strongest_pair']

ImageArray = NDArray[np.uint8]

HEIGHT_PX = 360
MIN_WIDTH_PX = 640
"""Of pictures with a banner, so that there is room for its text."""
MAX_LINES = 100
"""Of each kind; more are a solid surface."""
INLIER_COLOUR, OUTLIER_COLOUR = (80, 200, 60), (60, 60, 230)
"""BGR."""
OUTLIER_OPACITY = 0.35
POSE_COLOUR, NO_POSE_COLOUR, ERROR_COLOUR = (60, 120, 30), (20, 110, 190), (40, 30, 170)
"""BGR, of the banner."""
GROUND = 40


def draw_query(
    image: ImageArray | None,
    localization: Localization,
    reference_map: ReferenceMap | None,
    verdict: Verdict | None = None,
) -> ImageArray:
    """Draw a query beside its best map image, under a banner that says what came out.

    Args:
        image: grey or BGR, as it was localized; of a rig the one that `strongest_pair` names; None
            where it cannot be decoded.
        localization: what came out, with its pairs.
        reference_map: has the thumbnails; without it, or them, the query stands alone.
        verdict: what the tracker makes of the pose; None where there is no tracker.

    Returns:
        BGR, 360 pixels high and the banner.
    """
    if image is None:
        image = np.full((HEIGHT_PX, MIN_WIDTH_PX), GROUND, np.uint8)
    pair = strongest_pair(localization)
    name = _best_name(localization, pair)
    picture, text = _resized(image)[0], f'map image {name}, without a thumbnail'
    if name and reference_map is not None:
        index = reference_map.image_names.index(name)
        thumbnail = reference_map.thumbnail(index)
        if thumbnail is not None:
            camera = reference_map.camera(index)
            picture = draw_matches(image, thumbnail, pair, (camera.width, camera.height))
            text = f'map image {name}'
    if name:
        caption(picture, text)
    accepted = localization.localized if verdict is None else verdict.accepted
    reason = localization.reason or ('' if verdict is None else verdict.reason)
    headline = _headline(localization, verdict)
    return with_banner(_widened(picture), headline, reason, _colour(localization.status, accepted))


def strongest_pair(localization: Localization) -> PairMatches | None:
    """Give what the image that says most has most in common with.

    Returns:
        The map image with most inliers, then most matches; of a rig, with that of its images
        which has most inliers in all: its `view` tells which. None where nothing was matched.
    """
    pairs = [pair for pair in localization.pairs if len(pair.inliers)]
    inliers: Counter[int] = Counter()
    for pair in pairs:
        inliers[pair.view] += int(pair.inliers.sum())

    def strength(pair: PairMatches) -> tuple[int, int, int]:
        return inliers[pair.view], int(pair.inliers.sum()), len(pair.inliers)

    return max(pairs, key=strength, default=None)


def draw_matches(
    query: ImageArray,
    map_image: ImageArray,
    pair: PairMatches | None,
    map_size: tuple[int, int],
) -> ImageArray:
    """Put two images side by side, with a line for each match: green inliers, faint red others.

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
    others = ~pair.inliers
    faint = picture.copy()
    _draw_lines(faint, starts[others], ends[others], OUTLIER_COLOUR)
    cv2.addWeighted(faint, OUTLIER_OPACITY, picture, 1.0 - OUTLIER_OPACITY, 0.0, dst=picture)
    _draw_lines(picture, starts[pair.inliers], ends[pair.inliers], INLIER_COLOUR)
    _draw_ends(picture, starts[pair.inliers], ends[pair.inliers], INLIER_COLOUR)
    return picture


def _best_name(localization: Localization, pair: PairMatches | None) -> str:
    if pair is not None:
        return pair.image_name
    return localization.retrieved[0] if localization.retrieved else ''


def _headline(localization: Localization, verdict: Verdict | None) -> str:
    status = str(localization.status)
    parts = [status]
    if verdict is not None:
        outcome = '' if verdict.accepted or not localization.localized else ', not accepted'
        state, event = verdict.state.value, verdict.event.value if verdict.event else ''
        news = f' ({event})' if event not in ('', state) else ''
        parts = [f'robot {state}{news}', f'image {status}{outcome}']
    if localization.num_matches:
        parts.append(f'{localization.num_inliers} inliers of {localization.num_matches} matches')
    if 'total' in localization.timings_ms:
        parts.append(f'{localization.timings_ms["total"]:.0f} ms')
    return '  |  '.join(parts)


def _colour(status: Status, accepted: bool) -> Colour:
    if status is Status.ERROR:
        return ERROR_COLOUR
    return POSE_COLOUR if accepted else NO_POSE_COLOUR


def _pixels(starts: Array, ends: Array) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pixels of the ends of at most MAX_LINES lines."""
    step = -(-len(starts) // MAX_LINES) or 1
    # OpenCV counts from the centre of the first pixel, we from its corner.
    pixels = np.round(np.hstack([starts[::step], ends[::step]]) - 0.5).astype(int).tolist()
    return [((x, y), (u, v)) for x, y, u, v in pixels]


def _draw_lines(picture: ImageArray, starts: Array, ends: Array, colour: Colour) -> None:
    for start, end in _pixels(starts, ends):
        cv2.line(picture, start, end, colour, 1, cv2.LINE_AA)


def _draw_ends(picture: ImageArray, starts: Array, ends: Array, colour: Colour) -> None:
    for start, end in _pixels(starts, ends):
        cv2.circle(picture, start, 2, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, end, 2, colour, -1, cv2.LINE_AA)


def _resized(image: ImageArray) -> tuple[ImageArray, Array]:
    """Scale to the common height, in colour; gives the factors of x and y too."""
    height, width = image.shape[:2]
    new_width = max(1, round(width * HEIGHT_PX / height))
    interpolation = cv2.INTER_AREA if height > HEIGHT_PX else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (new_width, HEIGHT_PX), interpolation=interpolation)
    if scaled.ndim == 2:
        scaled = cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR)
    return np.asarray(scaled, np.uint8), np.array([new_width / width, HEIGHT_PX / height])


def _widened(picture: ImageArray) -> ImageArray:
    missing = max(0, MIN_WIDTH_PX - picture.shape[1])
    return np.pad(picture, ((0, 0), (0, missing), (0, 0)), constant_values=GROUND)
