# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image is mirrored, as cameras can be set up to do.

The mirror image of a symmetric front is a true view of it, from a place where nobody is: hundreds
of keypoints support a pose, and no test of that pose finds fault with it. But mirrored back, the
image fits the map better, since not everything is symmetric. The strongest keypoints tell that of
most images; where they do not, all are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.parallel import begin_quickly, do_quickly
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.features import mirror_descriptors
from relloc_ros.vision.matching import match_mutual_ratio

__all__ = ['ask_whether_mirrored', 'is_mirrored', 'mirrored']

Descriptors = NDArray[np.float32]

IMAGES = 4
STRONGEST = (500, 1000)
"""So many keypoints of query and map image tell first."""
DOUBT_SIGMAS = -4.0
SIGMAS = 1.0
"""Of the difference of two counts of matches, mirrored less plain. Of 323 images that were not
mirrored and got poses, 277 had more matches than `PLAIN_SHARE`, the strongest keypoints left 14 in
doubt, and the highest of all keypoints was -2.1; of 59 mirrored ones that got poses all were in
doubt, from -1.4 on, and 57 refused, from 7.2 on."""
PLAIN_SHARE = 0.35
"""Of mirrored images at most 27 % of the keypoints had a match with one map image. Where more
have one, nothing is asked further."""


def ask_whether_mirrored(
    reference_map: ReferenceMap,
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    ratio: float,
    *,
    are_mutual: bool,
) -> Callable[[], bool]:
    """Ask the strongest keypoints whether the mirror image of the query may fit the map better.

    Args:
        reference_map: the map.
        features: of the query.
        matched: map images and matches with them, most matches first.
        ratio: of the ratio test.
        are_mutual: whether the matches are all that `match_mutual_ratio` finds.

    Returns:
        Waits for the answer, which is looked for on other cores meanwhile.
    """
    if not matched or len(matched[0].matches) > PLAIN_SHARE * len(features):
        return lambda: False
    if reference_map.config.features != 'rootsift':
        return lambda: True
    of_query, of_map = STRONGEST
    plain, asked = features.descriptors[:of_query], matched[:IMAGES]
    mirrored_counts = begin_quickly(
        _counter(reference_map, mirror_descriptors(plain), ratio, of_map), asked
    )
    if are_mutual:
        # Nearly as many as a search among the strongest alone would find.
        both = [(image.matches < STRONGEST).all(axis=1) for image in matched]
        count = max(int(strong.sum()) for strong in both)
        return lambda: _sigmas(max(mirrored_counts()), count) > DOUBT_SIGMAS
    counts = begin_quickly(_counter(reference_map, plain, ratio, of_map), asked)
    return lambda: _sigmas(max(mirrored_counts()), max(counts())) > DOUBT_SIGMAS


def is_mirrored(
    reference_map: ReferenceMap,
    query: QueryImage,
    features: QueryFeatures,
    matched: Sequence[MatchedImage],
    ratio: float,
    *,
    are_mutual: bool,
) -> bool:
    """Tell by all keypoints whether the mirror image of the query fits the map better.

    Args:
        reference_map: the map.
        query: the image: learned features of its mirror image are found in its pixels.
        features: of the query.
        matched: map images with matches, at least one.
        ratio: of the ratio test.
        are_mutual: whether the matches are all that `match_mutual_ratio` finds.
    """
    others = _mirrored_descriptors(reference_map, query, features)
    mirrored_counts = do_quickly(_counter(reference_map, others, ratio), matched)
    if are_mutual:
        counts = [len(image.matches) for image in matched]
    else:
        counts = do_quickly(_counter(reference_map, features.descriptors, ratio), matched)
    return _sigmas(max(mirrored_counts), max(counts)) > SIGMAS


def _mirrored_descriptors(
    reference_map: ReferenceMap, query: QueryImage, features: QueryFeatures
) -> Descriptors:
    if reference_map.config.features == 'rootsift':
        return mirror_descriptors(features.descriptors)
    extractor = reference_map.extractor
    mirror_image = np.ascontiguousarray(query.image[:, ::-1])
    return extractor.unit_descriptors(extractor.extract(mirror_image, len(features)).descriptors)


def _counter(
    reference_map: ReferenceMap,
    descriptors: Descriptors,
    ratio: float,
    num_strongest: int | None = None,
) -> Callable[[MatchedImage], int]:
    """Give what counts the matches with all or the strongest keypoints of a map image."""
    ready = reference_map.ready
    compact = ready.compact(descriptors)

    def count(image: MatchedImage) -> int:
        reference = ready.of(image.index)
        assert reference.compact is not None
        search = compact, reference.compact[:num_strongest]
        strongest = reference.descriptors[:num_strongest]
        return len(match_mutual_ratio(descriptors, strongest, ratio, search))

    return count


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
