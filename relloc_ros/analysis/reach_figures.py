# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far predictions reach, and how they compare with retrieval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.analysis.model_analysis import Analysis
from relloc_ros.analysis.statements import limits_said
from relloc_ros.evaluation.report.scales import length_tick, log_limits, scale_log_axis
from relloc_ros.evaluation.report.theme import (
    INK,
    MAX_VECTOR_MARKS,
    MUTED,
    SERIES,
    Plot,
    legend_above,
    new_figure,
    tidy,
)
from relloc_ros.evaluation.wording import length_text
from relloc_ros.geometry import Array

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ['reach_plot', 'retrieval_plot']

FLOOR = 1e-5
"""Part of the largest length: smaller ones are drawn as this."""


def reach_plot(analysis: Analysis, units: str) -> Plot:
    """Draw how far predictions go along each axis, beside training images and queries."""
    limits = analysis.limits
    training, queries = analysis.training.positions, analysis.queries.positions
    centre = training.mean(axis=0)
    directions = np.linalg.svd(training - centre, full_matrices=True)[2]
    series = {
        'training positions': _along(training, centre, directions),
        'weighted means of training images': _along(
            analysis.base.predict(analysis.training.alphas), None, directions
        ),
        'coefficients like those of training images': limits.relevant.along(directions),
        'queries': _along(queries, centre, directions),
    }
    figure, (axes,) = new_figure(height=4.0)
    most = max(float(lengths.max()) for lengths in series.values()) or 1.0
    handles: dict[str, Artist] = {}
    colours = ('#8f98a3', SERIES[1], SERIES[0], INK)
    for number, (label, lengths) in enumerate(series.items()):
        places = np.arange(3) + 0.19 * (number - 1.5)
        shown = np.maximum(lengths, FLOOR * most)
        handles[label] = axes.bar(places, shown, 0.17, color=colours[number])[0]
    shortest = [float(lengths.min()) for lengths in series.values()]
    if limits.tolerance > 0.0:
        shortest.append(limits.tolerance)
        axes.axhline(limits.tolerance, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    bottom = max(min(shortest), FLOOR * most) / 2.0
    scale_log_axis(axes, 'y', (bottom, 2.0 * most), length_tick(units))
    axes.set_xticks(range(3), ['first axis', 'second axis', 'third axis'])
    axes.set_ylabel('reach' + ('' if units == 'm' else f' [{units}]'))
    tidy(axes)
    legend_above(axes, handles)
    return Plot(
        'reach',
        'How far predictions reach',
        limits_said(limits, units),
        'How far training positions, predictions and queries go from the middle, along the axes '
        'of the training positions: 95 % of them are within the length. That of coefficients '
        'holds for all images whose coefficients are no further from their mean than those of '
        'training images. The dashed line is the length that counts as none, '
        f'{length_text(limits.tolerance, units)}.',
        figure,
    )


def retrieval_plot(
    analysis: Analysis, units: str, estimates: Array | None = None, localizer: str = ''
) -> Plot:
    """Draw the error of each prediction beside that of the nearest training image's pose.

    Args:
        analysis: what came out.
        units: of the map.
        estimates: (Q, 3) positions by another localizer, NaN where it gave none.
        localizer: its name.
    """
    figures = analysis.figures
    across = figures.retrieval_position_errors
    series = {'prediction': (figures.position_errors, SERIES[1], 'o')}
    if estimates is not None:
        errors = np.linalg.norm(estimates - analysis.queries.positions, axis=1)
        series[localizer] = (errors, SERIES[0], 'x')
    figure, (axes,) = new_figure(height=4.2)
    low, high = log_limits(across)
    bottom, top = log_limits(np.concatenate([errors for errors, _, _ in series.values()]))
    top = max(top, high)
    ends = [min(low, bottom), max(high, top)]
    handles: dict[str, Artist] = {}
    (handles['retrieval'],) = axes.plot(
        ends, ends, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3))
    )
    for label, (errors, colour, marker) in series.items():
        handles[label] = axes.scatter(
            np.maximum(across, low),
            np.maximum(errors, bottom),
            s=22.0,
            c=colour,
            marker=marker,
            linewidths=1.2 if marker == 'x' else 0.0,
            rasterized=len(across) > MAX_VECTOR_MARKS,
            zorder=3,
        )
    scale_log_axis(axes, 'x', (low, high), length_tick(units))
    scale_log_axis(axes, 'y', (bottom, top), length_tick(units))
    unit = '' if units == 'm' else f' [{units}]'
    axes.set_xlabel(f'error of the nearest training image{unit}')
    axes.set_ylabel(f'position error{unit}')
    tidy(axes)
    legend_above(axes, handles)
    known = figures.position_closeness[np.isfinite(figures.position_closeness)]
    median = f'{np.median(known):.2f}' if len(known) else 'unknown'
    return Plot(
        'retrieval',
        'Beside retrieval',
        f'Position errors of {len(across)} queries; median closeness to retrieval {median}.',
        'Position error of each query against that of the pose of the training image with the '
        'nearest embedding, which is what retrieval with these embeddings would answer. On the '
        f'line is no better than retrieval. Median closeness to retrieval: {median} (0 is the '
        'truth, 1 is retrieval).',
        figure,
    )


def _along(positions: Array, centre: Array | None, directions: Array) -> Array:
    """Lengths (3,) within which 95 % of positions are from a centre, by default their own."""
    origin = positions.mean(axis=0) if centre is None else centre
    lengths: Array = np.quantile(np.abs((positions - origin) @ directions.T), 0.95, axis=0)
    return lengths
