# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seen from above: map, true positions and estimates, coloured by their error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.evaluation.error_colours import ErrorColours
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.report.scales import (
    count_of,
    length_tick,
    log_ticks,
    shorten,
)
from relloc_ros.evaluation.report.theme import (
    INK,
    LOST,
    MAX_VECTOR_MARKS,
    MUTED,
    SERIES,
    Plot,
    legend_above,
    new_figure,
    tidy,
)
from relloc_ros.geometry import Array, RigidTransform

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

__all__ = ['TopView', 'trajectory_plot']

MARGIN = 0.08
"""Of the longer side, around map and truth. Estimates farther off are counted, not shown."""
FEW_LOST = 60
LOST_SIZES = (42.0, 12.0)
"""Of the marks of few and of many queries without a pose."""
MAP_COLOUR = '#8f98a3'
HEIGHT_LIMITS = (2.4, 5.4)
"""Inches."""


@dataclass(frozen=True, slots=True, eq=False)
class TopView:
    """The plane in which cameras move most.

    Attributes:
        origin: (3,) middle of the cameras.
        axes: (2, 3) unit vectors along the plane's axes, right-handed when seen from above.
    """

    origin: Array
    axes: Array

    @classmethod
    def of(cls, centres: Array, up: Array) -> TopView:
        """Take the principal axes of points (N, 3), looking against `up` (3,)."""
        origin = np.median(centres, axis=0)
        _, _, axes = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=True)
        right, ahead = axes[0], axes[1]
        # Signs are arbitrary: most of the first axis points along the map's.
        right = right * (1.0 if right[np.abs(right).argmax()] > 0.0 else -1.0)
        if np.cross(right, ahead) @ up < 0.0:
            ahead = -ahead
        return cls(origin, np.array([right, ahead]))

    def flatten(self, points: Array) -> Array:
        """Positions (N, 2) of points (N, 3) in the plane."""
        flat: Array = (points.reshape(-1, 3) - self.origin) @ self.axes.T
        return flat


def trajectory_plot(run: Run, map_centres: Array | None) -> Plot | None:
    """Draw all positions; None where there are none.

    Args:
        run: what the report is about.
        map_centres: (N, 3) positions of the map's cameras; None if they are not known.
    """
    found = [o for o in run.outcomes if o.estimate is not None and not o.negative]
    lost = [o for o in run.scored if o.estimate is None]
    estimates, truths = _positions(found), _true_positions(run.scored)
    known = truths if map_centres is None else np.concatenate([map_centres, truths])
    if not len(known):
        known = estimates
    if not len(known):
        return None
    view = TopView.of(known, _up(run))
    limits = _limits(view.flatten(known))
    figure, (axes,) = new_figure(height=_height(limits))
    _draw_frame(axes, limits, run.units)
    handles: dict[str, Artist] = {}
    if map_centres is not None:
        handles['map'] = _marks(axes, view.flatten(map_centres), MAP_COLOUR, 14.0, '.', 1)
    if len(truths):
        handles['truth'] = _truth(axes, view, run)
    if lost:
        positions = view.flatten(_true_positions(lost))
        size = LOST_SIZES[len(lost) > FEW_LOST]
        handles['no pose'] = _marks(axes, positions, LOST, size, 'x', 5)
    if found:
        handles['estimate'] = _estimates(axes, view, found)
    legend_above(axes, handles)
    _colour_bar(axes, found, run.units)
    outside = int(len(estimates) - _inside(view.flatten(estimates), limits).sum())
    return Plot(
        'trajectory',
        'From above',
        _said(run, len(known), len(found), len(lost), outside),
        'The plane in which the cameras move most, in the units of the map. Lines lead from '
        f'estimates to true positions.{_outside_said(outside)}',
        figure,
    )


def _draw_frame(axes: Axes, limits: Array, units: str) -> None:
    axes.set_xlim(*limits[:, 0])
    axes.set_ylim(*limits[:, 1])
    axes.set_aspect('equal')
    axes.set_xlabel(f'along the first axis [{shorten(units, 12)}]')
    axes.set_ylabel(f'second axis [{shorten(units, 12)}]')
    axes.locator_params(nbins=6)
    axes.ticklabel_format(useOffset=False)
    tidy(axes)


def _truth(axes: Axes, view: TopView, run: Run) -> Artist:
    positions = view.flatten(_true_positions(run.scored))
    if run.sequence and len(positions) > 1:
        (line,) = axes.plot(*positions.T, color=INK, linewidth=1.2, zorder=2)
        return line
    return _marks(axes, positions, INK, 16.0, '.', 2)


