# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Base translations, and positions from above: figures 1 to 4 of Sattler et al., CVPR 2019."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.analysis.model_analysis import Analysis
from relloc_ros.analysis.top_view import Views, flat_line, limits_of, without_outliers
from relloc_ros.evaluation.report.scales import shorten
from relloc_ros.evaluation.report.theme import (
    INK,
    MAX_VECTOR_MARKS,
    MUTED,
    PANEL_INCHES,
    SERIES,
    Plot,
    legend_above,
    new_figure,
    tidy,
)
from relloc_ros.geometry import Array

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap

__all__ = [
    'ESTIMATE',
    'PREDICTION',
    'TRAINING',
    'WEIGHT_STOPS',
    'base_plot',
    'coefficient_plot',
    'position_plot',
]

WEIGHT_STOPS = ('#c3ccd6', '#7fa8cf', '#e8a33d', '#d5560f', '#8c1c13')
"""Colours of weights from none to the largest: warm where a base translation counts."""
SIZES = (6.0, 46.0)
"""Of marks without and with the largest weight, square points."""
TRAINING, TRUTH, PREDICTION, ESTIMATE = '#9aa3ad', INK, SERIES[1], SERIES[0]
PANEL_WIDTH = 3.5
"""Inches that labels and colours leave for axes."""
NUM_IMAGES = 3
"""Training images, and as many queries, whose coefficients are shown."""


def base_plot(analysis: Analysis, views: Views, units: str) -> Plot:
    """Draw the base translations from above and from the side, by their mean weight."""
    weights = np.abs(analysis.training.alphas).mean(axis=0)
    moves = (analysis.base.translations != 0.0).any(axis=0)
    vectors, weights = analysis.base.translations[:, moves].T, weights[moves]
    flats = [views.flatten(vectors, side=side) for side in (False, True)]
    frames = _aligned([limits_of(without_outliers(flat)) for flat in flats])
    shapes = [float(np.ptp(frame[:, 1]) / np.ptp(frame[:, 0])) for frame in frames]
    height = PANEL_WIDTH * sum(shapes) + 2.0
    figure, panels = new_figure(2, height=height, gridspec_kw={'height_ratios': shapes})
    most = float(weights.max(initial=0.0)) or 1.0
    for axes, flat, frame, side in zip(panels, flats, frames, (False, True), strict=True):
        marks = _weighted(axes, flat, weights, most)
        _frame(axes, frame, units, side=side)
        axes.plot(0.0, 0.0, '+', color=INK, markersize=10.0, markeredgewidth=1.2)
        place = 'from the side' if side else 'from above'
        axes.set_title(place, loc='left', fontsize='medium')
    panels[0].set_xlabel('')
    _weight_bar(panels, marks)
    return Plot(
        'base_translations',
        'Base translations',
        f'{len(vectors)} base translations by their mean weight over '
        f'{len(analysis.training.names)} training images.',
        'Each point is a base translation; all predictions are sums of them. Colour and size are '
        'the mean of its coefficient (without sign) over the training images. The cross is no '
        'translation.',
        figure,
    )


def coefficient_plot(analysis: Analysis, views: Views, units: str) -> Plot:
    """Draw the base translations by their weight in single images."""
    moves = (analysis.base.translations != 0.0).any(axis=0)
    flat = views.flatten(analysis.base.translations[:, moves].T)
    limits = limits_of(without_outliers(flat))
    shape = float(np.ptp(limits[:, 1]) / np.ptp(limits[:, 0]))
    height = NUM_IMAGES * (0.5 * PANEL_INCHES[0] * shape + 0.4)
    figure, panels = new_figure(NUM_IMAGES, height=height, columns=2)
    columns = (('training', analysis.training), ('query', analysis.queries))
    for column, (kind, images) in enumerate(columns):
        chosen = np.linspace(0, len(images.names) - 1, NUM_IMAGES + 2).round().astype(int)[1:-1]
        for row, index in enumerate(chosen):
            axes = panels[2 * row + column]
            weights = np.abs(images.alphas[index, moves])
            _weighted(axes, flat, weights, float(weights.max(initial=0.0)) or 1.0)
            _frame(axes, limits, units, side=False, labels=False)
            title = shorten(images.names[index], 24)
            axes.set_title(f'{kind}: {title}', loc='left', fontsize='small')
    return Plot(
        'coefficients',
        'Coefficients of single images',
        f'Base translations by their weight in {NUM_IMAGES} training images and as many queries.',
        'The same base translations from above, by their weight in one image each: training '
        'images left, queries right.',
        figure,
    )


