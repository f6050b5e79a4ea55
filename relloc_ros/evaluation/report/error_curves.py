# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cumulative errors: which share of the queries is within which error.

Like figure 5 of Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose
Regression", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.report.scales import (
    angle_tick,
    length_tick,
    log_limits,
    scale_log_axis,
    shorten,
)
from relloc_ros.evaluation.report.theme import SERIES, Plot, legend_above, new_figure, tidy
from relloc_ros.evaluation.wording import angle_text, length_text, share_text
from relloc_ros.geometry import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['error_curves', 'errors_of']

Write = Callable[[float], str]

DASHES = ('-', (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
CAPTIONS = {
    'position': 'Share of all queries whose error is at most this large. Queries without a pose '
    'never come in: a curve ends below 100 % where some failed. Dotted: the median.',
    'rotation': 'The same for rotation.',
}
SHARES_SAID = (0.5, 0.9)
TAIL_CUT = 0.02
"""Share of the smallest errors that may lie outside."""


def errors_of(run: Run) -> Array:
    """Position (map units) and rotation (degrees) errors (N, 2) of the queries with a truth."""
    errors = [outcome.error for outcome in run.scored]
    return np.array(errors, dtype=np.float64).reshape(-1, 2)


def error_curves(runs: Mapping[str, Run]) -> list[Plot]:
    """Draw position and rotation; nothing where no run has a query of known pose.

    Args:
        runs: by label; the first is what the report is about.
    """
    errors = {label: errors_of(run) for label, run in runs.items()}
    errors = {label: values for label, values in errors.items() if len(values)}
    if not errors:
        return []
    units = next(iter(runs.values())).units

    def length(value: float) -> str:
        return length_text(value, units)

    unit = '' if units == 'm' else f' [{shorten(units, 12)}]'
    position = {label: values[:, 0] for label, values in errors.items()}
    rotation = {label: values[:, 1] for label, values in errors.items()}
    return [
        _curves('position', position, f'position error{unit}', length_tick(units), length),
        _curves('rotation', rotation, 'rotation error', angle_tick, angle_text),
    ]


def _curves(
    quantity: str, errors: Mapping[str, Array], axis_label: str, tick: Write, write: Write
) -> Plot:
    figure, (axes,) = new_figure()
    low = min(log_limits(values, cut=TAIL_CUT)[0] for values in errors.values())
    high = max(log_limits(values)[1] for values in errors.values())
    scale_log_axis(axes, 'x', (low, high), tick)
    axes.axhline(50.0, color='#8a8175', linewidth=1.0, linestyle=(0, (1, 2)))
    for number, values in reversed(list(enumerate(errors.values()))):
        _curve(axes, values, (low, high), number)
    axes.set_ylim(0.0, 101.0)
    axes.set_yticks(range(0, 101, 25), [f'{share} %' for share in range(0, 101, 25)])
    axes.set_xlabel(axis_label)
    axes.set_ylabel('queries within it')
    tidy(axes)
    if len(errors) > 1:
        lines = axes.get_lines()[:0:-1]
        legend_above(axes, dict(zip(map(shorten, errors), lines, strict=True)))
    text = '. '.join(_said(label, values, write) for label, values in errors.items())
    return Plot(
        f'{quantity}_error_curve',
        f'{quantity.capitalize()} errors',
        f'Cumulative {quantity} error. {text}.',
        CAPTIONS[quantity],
        figure,
    )


def _curve(axes: Axes, values: Array, limits: tuple[float, float], number: int) -> None:
    found = np.sort(values[np.isfinite(values)])
    shares = 100.0 * np.arange(len(found) + 2) / len(values)
    shares[-1] = 100.0 * len(found) / len(values)
    axes.plot(
        np.concatenate([[limits[0] / 2.0], np.maximum(found, limits[0] / 2.0), [limits[1]]]),
        shares,
        drawstyle='steps-post',
        color=SERIES[number % len(SERIES)],
        linestyle=DASHES[number % len(DASHES)],
        linewidth=2.4 if number == 0 else 1.7,
        zorder=3,
    )


def _said(label: str, values: Array, write: Write) -> str:
    failed = int(np.isinf(values).sum())
    parts = []
    for share in SHARES_SAID:
        # As many queries as needed, so that nothing is averaged with infinity.
        error = float(np.sort(values)[int(np.ceil(share * len(values))) - 1])
        parts.append(f'{share_text(share)} within {write(error)}')
    lost = f', {failed} of {len(values)} without a pose' if failed else ''
    return f'{label}: {", ".join(parts)}{lost}'
