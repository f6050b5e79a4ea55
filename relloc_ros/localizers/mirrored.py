# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image is mirrored, as cameras can be set up to do.

The mirror image of a symmetric front is a true view of it, from a place where nobody is: hundreds
of keypoints support a pose, and no test of that pose finds fault with it. But mirrored back, the
image fits the map better, since not everything is symmetric. The strongest keypoints tell that of
most images; where they do not, all are asked.
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
from relloc_ros.parallel import do_quickly
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.features import mirror_descriptors
from relloc_ros.vision.matching import match_mutual_ratio

__all__ = ['is_mirrored', 'may_be_mirrored', 'mirrored']

Descriptors = NDArray[np.float32]

IMAGES = 5
PLAIN_IMAGES = 2
KEYPOINTS = (500, 1000)
"""The strongest keypoints of query and map image tell first."""
DOUBT_SIGMAS = -4.0
SIGMAS = 1.0
"""Of the difference of two counts of matches, mirrored less plain. With whole searches in 64
numbers, and plain keypoints asked of as many images as mirrored ones: of 398 images that were not
mirrored and got poses, the strongest keypoints leave 66 in doubt, and the highest of all keypoints
was -0.9; 63 of 64 mirrored ones that got poses were 2.0 and higher."""
PLAIN_SHARE = 0.35
"""Of mirrored images at most 27 % of the keypoints had a match with one map image. Where more
have one, nothing is asked further."""


def may_be_mirrored(
    reference_map: ReferenceMap,
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    ratio: float,
) -> bool:
    """Ask the strongest keypoints whether the mirror image of the query may fit the map better.

    Args:
        reference_map: the map.
        features: of the query.
        matched: map images and matches with them, most matches first.
        ratio: of the ratio test.
    """
    if not matched or len(matched[0].matches) > PLAIN_SHARE * len(features):
        return False
    if reference_map.config.features != 'rootsift':
        return True
    plain = features.descriptors[: KEYPOINTS[0]]
    # The images with most matches of all keypoints have most of the strongest, too.
    count, mirrored_count = (
        _most_matches(reference_map, descriptors, images, ratio, KEYPOINTS[1])
        for descriptors, images in (
            (plain, matched[:PLAIN_IMAGES]),
            (mirror_descriptors(plain), matched[:IMAGES]),
        )
    )
    return _sigmas(mirrored_count, count) > DOUBT_SIGMAS


def is_mirrored(
    reference_map: ReferenceMap,
    query: QueryImage,
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    ratio: float,
) -> bool:
    """Tell by all keypoints whether the mirror image of the query fits the map better.

    Args:
        reference_map: the map.
        query: the image: learned features of its mirror image are found in its pixels.
        features: of the query.
        matched: map images with matches.
        ratio: of the ratio test.
    """
    others = _mirrored_descriptors(reference_map, query, features)
    count, mirrored_count = (
        _most_matches(reference_map, descriptors, matched, ratio)
        for descriptors in (features.descriptors, others)
    )
    return _sigmas(mirrored_count, count) > SIGMAS


def _mirrored_descriptors(
    reference_map: ReferenceMap, query: QueryImage, features: QueryFeatures
) -> Descriptors:
    if reference_map.config.features == 'rootsift':
        return mirror_descriptors(features.descriptors)
    extractor = reference_map.extractor
    mirror_image = np.ascontiguousarray(query.image[:, ::-1])
    return extractor.unit_descriptors(extractor.extract(mirror_image, len(features)).descriptors)


def _most_matches(
    reference_map: ReferenceMap,
    descriptors: Descriptors,
    images: Sequence[MatchedImage],
    ratio: float,
    num_strongest: int | None = None,
) -> int:
    """Count the matches with the map image that has most, all or its strongest keypoints."""
    ready = reference_map.ready
    compact = ready.compact(descriptors)

    def count(image: MatchedImage) -> int:
        reference = ready.of(image.index)
        assert reference.compact is not None
        search = compact, reference.compact[:num_strongest]
        strongest = reference.descriptors[:num_strongest]
        return len(match_mutual_ratio(descriptors, strongest, ratio, search))

    return max(do_quickly(count, images), default=0)


def _sigmas(mirrored_count: int, count: int) -> float:
    return (mirrored_count - count) / math.sqrt(max(mirrored_count + count, 1))


def mirrored(query: QueryImage, timer: StageTimer) -> Sighting:
    """Say that an image is mirrored."""
    return Sighting(
        query.name,
        query.stamp_ns,
        status=Status.TOO_FEW_INLIERS,
        reason='the image is mirrored: its mirror image fits the map better',
        timings_ms=timer.milliseconds,
    )
