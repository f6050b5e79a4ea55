# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of a study, each in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from record import Record, read_record, write_record
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from study_steps import Step, Steps, valid_record

__all__ = ['Places', 'argv_of', 'run_steps']

HERE = Path(__file__).parent
RELLOC = (sys.executable, '-c', 'from relloc_ros.cli.main import main; main()')
LOOK_PERIOD_S = 0.2
PATIENCE_S = 60.0
"""A step that is interrupted may take so long to write what it has."""
LINE_WIDTH = 60
COMPLETE = {
    'scene': 'query.txt',
    'map': 'map.yaml',
    'points': 'map.yaml',
    'train': 'best.safetensors',
    'initial': 'best.safetensors',
    'cell': 'run.json',
    'analysis': 'analysis.json',
}
"""File that a step leaves when it is complete, by sort."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        results: of the study.
        data: real sets, if they are there.
        backbone: file of weights, if it was chosen.
    """

    results: Path
    data: Path | None = None
    backbone: Path | None = None

    def fill(self, argument: str) -> str:
        """Put paths in the place of the names that stand for them, also in KEY=RESULTS/…."""
        key, equals, value = argument.rpartition('=')
        name, slash, rest = value.partition('/')
        known = {'RESULTS': self.results, 'DATA': self.data, 'BACKBONE': self.backbone}
        place = known.get(name)
        return argument if place is None else f'{key}{equals}{place.absolute()}{slash}{rest}'


@dataclass(frozen=True)
class _Running:
    step: Step
    process: subprocess.Popen[bytes]
    record: Record
    log: Path
    task: TaskID


def argv_of(step: Step, places: Places, *, resumes: bool = False) -> list[str]:
    """Give the command of a step as a process takes it."""
    program, *arguments = (*step.command, *step.limit)
    begin = RELLOC if program == 'relloc' else (sys.executable, str(HERE / program))
    return [*begin, *map(places.fill, arguments), *(('--resume',) if resumes else ())]


def run_steps(
    plan: Steps, steps: Sequence[Step], places: Places, *, jobs: int, again: Collection[str] = ()
) -> dict[str, str]:
    """Do what has not been done, as far as it goes.

    Args:
        plan: of the study.
        steps: in order, with all that they need.
        places: of files.
        jobs: steps at a time.
        again: names of steps that are begun anew.

    Returns:
        Of the steps that were not done, why.
    """
    failed: dict[str, str] = {}
    done: set[str] = set()
    waiting, running = list(steps), list[_Running]()
    with _bars() as progress:
        everything = progress.add_task('steps', total=len(steps), line='')
        try:
            while waiting or running:
                _look(running, places, progress, done, failed)
                for step in list(waiting):
                    if step.name not in again and valid_record(plan, places.results, step.name):
                        done.add(step.name)
                    elif reason := _obstacle(step, places, failed):
                        failed[step.name] = reason
                    elif not done.issuperset(step.needs):
                        continue
                    elif len(running) < jobs:
                        is_anew = step.name in again
                        running.append(_start(plan, step, places, progress, jobs, is_anew))
                    else:
                        continue
                    waiting.remove(step)
                progress.update(everything, completed=len(done) + len(failed))
                if running:
                    time.sleep(LOOK_PERIOD_S)
        finally:
            _end(running, places.results)
    return failed


def _bars() -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('{task.fields[line]}', style='dim', markup=False),
        console=console,
    )


def _obstacle(step: Step, places: Places, failed: Collection[str]) -> str:
    blocking = [name for name in step.needs if name in failed]
    if blocking:
        return f'needs {blocking[0]}'
    if step.wants_data and places.data is None:
        return 'reads real images: give --data'
    if 'BACKBONE' in step.command and places.backbone is None:
        return 'begins with weights: give --backbone'
    return ''


def _start(
    plan: Steps, step: Step, places: Places, progress: Progress, jobs: int, is_anew: bool
) -> _Running:
    """Start a step; a training goes on where it was, all others begin anew."""
    folder = places.results / step.name
    mark = plan.fingerprints[step.name]
    known = read_record(places.results, step.name)
    has_begun = known is not None and known.fingerprint.split('-')[0] == mark.split('-')[0]
    resumes = step.sort == 'train' and has_begun and not is_anew
    resumes = resumes and (folder / 'run.yaml').exists()
    if not resumes:
        shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    record = Record.start(step.name, [*step.command, *step.limit], mark, quick=False)
    record = replace(record, machine={**record.machine, 'gpu': _gpu()})
    write_record(places.results, record)
    log = folder.with_name(f'{folder.name}.log')
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    if jobs > 1:
        environment.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
    with log.open('ab' if resumes else 'wb') as output:
        process = subprocess.Popen(
            argv_of(step, places, resumes=resumes),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    task = progress.add_task(step.name, total=None, line='')
    return _Running(step, process, record, log, task)


def _gpu() -> str:
    """Name the GPUs; '' where there are none."""
    program = shutil.which('nvidia-smi')
    if program is None:
        return ''
    command = [program, '--query-gpu=name', '--format=csv,noheader']
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return ', '.join(found.stdout.split('\n')[:-1]) if found.returncode == 0 else ''


def _look(
    running: list[_Running],
    places: Places,
    progress: Progress,
    done: set[str],
    failed: dict[str, str],
) -> None:
    """Take up what has ended."""
    for each in list(running):
        code = each.process.poll()
        if code is None:
            progress.update(each.task, line=_last_line(each.log))
            continue
        running.remove(each)
        progress.remove_task(each.task)
        name = each.step.name
        is_complete = (places.results / name / COMPLETE[each.step.sort]).exists()
        if code == 0 and is_complete:
            record = each.record.end('measured', '')
            done.add(name)
            progress.console.print(f'{name}: {record.seconds:.0f} s', style='green')
        else:
            record = each.record.end('failed', f'exit code {code}, see {name}.log')
            failed[name] = f'exit code {code}, see {each.log}'
            progress.console.print(f'{name}: {failed[name]}', style='red', highlight=False)
        write_record(places.results, record)


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-1000:].decode('utf-8', 'replace').replace('\r', '\n').split('\n')
    written = [line.strip() for line in lines if line.strip()]
    return written[-1][:LINE_WIDTH] if written else ''


def _end(running: Sequence[_Running], results: Path) -> None:
    """End what still runs, and note that it was interrupted."""
    for each in running:
        each.process.send_signal(signal.SIGINT)
    for each in running:
        try:
            each.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait()
        write_record(results, each.record.end('interrupted', ''))
