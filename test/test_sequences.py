# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting times, by hand."""

from __future__ import annotations

import pytest

from relloc_ros.evaluation.sequences import longest_gap_s, time_to_first_fix_s

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND


def stamps(*seconds):
    return [EPOCH + round(second * SECOND) for second in seconds]


@pytest.mark.parametrize(
    ('localized', 'first_fix', 'gap'),
    [
        ([1, 1, 1, 1, 1], 0.0, 0.0),
        ([0, 0, 1, 1, 1], 2.0, 2.0),
        ([1, 0, 0, 1, 1], 0.0, 5.0),
        ([1, 1, 1, 1, 0], 0.0, 1.0),
        ([0, 1, 0, 0, 0], 1.0, 5.0),
        ([1, 0, 1, 0, 1], 0.0, 4.0),
        ([0, 0, 0, 0, 0], None, 6.0),
    ],
)
def test_waiting(localized, first_fix, gap):
    # The recording itself pauses for three seconds.
    times = stamps(0, 1, 2, 5, 6)
    assert time_to_first_fix_s(times, localized) == first_fix
    assert longest_gap_s(times, localized) == gap


def test_a_pause_of_the_recording_is_no_gap():
    assert longest_gap_s(stamps(0, 1, 100), [1, 1, 1]) == 0.0


def test_the_order_does_not_matter():
    times, localized = stamps(3, 0, 2, 1), [1, 0, 0, 1]
    assert time_to_first_fix_s(times, localized) == 1.0
    assert longest_gap_s(times, localized) == 2.0


def test_nanoseconds_are_not_lost():
    times = [EPOCH, EPOCH + 1, EPOCH + 2]
    assert longest_gap_s(times, [1, 0, 1]) == pytest.approx(2e-9)


def test_one_image_and_none():
    assert (time_to_first_fix_s([5], [1]), longest_gap_s([5], [1])) == (0.0, 0.0)
    assert (time_to_first_fix_s([5], [0]), longest_gap_s([5], [0])) == (None, 0.0)
    assert (time_to_first_fix_s([], []), longest_gap_s([], [])) == (None, None)
