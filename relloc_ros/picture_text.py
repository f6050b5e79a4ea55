# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text on pictures, cut to the room there is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['Colour', 'caption', 'with_banner', 'wrapped']

ImageArray = NDArray[np.uint8]
Colour = tuple[int, int, int]

FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
MARGIN_PX, LINE_PX = 8, 20
NUM_REASON_LINES = 2
WHITE, DARK = (255, 255, 255), (40, 40, 40)
CUT = '...'


def with_banner(picture: ImageArray, headline: str, reason: str, colour: Colour) -> ImageArray:
    """Put a headline and a reason above a picture.

    Args:
        picture: BGR.
        headline: one line.
        reason: at most two lines, the rest is left out; '' leaves their room free, so that the
            pictures of a stream keep their size.
        colour: BGR of the ground.

    Returns:
        BGR, the picture below its banner.
    """
    room = picture.shape[1] - 2 * MARGIN_PX
    lines = [*wrapped(headline, room, 1), *wrapped(reason, room, NUM_REASON_LINES)]
    height = MARGIN_PX + LINE_PX * (1 + NUM_REASON_LINES)
    banner = np.full((height, picture.shape[1], 3), colour, np.uint8)
    for i, line in enumerate(lines):
        place = (MARGIN_PX, LINE_PX * (i + 1) - 2)
        cv2.putText(banner, line, place, FONT, SCALE, WHITE, 1, cv2.LINE_AA)
    return np.vstack([banner, picture])


def caption(picture: ImageArray, text: str) -> None:
    """Write one line into the lower right corner of a BGR picture."""
    height, width = picture.shape[:2]
    for line in wrapped(text, width - 2 * MARGIN_PX, 1):
        left = width - 2 * MARGIN_PX - _width(line)
        cv2.rectangle(picture, (left, height - LINE_PX - 4), (width, height), DARK, -1)
        place = (left + MARGIN_PX, height - MARGIN_PX)
        cv2.putText(picture, line, place, FONT, SCALE, WHITE, 1, cv2.LINE_AA)


def wrapped(text: str, room: int, most: int) -> list[str]:
    """Break a text into lines that fit.

    Args:
        text: what OpenCV's fonts do not know becomes a question mark.
        room: pixels.
        most: number of lines; the end of the last shows where something is left out.
    """
    words = text.encode('ascii', 'replace').decode().split()
    lines: list[str] = []
    while words and len(lines) < most:
        count = 1
        while count < len(words) and _width(' '.join(words[: count + 1])) <= room:
            count += 1
        last = len(lines) == most - 1 and count < len(words)
        line = ' '.join(words if last else words[:count])
        lines.append(_cut(line, room))
        words = words[count:]
    return lines


def _cut(line: str, room: int) -> str:
    if _width(line) <= room:
        return line
    while line and _width(line + CUT) > room:
        line = line[:-1]
    return line + CUT


def _width(line: str) -> int:
    return int(cv2.getTextSize(line, FONT, SCALE, 1)[0][0])
