# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries above or beside their map images, with a line for each match."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.evaluation.inspection import Inspection, MapPicture
from relloc_ros.geometry import Array
from relloc_ros.match_drawing import draw_matches
from relloc_ros.structures import PairMatches

__all__ = ['Thumbnail', 'match_picture', 'match_png', 'shown_map_image', 'thumbnails']

ImageArray = NDArray[np.uint8]

LONGEST_SIDE = 480
JPEG_QUALITY = 80
MAX_LINES = 120
"""Of each kind; more are a solid surface."""
GAP = 6
INLIER_COLOUR, OUTLIER_COLOUR = '#37e07c', '#ff5a4f'
"""Bright, for any image; outliers are dashed too."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A map image as it is put into the page."""

    name: str
    source: str
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """An image in a picture: its place, and the scale of its own pixels there."""

    image: ImageArray
    corner: tuple[float, float]
    size: tuple[float, float]
    full_size: tuple[int, int]

    def place(self, points2D: Array) -> Array:
        """Move (N, 2) pixels of the image to the picture."""
        scale = np.array(self.size) / np.array(self.full_size)
        placed: Array = points2D * scale + np.array(self.corner)
        return placed

    def svg(self) -> str:
        """Write the element."""
        (x, y), (width, height) = self.corner, self.size
        return (
            f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'preserveAspectRatio="none" href="{_jpeg(self.image)}"/>'
        )


def match_picture(inspection: Inspection) -> str | None:
    """Make an `svg` element of the query and its strongest map image.

    Landscape images are put above each other, so that a phone shows them in full width.

    Returns:
        None where the image cannot be decoded.
    """
    if inspection.image is None:
        return None
    height, width = inspection.image.shape[:2]
    query = _Placed(inspection.image, (0.0, 0.0), _fit((width, height)), (width, height))
    _, pair, picture = _strongest(inspection)
    parts, ends = [query.svg()], np.array(query.size)
    if picture is not None:
        reference = _below_or_beside(query, picture)
        parts.append(reference.svg())
        ends = np.array(reference.corner) + np.array(reference.size)
        ends = np.maximum(ends, query.size)
        if pair is not None:
            starts, stops = query.place(pair.query_points2D), reference.place(pair.map_points2D)
            dashed = ' stroke-dasharray="5 4" stroke-opacity="0.75"'
            parts.append(_lines(starts, stops, ~pair.inliers, OUTLIER_COLOUR, dashed))
            parts.append(_lines(starts, stops, pair.inliers, INLIER_COLOUR, ''))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {ends[0]:g} {ends[1]:g}" role="img" '
        f'aria-label="{escape(_said(inspection, pair, picture), quote=True)}">'
        f'{"".join(parts)}</svg>'
    )


def match_png(inspection: Inspection) -> bytes | None:
    """Draw the same side by side; None where the image cannot be decoded."""
    if inspection.image is None:
        return None
    _, pair, picture = _strongest(inspection)
    if picture is None:
        drawn = inspection.image
    else:
        drawn = draw_matches(inspection.image, picture.image, pair, picture.size)
    return cv2.imencode('.png', drawn)[1].tobytes()


def shown_map_image(inspection: Inspection) -> str:
    """Name the map image that `match_picture` shows; '' if there is none."""
    name, pair, _ = _strongest(inspection)
    return f'{name}: {_counted(pair)}' if name else ''


def thumbnails(inspection: Inspection) -> list[Thumbnail]:
    """Give the map images that `match_picture` does not show."""
    pairs = {pair.image_name: pair for pair in inspection.pairs}
    shown = _strongest(inspection)[0]
    return [
        Thumbnail(name, _jpeg(picture.image), _counted(pairs.get(name)))
        for name, picture in (inspection.map_pictures or {}).items()
        if name != shown
    ]


def _strongest(inspection: Inspection) -> tuple[str, PairMatches | None, MapPicture | None]:
    """Map image with most inliers, or else the one retrieved first."""
    pictures = inspection.map_pictures or {}
    for pair in inspection.pairs:
        if pair.image_name in pictures:
            return pair.image_name, pair, pictures[pair.image_name]
    for name, picture in pictures.items():
        return name, None, picture
    return '', None, None


def _below_or_beside(query: _Placed, picture: MapPicture) -> _Placed:
    width, height = query.size
    full_width, full_height = picture.size
    if width >= height:
        size = (width, width * full_height / full_width)
        return _Placed(picture.image, (0.0, height + GAP), size, picture.size)
    size = (height * full_width / full_height, height)
    return _Placed(picture.image, (width + GAP, 0.0), size, picture.size)


def _fit(size: tuple[int, int]) -> tuple[float, float]:
    scale = LONGEST_SIDE / max(size)
    return round(size[0] * scale, 1), round(size[1] * scale, 1)


def _lines(starts: Array, stops: Array, kind: NDArray[np.bool_], colour: str, style: str) -> str:
    starts, stops = starts[kind], stops[kind]
    step = -(-len(starts) // MAX_LINES) or 1
    lines, dots = [], []
    for (x, y), (u, v) in zip(starts[::step], stops[::step], strict=True):
        lines.append(f'M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}')
        dots.append(f'M{x:.1f} {y:.1f}h0M{u:.1f} {v:.1f}h0')
    if not lines:
        return ''
    return (
        f'<g fill="none" stroke="{colour}">'
        f'<path d="{"".join(lines)}" stroke-width="1.1"{style}/>'
        f'<path d="{"".join(dots)}" stroke-width="4" stroke-linecap="round"/></g>'
    )


def _said(inspection: Inspection, pair: PairMatches | None, picture: MapPicture | None) -> str:
    text = f'Query {inspection.outcome.name}'
    if pair is not None:
        return f'{text} and map image {pair.image_name}: {_counted(pair)}'
    return f'{text} and the map image retrieved first' if picture is not None else text


def _counted(pair: PairMatches | None) -> str:
    if pair is None:
        return 'retrieved, not matched'
    return f'{int(pair.inliers.sum())} inliers of {len(pair.inliers)} matches'


def _jpeg(image: ImageArray) -> str:
    """Make the address of an image that is inside the page."""
    scale = LONGEST_SIDE / max(image.shape[:2])
    if scale < 1.0:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return f'data:image/jpeg;base64,{b64encode(data.tobytes()).decode()}'
