# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures and verdicts as people read them."""

from __future__ import annotations

from collections.abc import Callable
import math

from relloc_ros.evaluation.comparison import Difference
from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS

__all__ = [
    'angle_text',
    'interval_text',
    'length_text',
    'recall_name',
    'share_text',
    'short_angle',
    'short_interval',
    'short_length',
    'short_share',
    'verdict',
]

Write = Callable[[float], str]


def length_text(value: float, units: str) -> str:
    """Write a length with three digits: centimetres below a metre, where the unit is metres."""
    if not math.isfinite(value):
        return 'infinite'
    if units == 'm' and abs(value) < 1.0:
        return f'{_digits(100.0 * value)} cm'
    return f'{_digits(value)} {units}'


def angle_text(value: float) -> str:
    """Write an angle in degrees with three digits."""
    return f'{_digits(value)}°' if math.isfinite(value) else 'infinite'


def short_length(value: float, units: str) -> str:
    """Write a length as papers do: `0.6 cm`, `1.04 m`."""
    centimetres = 100.0 * value
    if units == 'm' and 0.095 <= centimetres < 100.0:
        return f'{centimetres:.1f} cm'
    if units == 'm' and 100.0 <= centimetres < math.inf:
        return f'{value:.2f} m'
    return length_text(value, units)


def short_angle(value: float) -> str:
    """Write an angle in degrees as papers do: `0.16°`."""
    return f'{value:.2f}°' if 0.0095 <= value < math.inf else angle_text(value)


def short_share(value: float) -> str:
    """Write a share as papers do: `97 %`."""
    return f'{100.0 * value:.0f} %'


def share_text(value: float) -> str:
    """Write a share as a percentage with one decimal, and never 100 % of almost all."""
    percent = 100.0 * value
    if percent == round(percent):
        return f'{percent:.0f} %'
    return f'{min(max(percent, 0.1), 99.9):.1f} %'


def interval_text(low: float | None, high: float | None, write: Write) -> str:
    """Write an interval of figures of one unit, which is written once; None is infinity."""
    first, second = (write(math.inf if value is None else value) for value in (low, high))
    number, _, unit = first.partition(' ')
    if unit and second.endswith(f' {unit}'):
        first = number
    elif first.endswith('°') and second.endswith('°'):
        first = first[:-1]
    return f'{first} to {second}'


def short_interval(low: float, high: float, write: Write) -> str:
    """Write an interval for a narrow column; a unit that both ends have is left out."""
    text = interval_text(low, high, write)
    first, _, second = text.partition(' to ')
    if ' ' not in first and '°' not in first:
        second = second.removesuffix('°').split(' ')[0]
    return f'{first}–{second}'


def recall_name(threshold: str, units: str) -> str:
    """Write the name of a recall threshold: `5 cm, 5°`."""
    position, rotation = RECALL_THRESHOLDS[threshold]
    if units == 'm' and position < 1.0:
        return f'{100.0 * position:g} cm, {rotation:g}°'
    return f'{position:g} {units}, {rotation:g}°'


def verdict(difference: Difference, units: str) -> str:
    """Say which of two runs is better, by how much (95 % interval), and whether that is noise."""
    if difference.interval is None:
        return 'too few queries to tell'
    write = _writer(difference.measure, units)
    low, high = difference.interval
    p_value = f'p = {difference.adjusted_p_value:.2g}'
    if not difference.more_than_noise:
        subtraction = f'{difference.second} minus {difference.first}'
        interval = interval_text(low, high, write)
        return f'no difference beyond noise ({subtraction}: {interval}, {p_value})'
    if math.isinf(difference.difference):
        return f'{difference.better} is better, the other median is infinite ({p_value})'
    low, high = sorted((abs(low), abs(high)))
    size = write(abs(difference.difference))
    interval = interval_text(low, high, write)
    return f'{difference.better} is better by {size} ({interval}, {p_value}), more than noise'


def _writer(measure: str, units: str) -> Write:
    if measure == 'position':
        return lambda value: length_text(value, units)
    if measure == 'rotation':
        return angle_text
    return lambda value: f'{_digits(100.0 * value)} points'


def _digits(value: float) -> str:
    """Three significant digits, without exponents for everyday figures."""
    if value == 0.0 or not math.isfinite(value):
        return f'{value:g}'
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f'{value:.{decimals}f}' if decimals <= 6 else f'{value:.2e}'
