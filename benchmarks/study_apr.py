# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Experiments of Sattler et al., CVPR 2019, section 4, in a made street, and the page of them.

    python benchmarks/study_apr.py --results RESULTS --scale cpu --output docs/study_apr.md

Each step is a process with a log beside its results, and is not done again unless what it depends
on has changed; a training that was stopped goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
import signal
from typing import Annotated, Any, Optional

from rich.console import Console
from study_apr_page import make_page
from study_apr_plan import SCALES, AprPlan
from study_runs import Places, run_steps
import typer

from relloc_ros.errors import DataError, RellocError

console = Console(stderr=True)


def main(
    results: Annotated[
        Path, typer.Option(help='Folder of the study; what is there is not done again.')
    ],
    scale: Annotated[
        str, typer.Option(help='; '.join(f'{name}: {each.what}' for name, each in SCALES.items()))
    ] = 'cpu',
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar='STEP',
            help='What a step begins with, with what it needs: scene/, map/, train/, cell/, '
            'analysis/ and a name. Can be given several times.',
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Page to write; by default RESULTS/study_apr.md.', show_default=False),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help='Steps at a time.')] = 1,
    page_only: Annotated[
        bool, typer.Option('--page-only', help='Write the page again from what RESULTS has.')
    ] = False,
) -> None:
    """Run the study as far as it has not been run, and write its page."""
    signal.signal(signal.SIGTERM, _stop)
    page = output or results / 'study_apr.md'
    try:
        plan = _plan(scale)
        failed: dict[str, str] = {}
        if not page_only:
            steps = plan.with_needs(_named(plan, only or []))
            try:
                failed = run_steps(plan, steps, Places(results), jobs=jobs)
            except KeyboardInterrupt:
                console.print('interrupted: what is finished is kept, and trainings go on')
                raise typer.Exit(128 + signal.SIGINT) from None
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(make_page(plan, results), 'utf-8')
    except RellocError as error:
        console.print(f'[red]{error}', highlight=False)
        raise typer.Exit(2) from None
    console.print(f'{page} is written')
    for name, reason in failed.items():
        console.print(f'not done: {name}: {reason}', style='red', highlight=False)
    raise typer.Exit(int(bool(failed)))


def _plan(scale: str) -> AprPlan:
    if scale not in SCALES:
        raise DataError(f"unknown scale '{scale}'; scales: {', '.join(SCALES)}")
    return AprPlan(scale)


def _named(plan: AprPlan, only: list[str]) -> set[str]:
    try:
        return plan.named(only)
    except KeyError as error:
        raise DataError(f'no step begins with {error.args[0]!r}') from error


def _stop(number: int, frame: Any) -> None:
    """Take being told to end as Ctrl-C: what runs gets time to keep what it has."""
    raise KeyboardInterrupt


if __name__ == '__main__':
    typer.run(main)
