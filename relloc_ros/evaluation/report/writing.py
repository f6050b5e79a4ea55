# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""report.html, a page that needs nothing but itself, and its figures as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
import re
from typing import Any

from relloc_ros.errors import DataError
from relloc_ros.evaluation.inspection import Inspection
from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.report.error_curves import error_curves
from relloc_ros.evaluation.report.pictures import (
    INLIER_COLOUR,
    OUTLIER_COLOUR,
    match_picture,
    match_png,
    shown_map_image,
    thumbnails,
)
from relloc_ros.evaluation.report.query_table import COLUMNS, query_table, what_happened
from relloc_ros.evaluation.report.tables import (
    changed_settings,
    comparison_rows,
    headline_tiles,
    number_sections,
)
from relloc_ros.evaluation.report.theme import (
    DARK,
    LIGHT,
    Plot,
    drawing,
    png,
    require_report_packages,
    svg,
    svg_for_page,
)
from relloc_ros.evaluation.report.time_plots import errors_over_time, latency_plot
from relloc_ros.evaluation.report.trajectory_plot import trajectory_plot
from relloc_ros.evaluation.report.verdict_plots import failure_plot, reliability_plot
from relloc_ros.evaluation.wording import recall_name
from relloc_ros.geometry import Array

__all__ = ['FIGURES', 'REPORT', 'remove_report', 'write_report']

REPORT, FIGURES = 'report.html', 'figures'
"""Names of what is written."""
ERRORS = 'errors.csv'
PAGE = Path(__file__).parent / 'page'
MAX_LEFT_OUT = 200
FIGURE_FILE = re.compile(
    r'(position_error_curve|rotation_error_curve|trajectory|errors_over_time|reliability|latency'
    r'|failures|worst_\d+)\.(png|svg)'
)

Progress = Callable[[int, int, str], None]


def write_report(
    run: Run,
    metrics: Mapping[str, Any],
    folder: Path,
    *,
    label: str | None = None,
    others: Mapping[str, Run] | None = None,
    sanity: Sequence[str] = (),
    inspections: Sequence[Inspection] = (),
    map_centres: Array | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write report.html and the folder `figures` beside it; those of an earlier report go.

    Args:
        run: what the report is about.
        metrics: its `summarize`.
        folder: is made if need be; a link to errors.csv is put in if that is there.
        label: of the run, where its own does not tell it from the others.
        others: runs on the same queries, by label, drawn beside it.
        sanity: sentences about how they compare, the conclusion first.
        inspections: queries to show with their images.
        map_centres: (N, 3) positions of the map's cameras.
        progress: called with (figures done, all figures, detail).

    Returns:
        The page.

    Raises:
        DataError: the folder cannot be written.
        MissingDependencyError: Matplotlib or Jinja2 is not installed.
    """
    require_report_packages()
    remove_report(folder)
    title = run.label if label is None else label
    runs = {title: run} | {name: each for name, each in (others or {}).items() if name != title}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plots = _write_figures(run, runs, map_centres, inspections, folder / FIGURES, progress)
        content = {
            'title': title,
            **_about(run, metrics, runs),
            'plots': plots,
            'sanity': list(sanity),
            'any_matches': any(inspection.pairs for inspection in inspections),
            'worst': [_shown(inspection, run.units) for inspection in inspections],
            'has_csv': (folder / ERRORS).is_file(),
        }
        path = folder / REPORT
        path.write_text(_render(content), encoding='utf-8')
    except OSError as error:
        raise DataError(f'cannot write a report to {folder}: {error.strerror}') from error
    return path


def remove_report(folder: Path) -> None:
    """Remove the files of an earlier report, which would be taken for those of a new run.

    Raises:
        DataError: they cannot be removed.
    """
    figures = (p for p in (folder / FIGURES).glob('*') if FIGURE_FILE.fullmatch(p.name))
    try:
        for path in (folder / REPORT, *figures):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f'cannot replace the report in {folder}: {error.strerror}') from error


def _about(run: Run, metrics: Mapping[str, Any], runs: Mapping[str, Run]) -> dict[str, Any]:
    table = query_table(run)
    return {
        'run': run,
        'map_name': Path(run.map_path).name,
        'facts': _facts(run, metrics),
        'changed': changed_settings(run),
        'tiles': headline_tiles(metrics),
        'sections': number_sections(metrics),
        'block_length': metrics['intervals']['block_length'],
        'comparison': comparison_rows(runs),
        'recall_names': [recall_name(name, run.units) for name in RECALL_THRESHOLDS],
        'table': table,
        'columns': COLUMNS,
        'any_detail': any(row.detail for row in table.rows),
        'any_failed': any(row.bad for row in table.rows),
        'settings': {key: str(value) for key, value in run.settings.items()},
        'max_left_out': MAX_LEFT_OUT,
        'light': LIGHT,
        'dark': DARK,
        'inlier_colour': INLIER_COLOUR,
        'outlier_colour': OUTLIER_COLOUR,
    }


def _facts(run: Run, metrics: Mapping[str, Any]) -> dict[str, str]:
    queries = str(metrics['queries'])
    if metrics['scored'] < metrics['queries']:
        queries += f', {metrics["scored"]} with a true pose'
    if metrics['negatives']:
        queries += f', and {metrics["negatives"]} of other places'
    facts = {
        'localizer': run.localizer,
        'queries': queries,
        'pose of': run.body,
        'map': f'{run.map_path} ({run.map_id})' if run.map_path else '',
        'unit of length': run.units,
        'version': run.version,
    }
    return {name: value for name, value in facts.items() if value}


def _shown(inspection: Inspection, units: str) -> dict[str, Any]:
    outcome = inspection.outcome
    return {
        'outcome': outcome,
        'picture': match_picture(inspection),
        'beside': shown_map_image(inspection),
        'thumbnails': thumbnails(inspection),
        'what': what_happened(outcome, units),
        'failed': bool(outcome.failure) or outcome.localized == outcome.negative,
        'why': outcome.failure_detail or outcome.reason,
    }


def _write_figures(
    run: Run,
    runs: Mapping[str, Run],
    map_centres: Array | None,
    inspections: Sequence[Inspection],
    folder: Path,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    shown = []
    with drawing():
        plots = _plots(run, runs, map_centres)
        for done, plot in enumerate(plots, start=1):
            (folder / f'{plot.name}.png').write_bytes(png(plot.figure))
            drawn = svg(plot.figure)
            (folder / f'{plot.name}.svg').write_text(drawn, encoding='utf-8')
            shown.append(
                {
                    'name': plot.name,
                    'title': plot.title,
                    'caption': plot.caption,
                    'svg': svg_for_page(plot, drawn),
                }
            )
            if progress is not None:
                progress(done, len(plots), plot.title)
    for number, inspection in enumerate(inspections, start=1):
        picture, image = match_picture(inspection), match_png(inspection)
        if picture is not None and image is not None:
            (folder / f'worst_{number}.svg').write_text(picture, encoding='utf-8')
            (folder / f'worst_{number}.png').write_bytes(image)
    return shown


def _plots(run: Run, runs: Mapping[str, Run], map_centres: Array | None) -> list[Plot]:
    def drawn() -> Iterator[Plot | None]:
        yield from error_curves(runs)
        yield trajectory_plot(run, map_centres)
        yield errors_over_time(run)
        yield reliability_plot(run)
        yield latency_plot(run)
        yield failure_plot(run)

    return [plot for plot in drawn() if plot is not None]


def _render(content: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  optional

    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template('report.html').render(content)
