# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Axes of errors and times: logarithmic, with ticks that people read."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from relloc_ros.geometry import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    'angle_tick',
    'count_of',
    'length_tick',
    'log_limits',
    'log_ticks',
    'milliseconds_tick',
    'scale_log_axis',
    'shorten',
]

Write = Callable[[float], str]

MAX_TICKS = 6
MAX_LETTERS = 36
"""Of all ticks below a panel."""
MAX_LABEL = 36


def length_tick(units: str) -> Write:
    """Give what writes lengths: `5 mm`, `2 cm`, `1 m`; of other units the bare number."""
    if units != 'm':
        return lambda value: f'{value:g}'

    def write(value: float) -> str:
        for factor, unit in ((1e-3, 'km'), (1.0, 'm'), (1e2, 'cm'), (1e3, 'mm')):
            if abs(value) * factor >= 0.9999:
                return f'{value * factor:.3g} {unit}'
        return f'{value * 1e3:g} mm'

    return write


def angle_tick(value: float) -> str:
    """Write degrees."""
    return f'{value:g}°'


def milliseconds_tick(value: float) -> str:
    """Write milliseconds: `20 ms`, `3 s`, `50 µs`."""
    if value >= 999.9:
        return f'{value / 1e3:.3g} s'
    return f'{value:.3g} ms' if value >= 0.9999 else f'{value * 1e3:.3g} µs'


def log_limits(values: Array, *, margin: float = 1.3, cut: float = 0.0) -> tuple[float, float]:
    """Limits of a logarithmic axis that shows positive, finite values (N,).

    Args:
        values: others are passed over.
        margin: factor on both sides.
        cut: share of the smallest values that may lie outside.
    """
    shown = values[np.isfinite(values) & (values > 0.0)]
    if not len(shown):
        return 0.01, 1.0
    low, high = float(np.quantile(shown, cut)), float(shown.max())
    # Rounding errors of a perfect pose would take most of the axis.
    low = max(low, 1e-6 * high) / margin
    high *= margin
    while high / low < 4.0:
        low, high = low / 1.3, high * 1.3
    return low, high


def log_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Choose at most so many round values in between, of the finest series that has no more."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def scale_log_axis(
    axes: Axes, which: Literal['x', 'y'], limits: tuple[float, float], write: Write
) -> None:
    """Make an axis logarithmic, with these limits and ticks written by `write`."""
    ticks = log_ticks(*limits)
    if which == 'x' and sum(len(write(tick)) for tick in ticks) > MAX_LETTERS:
        ticks = log_ticks(*limits, most=3)
    axis: Axis
    if which == 'x':
        axes.set_xscale('log')
        axes.set_xlim(*limits)
        axis = axes.xaxis
    else:
        axes.set_yscale('log')
        axes.set_ylim(*limits)
        axis = axes.yaxis
    axis.set_ticks(ticks, labels=[write(tick) for tick in ticks])
    axis.set_ticks([], minor=True)


def shorten(text: str, length: int = MAX_LABEL) -> str:
    """Leave out the middle of a long name: its ends tell it apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f'{text[: length - 1 - tail]}…{text[-tail:]}'


def count_of(count: int, singular: str, plural: str = '') -> str:
    """Write a count of things."""
    return f'{count} {singular if count == 1 else plural or singular + "s"}'
