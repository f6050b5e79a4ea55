# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worst queries: which they are, and what is seen of them."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from synthetic_reports import make_inspections, make_negatives, make_rich_run
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.camera import Camera
from relloc_ros.evaluation.inspection import (
    Inspection,
    MapPicture,
    inspect_queries,
    worst_outcomes,
)
from relloc_ros.evaluation.report.pictures import (
    INLIER_COLOUR,
    OUTLIER_COLOUR,
    match_picture,
    match_png,
    shown_map_image,
    thumbnails,
)
from relloc_ros.structures import Localization, PairMatches, Status

CAMERA = Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0))


def names(outcomes):
    return [outcome.name for outcome in outcomes]


def test_failures_come_first_some_of_each_kind():
    outcomes = [make_outcome(f'good {i}', i, shift(0.001 * i), shift(0)) for i in range(40)]
    outcomes += [make_outcome(f'lost {i}', 40 + i, None, shift(0)) for i in range(40)]
    outcomes += [
        make_outcome(f'wrong {i}', 80 + i, shift(i), shift(0), failure='geometry')
        for i in (5, 9, 7)
    ]
    run = make_run([*outcomes, *make_negatives(3, 1)])
    chosen = names(worst_outcomes(run, 3))
    assert chosen == ['elsewhere/0.png', 'wrong 9', 'lost 0']


def test_largest_errors_follow_and_neighbours_are_passed_over():
    errors = np.full(60, 0.001)
    errors[[10, 11, 12, 40]] = 0.4, 0.5, 0.3, 0.2
    run = make_run([make_outcome(str(i), i, shift(e), shift(0)) for i, e in enumerate(errors)])
    assert names(worst_outcomes(run, 2)) == ['11', '40']
    few = make_run([make_outcome(str(i), i, shift(i), shift(0)) for i in range(3)])
    assert names(worst_outcomes(few)) == ['2', '1', '0']
    assert worst_outcomes(make_run(make_negatives(4, 0))) == []


def test_lost_queries_are_taken_from_the_whole_run():
    run = make_run([make_outcome(str(i), i, None, shift(0)) for i in range(100)])
    chosen = [int(name) for name in names(worst_outcomes(run, 5))]
    assert min(np.diff(sorted(chosen))) > 15


class FakeQuery:
    def __init__(self, name, stamp_ns, localization=None):
        self.name, self.stamp_ns, self._localization = name, stamp_ns, localization

    def pixels(self):
        return np.full((480, 640), self.stamp_ns, np.uint8)

    def localize(self, relocalizer):
        assert self._localization is not None, f'{self.name} was not chosen'
        return SimpleNamespace(localization=self._localization, estimate=None)


def make_pair(name, inliers):
    points = np.zeros((len(inliers), 2))
    return PairMatches(name, points, points, np.array(inliers, dtype=bool))


def test_the_chosen_are_localized_again_with_their_map_images():
    pairs = (make_pair('b', [1, 0, 0]), make_pair('a', [1, 1]), make_pair('e', []))
    localization = Localization(
        Status.TOO_FEW_INLIERS, 'few', 7, 'essential', retrieved=('d', 'b', 'gone'), pairs=pairs
    )
    reference_map = SimpleNamespace(
        index_of={name: i for i, name in enumerate('abcde')}.get,
        thumbnail=lambda i: None if i == 1 else np.full((30, 40, 3), i, np.uint8),
        camera=lambda i: CAMERA,
    )
    outcomes = [
        make_outcome('twin', 7, None, None, negative=True),
        make_outcome('twin', 7, None, shift(0)),
        make_outcome('missing', 8, None, shift(0)),
    ]
    done = []
    found = inspect_queries(
        [FakeQuery('other', 1), FakeQuery('twin', 7, localization), FakeQuery('more', 2)],
        SimpleNamespace(reference_map=reference_map),
        outcomes,
        negatives=[FakeQuery('twin', 7, localization), FakeQuery('other', 3)],
        progress=lambda *report: done.append(report),
    )
    assert [inspection.outcome for inspection in found] == outcomes[:2]
    assert done == [(1, 3, 'twin'), (2, 3, 'twin')]
    inspection = found[0]
    assert inspection.image[0, 0] == 7
    assert [pair.image_name for pair in inspection.pairs] == ['a', 'b']
    # Of b the map keeps no picture; e was matched with nothing and not retrieved.
    assert list(inspection.map_pictures) == ['a', 'd']
    assert inspection.map_pictures['d'].size == (640, 480)
    assert inspection.map_pictures['d'].image[0, 0, 0] == 3


@pytest.fixture
def landscape():
    image = np.full((480, 640, 3), 90, np.uint8)
    picture = MapPicture(np.full((240, 320, 3), 40, np.uint8), (1280, 960))
    pair = PairMatches(
        'map.png',
        np.array([[320.0, 240.0], [0.0, 0.0]]),
        np.array([[640.0, 480.0], [1280.0, 960.0]]),
        np.array([True, False]),
    )
    outcome = make_outcome('query.png', 1, None, shift(0))
    return Inspection(outcome, image, (pair,), {'map.png': picture, 'next.png': picture})


def test_lines_of_matches_join_the_right_pixels(landscape):
    text = match_picture(landscape)
    # 480 wide and 360 high each, 6 between them, one above the other.
    assert 'viewBox="0 0 480 726"' in text
    inliers, outliers = text.index(INLIER_COLOUR), text.index(OUTLIER_COLOUR)
    assert outliers < text.index('M0.0 0.0L480.0 726.0') < inliers
    assert inliers < text.index('M240.0 180.0L240.0 546.0')
    assert 'stroke-dasharray' in text[outliers:inliers]
    assert 'stroke-dasharray' not in text[inliers:]
    assert '1 inliers of 2 matches' in text


def test_portrait_images_stand_side_by_side(landscape):
    tall = Inspection(
        landscape.outcome,
        np.zeros((640, 480), np.uint8),
        landscape.pairs,
        {'map.png': MapPicture(np.zeros((32, 24, 3), np.uint8), (480, 640))},
    )
    assert 'viewBox="0 0 726 480"' in match_picture(tall)


def test_pictures_as_files_and_what_else_was_retrieved(landscape):
    picture = cv2.imdecode(np.frombuffer(match_png(landscape), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 960, 3)
    assert shown_map_image(landscape) == 'map.png: 1 inliers of 2 matches'
    (thumbnail,) = thumbnails(landscape)
    assert (thumbnail.name, thumbnail.caption) == ('next.png', 'retrieved, not matched')
    assert thumbnail.source.startswith('data:image/jpeg;base64,')


def test_queries_without_matches_or_pixels():
    wide, _, alone, unreadable = make_inspections(make_rich_run())
    assert '&lt;1&gt;' in match_picture(wide)
    assert match_picture(alone).count('<image') == 1
    assert (match_picture(unreadable), match_png(unreadable)) == (None, None)
    assert shown_map_image(alone) == ''
    assert thumbnails(unreadable) == []
