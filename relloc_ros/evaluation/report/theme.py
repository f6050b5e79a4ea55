# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How figures look, on paper and in a page that is light or dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
import re
from threading import Lock
from typing import TYPE_CHECKING, Any

from relloc_ros.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    'DARK',
    'LIGHT',
    'LOST',
    'PANEL_INCHES',
    'SERIES',
    'Plot',
    'drawing',
    'legend_above',
    'new_figure',
    'png',
    'require_report_packages',
    'svg',
    'svg_for_page',
    'tidy',
]

INK, MUTED, GRID, GROUND = '#17202b', '#5a6572', '#dfe3e9', '#ffffff'
LIGHT = {'ink': INK, 'muted': MUTED, 'grid': GRID, 'ground': GROUND}
"""Colours of the figures on paper; in a page each is the CSS variable `--NAME`."""
DARK = {'ink': '#e9edf2', 'muted': '#9eabb8', 'grid': '#2c3540', 'ground': '#171c23'}
"""Values of those variables in a dark page."""

SERIES = ('#2c84d2', '#d5730f', '#15967a', '#b65ca8', '#8a8175', '#6f7ee0')
"""The same on paper, in light and in dark pages; told apart by the colour-blind."""
LOST = '#c8479b'
"""Of queries without a pose."""

PANEL_INCHES = (5.3, 3.7)
FONT_POINTS = 11.0
"""On a phone, a panel is shown at about nine tenths of its size."""
PNG_DOTS_PER_INCH = 160
MAX_VECTOR_MARKS = 1500
"""Marks beyond this count become pixels: a page with so many shapes is slow."""

SHORT_LABEL, LINE_LENGTH = 16, 58
"""Letters of a label that fits thrice above a panel, and of all that fit."""

LOCK = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A figure and what is said about it.

    Attributes:
        name: of its files.
        title: heading.
        text: what it shows, with figures, for those who do not see it.
        caption: how to read it.
        figure: drawn while `drawing`.
    """

    name: str
    title: str
    text: str
    caption: str
    figure: Figure


def require_report_packages() -> None:
    """Look for the packages reports are made with.

    Raises:
        MissingDependencyError: one is not installed.
    """
    try:
        import jinja2  # noqa: F401, PLC0415  optional
        import matplotlib  # noqa: F401, PLC0415  optional
    except ImportError as error:
        raise MissingDependencyError(
            f'a report needs {error.name}: pip install relloc_ros[report]'
        ) from error


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save figures in here: in our style, whatever the user's matplotlibrc says.

    Matplotlib keeps its settings for all threads: one thread draws at a time.
    """
    import matplotlib as mpl  # noqa: PLC0415  optional

    settings: dict[Any, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith('backend')
    }
    with LOCK, mpl.rc_context(settings | _style()):
        yield


def _style() -> dict[str, Any]:
    return {
        'axes.axisbelow': True,
        'axes.edgecolor': MUTED,
        'axes.facecolor': 'none',
        'axes.grid': True,
        'axes.labelcolor': INK,
        'axes.spines.right': False,
        'axes.spines.top': False,
        'figure.facecolor': GROUND,
        'font.size': FONT_POINTS,
        'axes.labelsize': FONT_POINTS,
        'grid.color': GRID,
        'grid.linewidth': 0.8,
        'legend.fontsize': 0.9 * FONT_POINTS,
        'legend.frameon': False,
        'legend.labelcolor': INK,
        'lines.linewidth': 2.0,
        'lines.solid_capstyle': 'round',
        # Text stays text: it is small, can be searched, and takes the colours of the page.
        'svg.fonttype': 'none',
        'svg.hashsalt': 'relloc',
        'text.color': INK,
        # Names may hold dollars.
        'text.parse_math': False,
        'xtick.color': MUTED,
        'xtick.labelcolor': MUTED,
        'ytick.color': MUTED,
        'ytick.labelcolor': MUTED,
        'xtick.labelsize': 0.92 * FONT_POINTS,
        'ytick.labelsize': 0.92 * FONT_POINTS,
    }


def new_figure(
    rows: int = 1, *, height: float = PANEL_INCHES[1], columns: int = 1, **grid: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure, as wide as all, with axes row by row; its height is in inches."""
    from matplotlib.figure import Figure  # noqa: PLC0415  optional

    figure = Figure(figsize=(PANEL_INCHES[0], height), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False, **grid).ravel()
    return figure, list(axes)


def tidy(axes: Axes) -> None:
    """Leave out tick marks, which the grid stands for."""
    axes.tick_params(length=0.0, which='both', pad=6.0)


def legend_above(axes: Axes, entries: Mapping[str, Artist | tuple[Artist, ...]]) -> None:
    """Name what is drawn, above the axes: nothing is hidden by it."""
    one_row = sum(len(label) + 7 for label in entries) < LINE_LENGTH
    columns = len(entries) if one_row else 3 if max(map(len, entries)) < SHORT_LABEL else 1
    legend = axes.legend(
        list(entries.values()),
        [str(number) for number in range(len(entries))],
        loc='lower left',
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1.2,
        handletextpad=0.5,
        labelspacing=0.3,
    )
    # Given later: those that begin with an underscore would be left out.
    for text, label in zip(legend.get_texts(), entries, strict=True):
        text.set_text(label)


def png(figure: Figure) -> bytes:
    """Save for documents."""
    buffer = BytesIO()
    figure.savefig(buffer, format='png', dpi=PNG_DOTS_PER_INCH)
    # All is in its place now, and finding it takes most of the time.
    figure.set_layout_engine('none')
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Save for print; the same figure gives the same text."""
    buffer = StringIO()
    nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
    figure.savefig(buffer, format='svg', metadata=nothing, dpi=PNG_DOTS_PER_INCH)
    return buffer.getvalue()


def svg_for_page(plot: Plot, file: str) -> str:
    """Make an `svg` element that takes the width and the colours of the page around it.

    Args:
        plot: what is drawn.
        file: what `svg` gave for its figure.
    """
    head, _, body = file[file.index('<svg ') :].partition('>')
    box = re.search(r'viewBox="[^"]*"', head)
    # Several figures are in one page, and matplotlib gives all the same names.
    body = re.sub(r'\bid="', f'id="{plot.name}-', body)
    body = re.sub(r'(url\(|href=")#', rf'\1#{plot.name}-', body)
    for name, colour in LIGHT.items():
        value = 'transparent' if name == 'ground' else f'var(--{name})'
        body = body.replace(f': {colour}', f': {value}')
    text = escape(plot.text, quote=True)
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {namespaces} {box[0] if box else ""} role="img" aria-label="{text}">{body}'
