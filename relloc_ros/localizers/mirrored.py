# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image is mirrored, as cameras can be set up to do.

The mirror image of a symmetric front is a true view of it, from a place where nobody is: hundreds
of keypoints support a pose, and no test of that pose finds fault with it. But mirrored back, the
image fits the map better, since not everything is symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.features import mirror_descriptors
from relloc_ros.vision.matching import match_mutual_ratio

__all__ = ['is_mirrored', 'mirrored']

IMAGES = 5
KEYPOINTS = (500, 1000)
"""The strongest keypoints of query and map image tell."""
DIMENSIONS = 32
"""In which the nearest descriptors are found; they are compared in full."""
SIGMAS = 3.0
"""A smaller difference between two counts of matches is chance."""
PLAIN_SHARE = 0.35
"""Of mirrored images at most 27 % of the keypoints had a match with one map image. Where more
have one, nothing is asked further."""


def is_mirrored(
    reference_map: ReferenceMap,
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    ratio: float,
) -> bool:
    """Tell whether the mirror image of the query would find more matches than the query.

    Args:
        reference_map: the map. Of learned features nothing can be told without the pixels: False.
        features: of the query.
        matched: map images and all matches with them, most matches first.
        ratio: of the ratio test.
    """
    if reference_map.config.features != 'rootsift' or not matched:
        return False
    if len(matched[0].matches) > PLAIN_SHARE * len(features):
        return False
    plain = features.descriptors[: KEYPOINTS[0]]
    references = [
        reference_map.extractor.unit_descriptors(image.features.descriptors[: KEYPOINTS[1]])
        for image in matched[:IMAGES]
    ]

    def most_matches(query: NDArray[np.float32]) -> int:
        compact = reference_map.compact(query, DIMENSIONS)
        return max(
            len(
                match_mutual_ratio(
                    query,
                    reference,
                    ratio,
                    (compact, reference_map.compact(reference, DIMENSIONS)),
                )
            )
            for reference in references
        )

    mirrored_count, count = most_matches(mirror_descriptors(plain)), most_matches(plain)
    return mirrored_count - count > SIGMAS * math.sqrt(mirrored_count + count)


def mirrored(query: QueryImage, timer: StageTimer) -> Sighting:
    """Say that an image is mirrored."""
    return Sighting(
        query.name,
        query.stamp_ns,
        status=Status.TOO_FEW_INLIERS,
        reason='the image is mirrored: its mirror image fits the map better',
        timings_ms=timer.milliseconds,
    )