def position_plot(
    analysis: Analysis,
    views: Views,
    units: str,
    estimates: Array | None = None,
    localizer: str = '',
) -> Plot:
    """Draw training positions, truth, predictions and another localizer's from above.

    Args:
        analysis: what came out.
        views: from where.
        units: of the map.
        estimates: (Q, 3) positions by the other localizer, NaN where it gave none.
        localizer: its name.
    """
    training, truth, predicted = (
        views.flatten(positions - views.above.origin)
        for positions in (
            analysis.training.positions,
            analysis.queries.positions,
            analysis.predicted_positions,
        )
    )
    limits = limits_of(training, truth, predicted)
    width, height = limits[1] - limits[0]
    figure, (axes,) = new_figure(height=float(np.clip(4.6 * height / width + 1.4, 3.0, 6.0)))
    handles: dict[str, Artist] = {'training': _dots(axes, training, TRAINING, 12.0, 1)}
    _lines(axes, predicted, truth)
    handles['truth'] = _dots(axes, truth, TRUTH, 16.0, 3)
    handles['prediction'] = _dots(axes, predicted, PREDICTION, 16.0, 4)
    if estimates is not None:
        found = estimates[np.isfinite(estimates).all(axis=1)]
        flat = views.flatten(found - views.above.origin)
        handles[localizer] = _crosses(axes, flat)
    line = flat_line(analysis.limits.mixtures.flat, views, limits)
    if line is not None:
        (handles[f'training {analysis.limits.mixtures.flat.kind}'],) = axes.plot(
            *line.T, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0
        )
    _frame(axes, limits, units, side=False)
    legend_above(axes, handles)
    return Plot(
        'positions',
        'From above',
        f'Positions of {len(training)} training images and {len(truth)} queries, with what the '
        f'network predicts of them{f" and {localizer} estimates" if localizer else ""}.',
        'Positions from above, in the units of the map, in the plane in which they extend most. '
        'Lines lead from predictions to true positions.',
        figure,
    )


def _weighted(axes: Axes, flat: Array, weights: Array, most: float) -> PathCollection:
    # The heaviest come last, on top.
    order = np.argsort(weights, kind='stable')
    share = weights[order] / most
    x, y = flat[order].T
    return axes.scatter(
        x,
        y,
        c=weights[order],
        s=SIZES[0] + (SIZES[1] - SIZES[0]) * share,
        cmap=_colours(),
        vmin=0.0,
        vmax=most,
        linewidths=0,
        zorder=2,
        rasterized=len(flat) > MAX_VECTOR_MARKS,
    )


def _colours() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415  optional

    return LinearSegmentedColormap.from_list('weights', list(WEIGHT_STOPS))


def _weight_bar(panels: Sequence[Axes], marks: PathCollection) -> None:
    bar = panels[0].figure.colorbar(marks, ax=list(panels), shrink=0.6, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(length=0.0)
    bar.set_label('mean coefficient', labelpad=8.0)


def _frame(axes: Axes, limits: Array, units: str, *, side: bool, labels: bool = True) -> None:
    axes.set_xlim(*limits[:, 0])
    axes.set_ylim(*limits[:, 1])
    axes.set_aspect('equal')
    axes.locator_params(nbins=5 if labels else 4)
    axes.ticklabel_format(useOffset=False)
    unit = shorten(units, 12)
    axes.set_xlabel(f'along the first axis [{unit}]' if labels else f'[{unit}]')
    if labels:
        axes.set_ylabel(f'{"up" if side else "second axis"} [{unit}]')
    tidy(axes)


def _aligned(frames: list[Array]) -> list[Array]:
    """Give limits (2, 2) the widest x of all."""
    low = min(frame[0, 0] for frame in frames)
    high = max(frame[1, 0] for frame in frames)
    return [np.array([[low, frame[0, 1]], [high, frame[1, 1]]]) for frame in frames]


def _dots(axes: Axes, flat: Array, colour: str, size: float, order: int) -> PathCollection:
    x, y = flat.T
    many = len(flat) > MAX_VECTOR_MARKS
    return axes.scatter(x, y, s=size, c=colour, linewidths=0, zorder=order, rasterized=many)


def _crosses(axes: Axes, flat: Array) -> PathCollection:
    x, y = flat.T
    return axes.scatter(x, y, s=34.0, c=ESTIMATE, marker='x', linewidths=1.3, zorder=2)


def _lines(axes: Axes, starts: Array, stops: Array) -> None:
    from matplotlib.collections import LineCollection  # noqa: PLC0415  optional

    lines = list(np.stack([starts, stops], axis=1))
    many = len(lines) > MAX_VECTOR_MARKS
    axes.add_collection(
        LineCollection(lines, colors=PREDICTION, linewidths=0.8, alpha=0.5, rasterized=many)
    )
