# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments of Sattler et al., CVPR 2019, in a made street and on real sets, and their page.

    python benchmarks/study_apr.py --results RESULTS --scale cpu --dry-run
    python benchmarks/study_apr.py --results RESULTS --scale cpu --output docs/study_apr.md

Each step is a process with a log beside its results, and is not done again unless what it depends
on has changed; a training that was stopped goes on where it was.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
import sys
from typing import Annotated, Optional

from study_apr_page import write_page
from study_apr_plan import REAL_SETS, AprChoice, AprPlan
from study_apr_scales import SCALES
from study_choice import find_sets, keep_choice, known_scale, read_choice
from study_command import carry_out, console, forecast_only
from study_runs import Places
import typer

from relloc_ros.errors import DataError, RellocError
from relloc_ros.evaluation.report.theme import require_report_packages

SORTS = 'scene/, map/, points/, train/, cell/, analysis/'


def main(
    results: Annotated[
        Path, typer.Option(help='Folder of the study; what is there is not done again.')
    ],
    scale: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help='; '.join(f'{name}: {each.what}' for name, each in SCALES.items())
            + '. By default that of RESULTS, or cpu.',
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help=f'Folder with real sets to train and test on as well: {", ".join(REAL_SETS)}.',
            exists=True,
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar='STEP',
            help=f'An experiment (line, dense-1-0.25, …), or what a step begins with: {SORTS} '
            'and a name; with what it needs. Can be given several times.',
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Page to write, with figures in images/ beside it; by default '
            'RESULTS/study_apr.md.',
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help='Steps at a time.')] = 1,
    page_only: Annotated[
        bool, typer.Option('--page-only', help='Write the page again from what RESULTS has.')
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option('--dry-run', help='Say what would be done and how long it takes.'),
    ] = False,
) -> None:
    """Run the study as far as it has not been run, and write its page."""
    try:
        require_report_packages()
        plan = AprPlan(choose(results, scale, data))
        places = Places(results, data)
        page = output or results / 'study_apr.md'
        if dry_run:
            forecast_only(plan, places, only, jobs)
            return
        write = partial(write_page, plan, results, page)
        failed: dict[str, str] = {}
        if page_only:
            write()
        else:
            keep_choice(plan.choice, plan.choice.real, places, plan.scale.queries)
            failed = carry_out(plan, places, write, only=only, jobs=jobs)
    except RellocError as error:
        console.print(f'[red]{error}', highlight=False)
        raise typer.Exit(2) from None
    console.print(f'{page} is written')
    for name, reason in failed.items():
        console.print(f'not done: {name}: {reason}', style='red', highlight=False)
    raise typer.Exit(int(bool(failed)))


def choose(results: Path, scale: str | None, data: Path | None) -> AprChoice:
    """Put together what is asked for now and what the study was begun with.

    Raises:
        DataError: it was begun with another scale, or the choice cannot be.
    """
    known = read_choice(results, AprChoice)
    name = known_scale(scale or (known.scale if known else 'cpu'), SCALES)
    if known and name != known.scale:
        raise DataError(f'{results} holds a study of scale {known.scale}: choose another folder')
    found = find_sets(data, REAL_SETS) if data else []
    real = {*found, *(known.real if known else ())}
    if not real <= set(REAL_SETS):
        raise DataError(f'{results} holds a study of other sets: choose another folder')
    return AprChoice(name, tuple(each for each in REAL_SETS if each in real))


if __name__ == '__main__':
    if sys.argv[1:] == []:
        sys.argv.append('--help')
    typer.run(main)
