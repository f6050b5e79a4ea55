# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of all queries of a run, drawn while they are localized: matches are not kept."""

from __future__ import annotations

from pathlib import Path

import cv2

from relloc_ros.evaluation.outcomes import Outcome
from relloc_ros.evaluation.queries import Answer, Query
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.match_drawing import draw_query

__all__ = ['DebugPictures']

JPEG_QUALITY = 85


class DebugPictures:
    """JPEG files in a folder, which may be a temporary one."""

    def __init__(self, folder: Path, reference_map: ReferenceMap) -> None:
        """Keep pictures in an existing folder."""
        self._folder = folder
        self._reference_map = reference_map
        self._files: dict[tuple[str, int], Path] = {}

    def draw(self, query: Query, answer: Answer) -> None:
        """Draw a query beside its best map image; what cannot be decoded has no picture."""
        image = query.pixels()
        if image is None:
            return
        picture = draw_query(image, answer.localization, self._reference_map)
        jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        path = self._folder / f'{len(self._files)}.jpg'
        path.write_bytes(jpeg.tobytes())
        self._files[query.name, query.stamp_ns] = path

    def jpeg(self, outcome: Outcome) -> bytes | None:
        """Give the picture of a query, or None."""
        path = self._files.get((outcome.name, outcome.stamp_ns))
        return None if path is None else path.read_bytes()