def _estimates(axes: Axes, view: TopView, found: list[Outcome]) -> PathCollection:
    """Draw the estimates and what they are wrong by."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415  optional

    positions = view.flatten(_positions(found))
    x, y = positions.T
    judged = [o.error is not None for o in found]
    truths = view.flatten(_true_positions([o for o in found if o.truth is not None]))
    errors = [None if o.error is None else o.error[0] for o in found]
    colours = ErrorColours.of(errors).of_errors(errors) / 255.0 if any(judged) else SERIES[0]
    many = len(found) > MAX_VECTOR_MARKS
    if any(judged):
        lines = np.stack([positions[judged], truths], axis=1)
        axes.add_collection(
            LineCollection(
                list(lines),
                colors=colours[judged],  # type: ignore[index]
                linewidths=1.0,
                alpha=0.7,
                zorder=3,
                rasterized=many,
            )
        )
    return axes.scatter(x, y, s=16.0, c=colours, zorder=4, linewidths=0, rasterized=many)


def _marks(
    axes: Axes,
    positions: Array,
    colour: str,
    size: float,
    marker: str,
    order: int,
) -> PathCollection:
    x, y = positions.T
    return axes.scatter(
        x,
        y,
        s=size,
        c=colour,
        marker=marker,
        linewidths=1.4 if marker == 'x' else 0.9,
        zorder=order,
        rasterized=len(positions) > MAX_VECTOR_MARKS,
    )


def _colour_bar(axes: Axes, found: list[Outcome], units: str) -> None:
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415  optional
    from matplotlib.colors import LinearSegmentedColormap, LogNorm  # noqa: PLC0415  optional

    errors = [None if o.error is None else o.error[0] for o in found]
    if all(error is None for error in errors):
        return
    scale = ErrorColours.of(errors)
    stops = [tuple(channel / 255.0 for channel in stop) for stop in scale.stops]
    mapping = ScalarMappable(
        LogNorm(scale.low, scale.high), LinearSegmentedColormap.from_list('errors', stops)
    )
    beside = axes.inset_axes((1.03, 0.0, 0.035, 1.0))
    bar = axes.figure.colorbar(mapping, cax=beside, extend='both')
    ticks = log_ticks(scale.low, scale.high, most=4)
    write = length_tick(units)
    bar.ax.yaxis.set_ticks(ticks, labels=[write(tick) for tick in ticks])
    bar.ax.yaxis.set_ticks([], minor=True)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(length=0.0)
    bar.set_label('position error' + ('' if units == 'm' else f' [{shorten(units, 12)}]'))
    bar.ax.yaxis.label.set_color(MUTED)


def _limits(positions: Array) -> Array:
    """Lower and upper corner (2, 2)."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    side = float((high - low).max()) or 1.0
    # A straight path gets some width too.
    missing = np.maximum(0.4 * side - (high - low), 0.0) / 2.0
    margin = MARGIN * side + missing
    return np.array([low - margin, high + margin])


def _height(limits: Array) -> float:
    """Inches, for axes of the width that the colours leave."""
    width, height = limits[1] - limits[0]
    return float(np.clip(3.7 * height / width + 0.85, *HEIGHT_LIMITS))


def _inside(positions: Array, limits: Array) -> Array:
    inside: Array = ((positions >= limits[0]) & (positions <= limits[1])).all(axis=1)
    return inside


def _up(run: Run) -> Array:
    """Where cameras have their upper side on average; robots stand on the map's x-y plane."""
    poses = [o.truth for o in run.scored if o.truth is not None] or [
        o.estimate.map_from_body for o in run.outcomes if o.estimate is not None
    ]
    if run.body != 'camera' or not poses:
        return np.array([0.0, 0.0, 1.0])
    up: Array = -np.mean([pose.rotation[:, 1] for pose in poses], axis=0)
    return up


def _positions(outcomes: list[Outcome]) -> Array:
    poses = [o.estimate.map_from_body for o in outcomes if o.estimate is not None]
    return _centres(poses)


def _true_positions(outcomes: list[Outcome] | tuple[Outcome, ...]) -> Array:
    return _centres([o.truth for o in outcomes if o.truth is not None])


def _centres(poses: list[RigidTransform]) -> Array:
    return np.array([pose.translation for pose in poses], dtype=np.float64).reshape(-1, 3)


def _outside_said(outside: int) -> str:
    if not outside:
        return ''
    verb = 'lies' if outside == 1 else 'lie'
    return f' {count_of(outside, "estimate")} {verb} outside, too far off to be shown.'


def _said(run: Run, known: int, found: int, lost: int, outside: int) -> str:
    return (
        f'Positions seen from above: {known} of map and truth, {count_of(found, "estimate")} of '
        f'{run.localizer}, {lost} without a pose.{_outside_said(outside)}'
    )
