# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training, truth and estimates from above, as figures 2 to 4 of Sattler et al., CVPR 2019."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from study_apr_figures import OursApr
from study_apr_plan import WAYS

from relloc_ros.evaluation.report import theme

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ['Picture', 'draw_ways']

Points = NDArray[np.float64]

PANELS: tuple[Mapping[str, tuple[str, str, str]], ...] = (
    {
        'posenet_learned': ('PoseNet', theme.SERIES[1], 'o'),
        'mapnet': ('MapNet', theme.SERIES[5], '^'),
    },
    {
        'retrieval': ('retrieval', theme.SERIES[0], 's'),
        'essential': ('essential', theme.SERIES[3], 'x'),
        'structure': ('structure', theme.SERIES[2], '+'),
    },
)
"""Methods of each panel: label, colour and mark."""
TRAINING_LABEL, TRUTH_LABEL = 'training', 'queries'
MARGIN_M = 1.5
INCHES_BESIDE, INCHES_ABOVE = 0.75, 1.2


@dataclass(frozen=True)
class Picture:
    """A file beside the page, and what it shows for those who do not see it."""

    file: Path
    title: str
    text: str


def draw_ways(ours: OursApr, folder: Path) -> Iterator[Picture]:
    """Write a PNG for each way of which something was run.

    Args:
        ours: figures.
        folder: of the files.
    """
    for experiment, (way, query_way) in WAYS.items():
        training = ours.training(experiment)
        panels = [_known(ours, panel, experiment) for panel in PANELS]
        if training is None or not any(panels):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f'{experiment}.png'
        file.write_bytes(_draw(training, [panel for panel in panels if panel]))
        each = (
            _described(name, *found, training) for panel in panels for name, found in panel.items()
        )
        title = f'`{experiment}`: trained along `{way}`, asked along `{query_way}`.'
        yield Picture(file, title, f'In the median: {", ".join(each)}.')


def _known(
    ours: OursApr, panel: Iterable[str], experiment: str
) -> dict[str, tuple[Points, Points]]:
    positions = {name: ours.positions(name, experiment) for name in panel}
    return {name: found for name, found in positions.items() if found is not None}


def _draw(training: Points, panels: list[Mapping[str, tuple[Points, Points]]]) -> bytes:
    true = next(iter(panels[0].values()))[1]
    low, high = _limits(training, true)
    width, depth = high - low
    scale = (theme.PANEL_INCHES[0] - INCHES_BESIDE) / width
    height = len(panels) * (depth * scale + INCHES_ABOVE)
    with theme.drawing():
        figure, all_axes = theme.new_figure(len(panels), height=height)
        for axes, panel in zip(all_axes, panels, strict=True):
            _draw_panel(axes, training, true, panel, (low, high))
        return theme.png(figure)


def _draw_panel(
    axes: Axes,
    training: Points,
    true: Points,
    panel: Mapping[str, tuple[Points, Points]],
    limits: tuple[Points, Points],
) -> None:
    entries: dict[str, Artist | tuple[Artist, ...]] = {}
    (entries[TRAINING_LABEL],) = axes.plot(
        *training[:, :2].T, '.', color=theme.MUTED, alpha=0.6, markersize=4.0, markeredgewidth=0
    )
    (entries[TRUTH_LABEL],) = axes.plot(
        *true[:, :2].T, 'o', color=theme.INK, markerfacecolor='none', markersize=7.0
    )
    low, high = limits
    for name, (estimated, _) in panel.items():
        label, colour, mark = next(each[name] for each in PANELS if name in each)
        for begin, end in zip(true[:, :2], estimated[:, :2], strict=True):
            axes.plot(*np.stack([begin, end]).T, color=colour, alpha=0.45, linewidth=0.8)
        (entries[label],) = axes.plot(
            *estimated[:, :2].T, mark, color=colour, markersize=5.0, linestyle='none'
        )
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect='equal')
    axes.set(xlabel='x in m', ylabel='y in m')
    theme.tidy(axes)
    theme.legend_above(axes, entries)


def _limits(training: Points, true: Points) -> tuple[Points, Points]:
    everything = np.concatenate([training, true])[:, :2]
    return everything.min(axis=0) - MARGIN_M, everything.max(axis=0) + MARGIN_M


def _described(name: str, estimated: Points, true: Points, training: Points) -> str:
    """Say how far off they are, and what cannot be seen."""
    low, high = _limits(training, true)
    beyond = int(((estimated[:, :2] < low) | (estimated[:, :2] > high)).any(axis=1).sum())
    off = np.linalg.norm(estimated - true, axis=1)
    without = int((~np.isfinite(off)).sum())
    off[~np.isfinite(off)] = np.inf
    median = float(np.median(off))
    how = f'{median:.2f} m off' if np.isfinite(median) else 'mostly without a pose'
    notes = [f'{without} of {len(off)} without a pose'] if without else []
    notes += [f'{beyond} of {len(off)} beyond the edges'] if beyond else []
    return f'{name} {how}' + (f' ({", ".join(notes)})' if notes else '')
