# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands of all studies do once it is clear what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import signal
from typing import Any

from rich.console import Console
from study_forecast import forecast, show_forecast
from study_runs import Places, run_steps
from study_steps import Steps
import typer

from relloc_ros.errors import DataError

__all__ = ['carry_out', 'console', 'forecast_only']

console = Console(stderr=True)


def forecast_only(plan: Steps, places: Places, only: Sequence[str] | None, jobs: int) -> None:
    """Say what is left, and how long it takes.

    Raises:
        DataError: no step is named so.
    """
    steps = plan.with_needs(_named(plan, only or ()))
    show_forecast(list(forecast(plan, steps, places)), jobs)


def carry_out(
    plan: Steps,
    places: Places,
    write: Callable[[], None],
    *,
    only: Sequence[str] | None,
    jobs: int,
    again: bool = False,
) -> dict[str, str]:
    """Run steps and write the page, also where it is interrupted.

    Args:
        plan: of the study.
        places: of files.
        write: writes the page.
        only: beginnings of the names of steps; all without.
        jobs: steps at a time.
        again: whether to begin these anew.

    Returns:
        Of the steps that were not done, why.

    Raises:
        DataError: no step is named so.
        Exit: interrupted.
    """
    signal.signal(signal.SIGTERM, _stop)
    named = _named(plan, only or ())
    try:
        steps = plan.with_needs(named)
        failed = run_steps(plan, steps, places, jobs=jobs, again=named if again else ())
    except KeyboardInterrupt:
        write()
        console.print('interrupted: what is finished is kept, and trainings go on')
        raise typer.Exit(128 + signal.SIGINT) from None
    write()
    return failed


def _named(plan: Steps, only: Sequence[str]) -> set[str]:
    try:
        return plan.named(only)
    except KeyError as error:
        sorts = [f'{sort}/' for sort in dict.fromkeys(step.sort for step in plan.steps.values())]
        things = sorted({name.partition('/')[2].partition('/')[0] for name in plan.steps})
        raise DataError(
            f'no step begins with {error.args[0]!r}; sorts: {", ".join(sorts)}; '
            f'names: {", ".join(things)}'
        ) from error


def _stop(number: int, frame: Any) -> None:
    """Take being told to end as Ctrl-C: what runs gets time to keep what it has."""
    raise KeyboardInterrupt
