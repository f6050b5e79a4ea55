# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is left of a study, and how long it would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re
from statistics import mean
import subprocess

from record import read_record
from rich.console import Console
from rich.table import Table
from study_runs import Places, argv_of
from study_steps import Step, Steps, valid_record
from study_trainings import steps_done

__all__ = ['Forecast', 'forecast', 'read_dry_run', 'show_forecast']

SECONDS = {'s': 1.0, 'min': 60.0, 'h': 3600.0, 'days': 86400.0}


@dataclass(frozen=True)
class Forecast:
    """Steps of one sort, or a training.

    Attributes:
        name: of the sort or the training.
        count: of steps, those done among them.
        done: of them.
        how: the time was found.
        seconds: that are left; None where nobody knows.
    """

    name: str
    count: int
    done: int
    how: str
    seconds: float | None


def forecast(plan: Steps, steps: Sequence[Step], places: Places) -> Iterator[Forecast]:
    """Look at what has been done, and time steps of the trainings whose maps are there."""
    for sort in dict.fromkeys(step.sort for step in steps):
        mine = [step for step in steps if step.sort == sort]
        left = [step for step in mine if valid_record(plan, places.results, step.name) is None]
        if sort == 'train':
            yield from (_of_training(plan, step, places, step in left) for step in mine)
        else:
            yield _of_sort(sort, mine, left, plan, places)


def _of_sort(
    sort: str, steps: Sequence[Step], left: Sequence[Step], plan: Steps, places: Places
) -> Forecast:
    records = (read_record(places.results, name) for name in plan.steps)
    taken = [
        record.seconds
        for record in records
        if record is not None and record.is_measured and record.name.startswith(f'{sort}/')
    ]
    done = len(steps) - len(left)
    if not left:
        return Forecast(sort, len(steps), done, '', 0.0)
    if not taken:
        return Forecast(sort, len(steps), done, 'none has been done', None)
    how = f'{mean(taken):.0f} s each, as those before'
    return Forecast(sort, len(steps), done, how, mean(taken) * len(left))


def _of_training(plan: Steps, step: Step, places: Places, is_left: bool) -> Forecast:
    if not is_left:
        return Forecast(step.name, 1, 1, '', 0.0)
    needs = [name for name in step.needs if not valid_record(plan, places.results, name)]
    if needs:
        most = plan.most_training_steps(step.name)
        how = f'at most {most} steps; ' if most is not None else ''
        return Forecast(step.name, 1, 0, f'{how}{needs[0]} is missing', None)
    found = subprocess.run(
        [*argv_of(step, places), '--dry-run'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    known = read_dry_run(found.stdout) if found.returncode == 0 else None
    if known is None:
        reason = found.stderr.strip().split('\n')[-1]
        return Forecast(step.name, 1, 0, f'--dry-run: {reason}', None)
    seconds, steps = known
    total = steps * plan.epochs
    left = max(0, total - steps_done(places.results / step.name))
    how = f'{left} of {total} steps, {seconds:.3g} s each, and validation'
    return Forecast(step.name, 1, 0, how, left * seconds)


def read_dry_run(text: str) -> tuple[float, int] | None:
    """Find seconds of a step and steps of an epoch in what `relloc train --dry-run` prints."""
    flat = ' '.join(text.split())
    step = re.search(r'a step \d+ (?:pairs|examples), (\S+) (s|min|h|days)\b', flat)
    epoch = re.search(r'an epoch (\d+) steps', flat)
    if step is None or epoch is None:
        return None
    return float(step[1]) * SECONDS[step[2]], int(epoch[1])


def show_forecast(forecasts: Sequence[Forecast], jobs: int) -> None:
    """Print a table, and the sum."""
    table = Table('steps', 'done', 'takes', 'how it is known')
    for each in forecasts:
        table.add_row(each.name, f'{each.done} of {each.count}', _duration(each.seconds), each.how)
    output = Console()
    output.print(table)
    known = sum(each.seconds or 0.0 for each in forecasts)
    is_open = any(each.seconds is None for each in forecasts)
    several = f'; with --jobs {jobs} less, as far as the machine has room' if jobs > 1 else ''
    output.print(
        f'{"at least " if is_open else ""}{_duration(known)} one after the other{several}'
    )
    if is_open:
        output.print('for a better answer do one of each first, for example by --only map/')
    output.print('nothing was written: to run it, leave out --dry-run')


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return '?'
    if seconds < 120:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 7200 else f'{seconds / 3600:.1f} h'
