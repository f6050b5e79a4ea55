# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures and verdicts in words."""

from __future__ import annotations

import math

import pytest

from relloc_ros.evaluation.comparison import Difference
from relloc_ros.evaluation.wording import (
    angle_text,
    interval_text,
    length_text,
    recall_name,
    share_text,
    short_angle,
    short_interval,
    short_length,
    short_share,
    verdict,
)


@pytest.mark.parametrize(
    ('value', 'units', 'long', 'short'),
    [
        (0.0055271, 'm', '0.553 cm', '0.6 cm'),
        (0.0109855, 'm', '1.10 cm', '1.1 cm'),
        (0.99, 'm', '99.0 cm', '99.0 cm'),
        (1.0386, 'm', '1.04 m', '1.04 m'),
        (123.456, 'm', '123 m', '123.46 m'),
        (0.00023, 'm', '0.0230 cm', '0.0230 cm'),
        (0.0046, 'units', '0.00460 units', '0.00460 units'),
        (0.0, 'm', '0 cm', '0 cm'),
        (1e-9, 'm', '1.00e-07 cm', '1.00e-07 cm'),
        (math.inf, 'm', 'infinite', 'infinite'),
    ],
)
def test_lengths(value, units, long, short):
    assert length_text(value, units) == long
    assert short_length(value, units) == short


@pytest.mark.parametrize(
    ('value', 'long', 'short'),
    [
        (0.16045, '0.160°', '0.16°'),
        (12.3456, '12.3°', '12.35°'),
        (0.0012, '0.00120°', '0.00120°'),
        (math.inf, 'infinite', 'infinite'),
    ],
)
def test_angles(value, long, short):
    assert (angle_text(value), short_angle(value)) == (long, short)


@pytest.mark.parametrize(
    ('value', 'long', 'short'),
    [
        (1.0, '100 %', '100 %'),
        (0.9996, '99.9 %', '100 %'),
        (0.9862, '98.6 %', '99 %'),
        (0.0001, '0.1 %', '0 %'),
        (0.0, '0 %', '0 %'),
    ],
)
def test_shares_are_only_complete_if_they_are(value, long, short):
    assert (share_text(value), short_share(value)) == (long, short)


def metres(value):
    return length_text(value, 'm')


def test_intervals_name_their_unit_once():
    assert interval_text(0.01, 0.02, metres) == '1.00 to 2.00 cm'
    assert interval_text(0.5, 1.5, metres) == '50.0 cm to 1.50 m'
    assert interval_text(0.01, None, metres) == '1.00 cm to infinite'
    assert interval_text(0.1, 0.2, angle_text) == '0.100 to 0.200°'
    assert interval_text(0.985, 1.0, share_text) == '98.5 to 100 %'
    assert short_interval(0.01, 0.02, metres) == '1.00–2.00'
    assert short_interval(0.1, 0.2, angle_text) == '0.100–0.200'
    assert short_interval(0.01, math.inf, metres) == '1.00 cm–infinite'


def test_recalls():
    assert recall_name('0.05m_5deg', 'm') == '5 cm, 5°'
    assert recall_name('5m_10deg', 'm') == '5 m, 10°'
    assert recall_name('0.1m_1deg', 'units') == '0.1 units, 1°'


def difference(measure, values, interval, p_value):
    first, second = values
    return Difference('a', 'b', measure, values, second - first, interval, p_value, p_value)


def test_verdicts():
    better = difference('position', (0.02, 0.01), (-0.015, -0.005), 0.004)
    assert verdict(better, 'm') == (
        'b is better by 1.00 cm (0.500 to 1.50 cm, p = 0.004), more than noise'
    )
    better = difference('0.05m_5deg', (0.9, 0.7), (-0.3, -0.1), 0.01)
    assert verdict(better, 'm') == (
        'a is better by 20.0 points (10.0 to 30.0 points, p = 0.01), more than noise'
    )
    same = difference('rotation', (0.3, 0.4), (-0.1, 0.3), 0.4)
    assert verdict(same, 'm') == (
        'no difference beyond noise (b minus a: -0.100 to 0.300°, p = 0.4)'
    )
    unlikely_alone = difference('rotation', (0.3, 0.4), (0.05, 0.3), 0.2)
    assert verdict(unlikely_alone, 'm').startswith('no difference beyond noise')
    infinite = difference('position', (0.3, math.inf), (0.1, math.inf), 0.01)
    assert verdict(infinite, 'm') == 'a is better, the other median is infinite (p = 0.01)'
    assert verdict(difference('position', (0.3, 0.1), None, 1.0), 'm') == 'too few queries to tell'
