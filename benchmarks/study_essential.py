# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The findings of Zhou et al., ICRA 2020, looked for in made scenes, and the page of them.

    python benchmarks/study_essential.py --results RESULTS --scale cpu --dry-run
    python benchmarks/study_essential.py --results RESULTS --scale cpu \
        --output docs/study_essential.md

Makes scenes and maps, trains networks, evaluates them and what needs none. Each step is a process
with a log beside its results, and is not done again unless what it depends on has changed; a
training that was stopped goes on where it was.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
import sys
from typing import Annotated, Optional

from study_choice import find_sets, keep_choice, known_scale, read_choice
from study_command import carry_out, console, forecast_only
from study_page import write_page
from study_plan import REAL_SETS, Choice, Plan
from study_runs import Places
from study_scales import SCALES
import typer

from relloc_ros.errors import DataError, RellocError
from relloc_ros.evaluation.report.theme import require_report_packages

SORTS = 'scene/, map/, train/, initial/, cell/'


def main(
    results: Annotated[
        Path, typer.Option(help='Folder of the study; what is there is not done again.')
    ],
    scale: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help='; '.join(f'{name}: {scale.what}' for name, scale in SCALES.items())
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
    backbone: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Weights that all networks begin with; by default random ones.',
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1,
            help='Most epochs of a training; can be changed later, trainings then go on.',
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar='STEP',
            help=f'What a step begins with, with what it needs: {SORTS} and a name, or the name '
            'alone. Can be given several times.',
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help='Page to write; by default RESULTS/study_essential.md.', show_default=False
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help='Steps at a time.')] = 1,
    again: Annotated[
        bool, typer.Option('--again', help='Do the steps of --only, or all, anew.')
    ] = False,
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
        choice = choose(results, scale, data, backbone, epochs)
        plan = Plan(choice)
        places = Places(results, data, backbone)
        page = output or results / 'study_essential.md'
        if dry_run:
            forecast_only(plan, places, only, jobs)
            return
        write = partial(write_page, plan, results, page)
        failed: dict[str, str] = {}
        if page_only:
            write()
        else:
            prepare(plan, places)
            failed = carry_out(plan, places, write, only=only, jobs=jobs, again=again)
    except RellocError as error:
        console.print(f'[red]{error}', highlight=False)
        raise typer.Exit(2) from None
    console.print(f'{page} is written')
    for name, reason in failed.items():
        console.print(f'not done: {name}: {reason}', style='red', highlight=False)
    raise typer.Exit(int(bool(failed)))


def choose(
    results: Path,
    scale: str | None,
    data: Path | None,
    backbone: Path | None,
    epochs: int | None,
) -> Choice:
    """Put together what is asked for now and what the study was begun with.

    Raises:
        DataError: it was begun with something else, or the choice cannot be.
    """
    known = read_choice(results, Choice)
    name = known_scale(scale or (known.scale if known else 'cpu'), SCALES)
    file = backbone.name if backbone else (known.backbone if known else '')
    if known and (name, file) != (known.scale, known.backbone):
        raise DataError(
            f'{results} holds a study of scale {known.scale} with '
            f'{known.backbone or "random weights"} to begin with: choose another folder'
        )
    real = {**(known.real if known else {}), **(real_sides(data) if data else {})}
    return Choice(name, epochs or (known.epochs if known else None), file, real)


def real_sides(data: Path) -> dict[str, int]:
    """Find the real sets, and the shorter side of their images in pixels.

    Raises:
        DataError: there is none, or one is damaged.
    """
    from relloc_ros.map.sources import read_source

    found = {}
    for name in find_sets(data, REAL_SETS):
        camera = read_source(data / name, list_file=data / name / 'query.txt')[0].camera
        found[name] = min(camera.width, camera.height)
    return found


def prepare(plan: Plan, places: Places) -> None:
    """Keep the choice, and choose the queries of real sets."""
    keep_choice(plan.choice, plan.choice.real, places, plan.scale.queries)


if __name__ == '__main__':
    if sys.argv[1:] == []:
        sys.argv.append('--help')
    typer.run(main)
