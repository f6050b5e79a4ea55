# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text on pictures: nothing is cut off without saying so."""

import cv2
import numpy as np

from relloc_ros.picture_text import FONT, SCALE, caption, with_banner, wrapped

LONG = 'the quick brown fox jumps over the lazy dog again and again until the line is full ' * 3


def width(line):
    return cv2.getTextSize(line, FONT, SCALE, 1)[0][0]


def test_lines_fit_and_hold_all_words():
    lines = wrapped(LONG, 300, 100)
    assert ' '.join(lines).split() == LONG.split()
    assert len(lines) > 3
    assert max(map(width, lines)) <= 300


def test_what_is_left_out_is_marked():
    lines = wrapped(LONG, 300, 2)
    assert len(lines) == 2
    assert lines[0] == wrapped(LONG, 300, 100)[0]
    assert lines[1].endswith('...')
    assert max(map(width, lines)) <= 300


def test_short_texts_and_none():
    assert wrapped('two  words', 300, 2) == ['two words']
    assert wrapped('', 300, 2) == []
    assert wrapped('f\u00fcnf \u03c0', 300, 1) == ['f?nf ?']


def test_a_word_longer_than_a_line_is_cut():
    lines = wrapped('see /a/very/long/path/' + 'x' * 100 + ' there', 200, 3)
    assert lines[0] == 'see'
    assert lines[1].endswith('...')
    assert lines[2] == 'there'
    assert max(map(width, lines)) <= 200


def test_banner_keeps_its_height():
    picture = np.full((50, 400, 3), 7, np.uint8)
    heights = {with_banner(picture, 'a', reason, (1, 2, 3)).shape for reason in ('', 'b', LONG)}
    assert len(heights) == 1
    shown = with_banner(picture, 'headline', LONG, (1, 2, 3))
    assert (shown[-50:] == 7).all()
    assert shown[0, 0].tolist() == [1, 2, 3]
    # No letter touches the edge.
    assert (shown[:-50, -2:] == (1, 2, 3)).all()
    assert (shown[-52:-50] == (1, 2, 3)).all()


def test_caption_stays_in_its_corner():
    picture = np.full((100, 300, 3), 7, np.uint8)
    caption(picture, 'map image a.jpg')
    assert (picture[:70] == 7).all()
    assert (picture[:, :50] == 7).all()
    assert (picture[75:, 200:] > 180).any()
    assert (picture[:, -2:] < 180).all()
