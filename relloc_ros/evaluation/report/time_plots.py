# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors over time, and where the time of a query goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.report.scales import (
    angle_tick,
    length_tick,
    log_limits,
    milliseconds_tick,
    scale_log_axis,
    shorten,
)
from relloc_ros.evaluation.report.theme import (
    INK,
    LOST,
    MAX_VECTOR_MARKS,
    SERIES,
    Plot,
    new_figure,
    tidy,
)
from relloc_ros.geometry import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['errors_over_time', 'latency_plot']

NUM_BINS = 40


def errors_over_time(run: Run) -> Plot | None:
    """Draw the errors of all queries in order; None without two true poses."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  optional

    scored = sorted(run.scored, key=lambda o: o.stamp_ns) if run.sequence else list(run.scored)
    if len(scored) < 2:
        return None
    places, label = _places(scored, sequence=run.sequence)
    errors = np.array([o.error for o in scored], dtype=np.float64)
    figure, axes = new_figure(2, height=4.4, sharex=True)
    unit = '' if run.units == 'm' else f'\n[{shorten(run.units, 12)}]'
    _draw(axes[0], places, errors[:, 0], length_tick(run.units))
    _draw(axes[1], places, errors[:, 1], angle_tick)
    axes[0].set_ylabel(f'position error{unit}')
    axes[1].set_ylabel('rotation error')
    axes[1].set_xlabel(label)
    if label == 'query':
        axes[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    margin = 0.015 * (places[-1] - places[0])
    axes[1].set_xlim(places[0] - margin, places[-1] + margin)
    figure.align_ylabels(axes)
    failed = int(np.isinf(errors[:, 0]).sum())
    how = 'over time' if run.sequence else 'in order of the queries'
    return Plot(
        'errors_over_time',
        f'Errors {how}',
        f'Position and rotation errors of {len(scored)} queries {how}; {failed} have no pose.',
        'A dot is a query'
        + ('; crosses at the upper edge are queries without a pose.' if failed else '.'),
        figure,
    )


def _places(scored: list[Outcome], *, sequence: bool) -> tuple[Array, str]:
    stamps = np.array([o.stamp_ns for o in scored], dtype=np.int64)
    if sequence and stamps[-1] > stamps[0]:
        return (stamps - stamps[0]) / 1e9, 'time [s]'
    return np.arange(1.0, len(scored) + 1.0), 'query'


def _draw(axes: Axes, places: Array, errors: Array, tick: Callable[[float], str]) -> None:
    lost = np.isinf(errors)
    low, high = log_limits(errors, margin=1.6)
    if lost.any():
        high *= (high / low) ** 0.12
    scale_log_axis(axes, 'y', (low, high), tick)
    many = len(errors) > MAX_VECTOR_MARKS
    axes.scatter(
        places[~lost],
        np.maximum(errors[~lost], low),
        s=9.0 if many else 14.0,
        color=SERIES[0],
        linewidths=0,
        zorder=3,
        rasterized=many,
    )
    axes.scatter(
        places[lost],
        np.full(int(lost.sum()), high / (high / low) ** 0.045),
        s=28.0,
        color=LOST,
        marker='x',
        linewidths=1.4,
        zorder=4,
        rasterized=many,
    )
    tidy(axes)


def latency_plot(run: Run) -> Plot | None:
    """Draw a histogram of the time of each stage; None where no time was taken."""
    answered = [o for o in run.outcomes if not o.negative]
    measured = [o.timings_ms for o in answered if o.timings_ms.get('total', 0.0) > 0.0]
    if not measured:
        return None
    stages = dict.fromkeys(stage for timings in measured for stage in timings if stage != 'total')
    times = {
        stage: np.array([timings[stage] for timings in measured if timings.get(stage, 0.0) > 0.0])
        for stage in ('total', *stages)
    }
    times = {stage: values for stage, values in times.items() if len(values)}
    figure, (axes,) = new_figure(height=max(2.4, 0.95 + 0.46 * len(times)))
    low, high = log_limits(np.concatenate(list(times.values())), margin=1.5, cut=0.01)
    scale_log_axis(axes, 'x', (low, high), milliseconds_tick)
    bins = np.geomspace(low, high, NUM_BINS + 1)
    rows = list(reversed(times.items()))
    for row, (stage, values) in enumerate(rows):
        _histogram(axes, row, np.maximum(values, low), bins, main=stage == 'total')
    axes.set_yticks(range(len(rows)), [shorten(stage.replace('_', ' '), 24) for stage, _ in rows])
    axes.set_ylim(-0.15, len(rows))
    axes.spines['left'].set_visible(False)
    axes.tick_params(axis='y', labelcolor=INK)
    axes.grid(axis='y', visible=False)
    axes.set_xlabel('time per query')
    tidy(axes)
    medians = ', '.join(
        f'{stage.replace("_", " ")} {milliseconds_tick(float(np.median(values)))}'
        for stage, values in times.items()
    )
    return Plot(
        'latency',
        'Where the time goes',
        f'Histograms of the time of each stage of a query. Medians: {medians}.',
        'How often a stage takes how long, each histogram as high as its row; the numbers are '
        'medians.',
        figure,
    )


def _histogram(axes: Axes, row: int, values: Array, bins: Array, *, main: bool) -> None:
    counts, _ = np.histogram(values, bins)
    heights = 0.82 * counts / max(counts.max(), 1)
    axes.stairs(
        row + heights,
        bins,
        baseline=row,
        fill=True,
        color=SERIES[0] if main else SERIES[2],
        linewidth=0,
        zorder=3,
    )
    axes.axhline(row, color=SERIES[4], linewidth=0.8, zorder=2)
    median = float(np.median(values))
    axes.text(
        1.01,
        row + 0.05,
        milliseconds_tick(float(f'{median:.2g}')),
        transform=axes.get_yaxis_transform(),
        fontsize='small',
        fontweight='bold' if main else 'normal',
        va='bottom',
    )
