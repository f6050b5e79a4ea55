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

from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
import signal
import sys
from typing import Annotated, Any, Optional

from rich.console import Console
from study_forecast import forecast, show_forecast
from study_page import write_page
from study_plan import REAL_SETS, Choice, Plan
from study_runs import Places, run_steps
from study_scales import SCALES
import typer

from relloc_ros.errors import DataError, RellocError
from relloc_ros.evaluation.report.theme import require_report_packages

console = Console(stderr=True)

CHOICE = 'study.json'
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
    signal.signal(signal.SIGTERM, _stop)
    try:
        require_report_packages()
        choice = choose(results, scale, data, backbone, epochs)
        plan = Plan(choice)
        places = Places(results, data, backbone)
        page = output or results / 'study_essential.md'
        named = _named(plan, only or [])
        if dry_run:
            show_forecast(list(forecast(plan, plan.with_needs(named), places)), jobs)
            return
        failed: dict[str, str] = {}
        if not page_only:
            prepare(plan, places)
            try:
                steps = plan.with_needs(named)
                failed = run_steps(plan, steps, places, jobs=jobs, again=named if again else ())
            except KeyboardInterrupt:
                write_page(plan, results, page)
                console.print('interrupted: what is finished is kept, and trainings go on')
                raise typer.Exit(128 + signal.SIGINT) from None
        write_page(plan, results, page)
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
    known = read_choice(results)
    name = scale or (known.scale if known else 'cpu')
    if name not in SCALES:
        raise DataError(f"unknown scale '{name}'; scales: {', '.join(SCALES)}")
    file = backbone.name if backbone else (known.backbone if known else '')
    if known and (name, file) != (known.scale, known.backbone):
        raise DataError(
            f'{results} holds a study of scale {known.scale} with '
            f'{known.backbone or "random weights"} to begin with: choose another folder'
        )
    real = {**(known.real if known else {}), **(real_sides(data) if data else {})}
    return Choice(name, epochs or (known.epochs if known else None), file, real)


def read_choice(results: Path) -> Choice | None:
    """Read what a study was begun with; None if there is none.

    Raises:
        DataError: it is damaged.
    """
    file = results / CHOICE
    if not file.exists():
        return None
    try:
        values: dict[str, Any] = json.loads(file.read_text('utf-8'))
        return Choice(**values)
    except (ValueError, TypeError) as error:
        raise DataError(f'{file} is damaged ({error}): choose another folder') from error


def real_sides(data: Path) -> dict[str, int]:
    """Find the real sets, and the shorter side of their images in pixels.

    Raises:
        DataError: there is none, or one is damaged.
    """
    from relloc_ros.map.sources import read_source

    found = {}
    for name in REAL_SETS:
        if (data / name).is_dir():
            camera = read_source(data / name, list_file=data / name / 'query.txt')[0].camera
            found[name] = min(camera.width, camera.height)
    if not found:
        raise DataError(f'{data} has none of the sets {", ".join(REAL_SETS)}: leave out --data')
    return found


def prepare(plan: Plan, places: Places) -> None:
    """Keep the choice, and choose the queries of real sets, spread over their lists."""
    places.results.mkdir(parents=True, exist_ok=True)
    (places.results / CHOICE).write_text(json.dumps(asdict(plan.choice), indent=2) + '\n', 'utf-8')
    if places.data is None:
        return
    folder = places.results / 'queries'
    folder.mkdir(exist_ok=True)
    for name in plan.choice.real:
        file = places.data / name / 'query.txt'
        if file.exists():
            lines = [line for line in file.read_text('utf-8').splitlines() if line.strip()]
            chosen = spread(lines, plan.scale.queries)
            (folder / f'{name}.txt').write_text('\n'.join(chosen) + '\n', 'utf-8')


def spread(lines: Sequence[str], most: int) -> list[str]:
    """Choose at most so many lines, evenly."""
    count = min(most, len(lines))
    return [lines[index * len(lines) // count] for index in range(count)]


def _named(plan: Plan, only: list[str]) -> set[str]:
    try:
        return plan.named(only)
    except KeyError as error:
        things = sorted({name.partition('/')[2].partition('/')[0] for name in plan.steps})
        raise DataError(
            f'no step begins with {error.args[0]!r}; sorts: {SORTS}; names: {", ".join(things)}'
        ) from error


def _stop(number: int, frame: Any) -> None:
    """Take being told to end as Ctrl-C: what runs gets time to keep what it has."""
    raise KeyboardInterrupt


if __name__ == '__main__':
    if sys.argv[1:] == []:
        sys.argv.append('--help')
    typer.run(main)
