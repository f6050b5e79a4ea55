# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether covariances tell the truth, and what failures are blamed on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from relloc_ros.evaluation.failures import FAILURE_STAGES
from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.proportions import CONFIDENCE
from relloc_ros.evaluation.report.scales import count_of, shorten
from relloc_ros.evaluation.report.theme import (
    INK,
    LOST,
    SERIES,
    Plot,
    legend_above,
    new_figure,
    tidy,
)
from relloc_ros.evaluation.uncertainty import normalized_errors, reliability_curve
from relloc_ros.evaluation.wording import share_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ['failure_plot', 'reliability_plot']

MIN_ERRORS = 3
"""Fewer draw no curve."""
STYLES = {
    'pose': (SERIES[0], '-', 2.4),
    'position': (SERIES[1], (0, (5, 2)), 1.7),
    'rotation': (SERIES[2], (0, (1.5, 1.5)), 1.7),
}


def reliability_plot(run: Run) -> Plot | None:
    """Draw how many errors are inside the regions of the covariances; None of too few poses."""
    pairs = [
        (o.estimate, o.truth) for o in run.scored if o.estimate is not None and o.truth is not None
    ]
    errors = normalized_errors([pose for pose, _ in pairs], [truth for _, truth in pairs])
    count = len(errors.pose)
    if count < MIN_ERRORS:
        return None
    figure, (axes,) = new_figure(height=4.2)
    levels = np.linspace(0.0, 1.0, 101)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (100.0 * binom.ppf(share, count, levels) / count for share in (tail, 1.0 - tail))
    band = axes.fill_between(100.0 * levels, low, high, color=SERIES[4], alpha=0.25, linewidth=0)
    (diagonal,) = axes.plot([0.0, 100.0], [0.0, 100.0], color=SERIES[4], linewidth=1.0)
    shown: dict[str, Artist] = {'ideal': diagonal, 'by chance': band}
    inside = {}
    for name, (values, freedom) in errors.parts().items():
        curve = reliability_curve(values, freedom)
        if curve is None:
            continue
        colour, dashes, width = STYLES[name]
        (shown[name],) = axes.plot(
            np.concatenate([[0.0], 100.0 * curve.expected]),
            np.concatenate([[0.0], 100.0 * curve.observed]),
            color=colour,
            linestyle=dashes,
            linewidth=width,
        )
        inside[name] = float(np.interp(0.95, curve.expected, curve.observed))
    axes.set_xlim(0.0, 100.0)
    axes.set_ylim(0.0, 100.0)
    ticks = range(0, 101, 25)
    axes.set_xticks(ticks, [f'{share} %' for share in ticks])
    axes.set_yticks(ticks, [f'{share} %' for share in ticks])
    axes.set_xlabel('share of errors expected inside')
    axes.set_ylabel('share found inside')
    legend_above(axes, shown)
    tidy(axes)
    said = ', '.join(f'{share_text(share)} of {name}' for name, share in inside.items())
    return Plot(
        'reliability',
        'Does the covariance tell the truth?',
        f'Reliability diagram of {count} covariances. The 95 % regions hold {said} errors.',
        'Below the diagonal the covariance is too small, above it too large. The band is what '
        f'chance leaves of {count} independent errors; neighbouring frames widen it.',
        figure,
    )


def failure_plot(run: Run) -> Plot | None:
    """Draw which stages are blamed for failed queries; None where nothing failed."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  optional

    failed = [o for o in run.outcomes if not o.negative and (o.failure or not o.localized)]
    if not failed:
        return None
    counts = Counter((o.failure or 'not told', o.localized) for o in failed)
    stages = [*FAILURE_STAGES]
    stages += sorted({stage for stage, _ in counts} - set(stages))
    figure, (axes,) = new_figure(height=0.95 + 0.42 * len(stages))
    rows = np.arange(len(stages))[::-1]
    left = np.zeros(len(stages))
    shown = {}
    kinds = (('no pose', False, LOST), ('wrong pose', True, SERIES[1]))
    for label, localized, colour in kinds:
        widths = np.array([counts[stage, localized] for stage in stages], dtype=np.float64)
        shown[label] = axes.barh(rows, widths, 0.62, left, color=colour, zorder=3, linewidth=0)
        left += widths
    for row, total in zip(rows, left, strict=True):
        axes.annotate(
            f'{total:.0f}',
            (total, row),
            (5.0, 0.0),
            textcoords='offset points',
            va='center',
            fontsize='small',
        )
    axes.set_yticks(rows, [shorten(stage, 24) for stage in stages])
    axes.set_xlim(0.0, 1.12 * max(left.max(), 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel('queries')
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', labelcolor=INK)
    legend_above(axes, shown)
    tidy(axes)
    said = ', '.join(
        f'{stage} {total:.0f}' for stage, total in zip(stages, left, strict=True) if total
    )
    return Plot(
        'failures',
        'What failures are blamed on',
        f'{count_of(len(failed), "failed query", "failed queries")}, blamed on: {said}.',
        'The first stage of which the truth says that it should have done better.',
        figure,
    )
