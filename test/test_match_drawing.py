# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of matches: the right images, and lines between the right pixels."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.match_drawing import (
    ERROR_COLOUR,
    INLIER_COLOUR,
    NO_POSE_COLOUR,
    OUTLIER_COLOUR,
    OUTLIER_OPACITY,
    POSE_COLOUR,
    draw_matches,
    draw_query,
    strongest_pair,
)
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, Status
from relloc_ros.tracker import TrackingState, Verdict

QUERY = np.full((720, 1280), 40, np.uint8)
THUMBNAIL = np.full((240, 320, 3), 90, np.uint8)
MAP_SIZE = (1600, 1200)
BANNER = 68
LOCALIZED = Localization(
    Status.LOCALIZED, '', 1, 'essential', PoseEstimate(RigidTransform.identity(), np.eye(6))
)


def make_pair(name, inliers, query=(640.0, 360.0), reference=(800.0, 600.0)):
    inliers = np.array(inliers, dtype=bool)
    points = np.ones((len(inliers), 1))
    return PairMatches(name, points * query, points * reference, inliers)


def failure(pairs=(), retrieved=()):
    return Localization(
        Status.TOO_FEW_INLIERS, 'too féw', 1, 'essential', retrieved=retrieved, pairs=pairs
    )


@pytest.fixture
def reference_map():
    return SimpleNamespace(
        image_names=('a.jpg', 'b.jpg'),
        thumbnail=lambda index: THUMBNAIL if index == 1 else None,
        camera=lambda index: Camera('PINHOLE', *MAP_SIZE, (1000.0, 1000.0, 800.0, 600.0)),
    )


def test_lines_join_what_belongs_together():
    picture = draw_matches(QUERY, THUMBNAIL, make_pair('b.jpg', [True]), MAP_SIZE)
    # The query is 640 wide at 360 high, the map image 480.
    assert picture.shape == (360, 640 + 480, 3)
    for x in (320, 600, 640 + 240):
        np.testing.assert_allclose(picture[180, x], INLIER_COLOUR, atol=25)
    assert picture[180, 100].tolist() == [40, 40, 40]
    assert picture[180, 640 + 400].tolist() == [90, 90, 90]


def test_inliers_are_drawn_over_outliers():
    picture = draw_matches(QUERY, THUMBNAIL, make_pair('b.jpg', [True, False]), MAP_SIZE)
    np.testing.assert_allclose(picture[180, 600], INLIER_COLOUR, atol=25)
    picture = draw_matches(QUERY, THUMBNAIL, make_pair('b.jpg', [False, False]), MAP_SIZE)
    faint = (1 - OUTLIER_OPACITY) * 40 + OUTLIER_OPACITY * np.array(OUTLIER_COLOUR)
    np.testing.assert_allclose(picture[180, 600], faint, atol=25)


def test_matches_beyond_count_are_thinned_and_none_is_fine():
    many = make_pair('b.jpg', [True] * 1000)
    assert draw_matches(QUERY, THUMBNAIL, many, MAP_SIZE).shape == (360, 1120, 3)
    plain = draw_matches(QUERY, THUMBNAIL, None, MAP_SIZE)
    assert set(np.unique(plain)) == {40, 90}


def test_the_pair_with_most_inliers_is_the_strongest():
    pairs = (make_pair('a', [1, 0, 0, 0]), make_pair('b', [1, 1]), make_pair('c', []))
    assert strongest_pair(failure(pairs)).image_name == 'b'
    pairs = (make_pair('a', [0, 0]), make_pair('b', [0, 0, 0]))
    assert strongest_pair(failure(pairs)).image_name == 'b'
    assert strongest_pair(failure((make_pair('c', []),))) is None


def test_of_a_rig_the_image_with_most_inliers_counts():
    pairs = [
        replace(make_pair('a', [1, 1, 1]), view=0),
        replace(make_pair('b', [1, 1]), view=1),
        replace(make_pair('c', [1, 1, 0]), view=1),
    ]
    strongest = strongest_pair(failure(tuple(pairs)))
    assert (strongest.image_name, strongest.view) == ('c', 1)


def test_a_query_beside_its_best_map_image(reference_map):
    pairs = (make_pair('b.jpg', [True]),)
    picture = draw_query(QUERY, failure(pairs, ('a.jpg', 'b.jpg')), reference_map)
    assert picture.shape == (BANNER + 360, 1120, 3)
    np.testing.assert_allclose(picture[BANNER + 180, 600], INLIER_COLOUR, atol=25)
    # The name of the map image is in its corner.
    assert (picture[-30:, -100:] > 200).any()
    assert not (picture[-30:, :640] > 200).any()


def test_a_query_without_matches_stands_beside_what_was_retrieved(reference_map):
    shape = draw_query(QUERY, failure((), ('b.jpg',)), reference_map).shape
    assert shape == (BANNER + 360, 1120, 3)
    for alone in (
        draw_query(QUERY, failure((), ('a.jpg',)), reference_map),
        draw_query(QUERY, failure((), ('b.jpg',)), None),
        draw_query(QUERY, failure(), reference_map),
    ):
        assert alone.shape == (BANNER + 360, 640, 3)


def test_banner_says_what_came_out(reference_map):
    colours = {
        tuple(draw_query(QUERY, localization, None, verdict)[1, 1].tolist())
        for localization, verdict in (
            (LOCALIZED, Verdict(TrackingState.LOCALIZED, True)),
            (LOCALIZED, Verdict(TrackingState.SUSPECT, False, 'far from the track')),
            (Localization(Status.ERROR, 'no size', 1, 'essential'), None),
        )
    }
    assert colours == {POSE_COLOUR, NO_POSE_COLOUR, ERROR_COLOUR}
    picture = draw_query(QUERY, LOCALIZED, None, Verdict(TrackingState.LOCALIZED, True))
    headline, reason = picture[2:24], picture[24:BANNER]
    assert (headline > 200).any()
    assert not (reason > 200).any()
    suspect = Verdict(TrackingState.SUSPECT, False, 'far from the track')
    assert (draw_query(QUERY, LOCALIZED, None, suspect)[24:BANNER] > 200).any()


def test_an_image_that_cannot_be_decoded_has_a_banner_alone():
    picture = draw_query(None, Localization(Status.ERROR, 'no size', 1, 'essential'), None)
    assert picture.shape == (BANNER + 360, 640, 3)
    assert (picture[BANNER:] == 40).all()


def test_a_query_of_one_pixel(reference_map):
    one = np.zeros((1, 1, 3), np.uint8)
    assert draw_query(one, failure(), reference_map).shape == (BANNER + 360, 640, 3)
