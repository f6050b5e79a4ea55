# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc report: a page about a run, others beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.compare_command import run_labels
from relloc_ros.cli.console import print_note, print_warning, progress_bar
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import Overwrite
from relloc_ros.errors import DataError, MapError, MissingDependencyError

if TYPE_CHECKING:
    from relloc_ros.evaluation.outcomes import Run
    from relloc_ros.evaluation.queries import Query
    from relloc_ros.geometry import Array
    from relloc_ros.pipeline import Relocalizer

__all__ = ['NoReport', 'report', 'report_evaluation', 'wants_report']

BASELINES_FOLDER = 'baselines'

NoReport = Annotated[bool, typer.Option('--no-report', help='Write no report.html.')]


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar='RUN...',
            help='Output folders of `relloc evaluate` or `relloc score`; the report is about the '
            'first.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option('--output', metavar='DIR', help='Folder to write to.', show_default=False),
    ],
    map_folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--map',
            metavar='MAP',
            help='Folder of the map, if it has been moved since.',
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw runs on the same queries into one report, from their files.

    Writes `report.html`, which needs nothing but itself, and its figures. The baselines that
    `relloc evaluate` kept are drawn too. Unlike the report that it writes, this one shows no
    images.
    """
    from relloc_ros.evaluation.outcomes import read_run
    from relloc_ros.evaluation.report import REPORT, require_report_packages, write_report
    from relloc_ros.evaluation.sanity import sanity_check
    from relloc_ros.evaluation.summary import summarize

    terminate_quietly()
    require_report_packages()
    if (output / REPORT).exists() and not overwrite:
        raise DataError(f'{output} already holds {REPORT}: replace it with --overwrite')
    read = {label: read_run(folder) for label, folder in zip(run_labels(runs), runs, strict=True)}
    label, run = next(iter(read.items()))
    baselines = _kept_baselines(runs[0])
    others = {each.label: each for each in baselines} | read
    with progress_bar('drawing') as progress:
        path = write_report(
            run,
            summarize(run),
            output,
            label=label if len(read) > 1 else None,
            others={name: each for name, each in others.items() if each is not run},
            sanity=sanity_check(run, baselines),
            map_centres=_map_centres(run, map_folder),
            progress=progress,
        )
    print_note(f'written to {path}')


def wants_report(*, no_report: bool) -> bool:
    """Tell whether a report is wanted and possible; say what is missing, before the work."""
    from relloc_ros.evaluation.report import require_report_packages

    if no_report:
        return False
    try:
        require_report_packages()
    except MissingDependencyError as error:
        print_warning(f'no report.html will be written: {error}; --no-report silences this')
        return False
    return True


def report_evaluation(
    run: Run,
    metrics: Mapping[str, Any],
    output: Path,
    queries: Iterable[Query],
    relocalizer: Relocalizer,
    baselines: Sequence[Run],
    *,
    negatives: Iterable[Query] = (),
) -> None:
    """Write the report of an evaluation that has just been made, with images."""
    from relloc_ros.evaluation.inspection import inspect_queries, worst_outcomes
    from relloc_ros.evaluation.report import write_report

    with progress_bar('looking at the worst') as progress:
        inspections = inspect_queries(
            queries, relocalizer, worst_outcomes(run), negatives=negatives, progress=progress
        )
    with progress_bar('drawing') as progress:
        write_report(
            run,
            metrics,
            output,
            others={each.label: each for each in baselines},
            sanity=metrics['sanity'],
            inspections=inspections,
            map_centres=relocalizer.reference_map.centres,
            progress=progress,
        )


def _kept_baselines(folder: Path) -> list[Run]:
    """Read the runs that an evaluation keeps beside its own."""
    from relloc_ros.evaluation.outcomes import RUN_FILES, read_run

    kept = sorted((folder / BASELINES_FOLDER).glob(f'*/{RUN_FILES[0]}'))
    return [read_run(path.parent) for path in kept]


def _map_centres(run: Run, folder: Path | None) -> Array | None:
    """Positions of the map's cameras; a map that is gone is said, and left out."""
    from relloc_ros.map.reference_map import ReferenceMap

    if folder is None and not run.map_path:
        return None
    try:
        with ReferenceMap.open(folder or run.map_path) as reference_map:
            return reference_map.centres
    except MapError as error:
        if folder is not None:
            raise
        print_warning(f'drawn without the map: {error}; --map names where it is now')
        return None
