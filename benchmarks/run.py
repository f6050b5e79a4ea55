# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All benchmarks, and the page docs/benchmarks.md made of their figures.

    python benchmarks/run.py DATA --maps MAPS --results RESULTS --output docs/benchmarks.md
    python benchmarks/run.py examples --quick

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`; parts whose
sets it does not have are left out. What RESULTS has of the same code and maps is not measured
again. Wants a machine that has nothing else to do.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time
from typing import Annotated, Optional

from judging import judge
from make_maps import make_maps
from page import write_page
from parts import PARTS, SMALL, Part, Places, find_parts
from record import Record, fingerprint, read_figures, read_record, write_record
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
import typer

from relloc_ros.errors import RellocError
from relloc_ros.evaluation.report.theme import require_report_packages

console = Console(stderr=True)

HERE = Path(__file__).parent
LOOK_PERIOD_S = 0.5
LINE_WIDTH = 60
MISSED = 1
"""Exit code of a benchmark whose figures are there and miss a target."""


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.', exists=True)],
    results: Annotated[
        Path, typer.Option(help='Folder for the figures; what is there is used again.')
    ] = Path('benchmark_results'),
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder for the maps; by default RESULTS/maps.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Page to write; by default RESULTS/benchmarks.md.'),
    ] = None,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar='PART',
            help='What a part begins with; can be given several times. '
            f'Parts: {", ".join(part.name for part in PARTS)}.',
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option('--quick', help='An impression: few images, few cases.')
    ] = False,
    again: Annotated[
        bool, typer.Option('--again', help='Measure what has been measured, too.')
    ] = False,
) -> None:
    """Run the benchmarks one after the other; exit code 1 if a target is missed."""
    try:
        parts = find_parts(only or [])
    except KeyError as error:
        names = ', '.join(part.name for part in PARTS)
        raise typer.BadParameter(f'there is no part {error.args[0]!r}; parts: {names}') from error
    places = Places(data, maps or results / 'maps', results)
    results.mkdir(parents=True, exist_ok=True)
    page = output or results / 'benchmarks.md'
    try:
        require_report_packages()
        sets = _sets_of(parts, data, quick=quick)
        make_maps(data, places.maps, sets, [name for name in sets if quick and name != SMALL])
        for number, part in enumerate(parts, start=1):
            _run(part, places, f'{number} of {len(parts)}: {part.name}', quick=quick, again=again)
            write_page(results, page)
    except KeyboardInterrupt:
        console.print('interrupted: what has been measured is kept, and not measured again')
        raise typer.Exit(128 + signal.SIGINT) from None
    except RellocError as error:
        console.print(f'[red]{error}')
        raise typer.Exit(2) from None
    console.print(f'{page} is written')
    bad = [part.name for part in parts if _has_failed(results, part)]
    if bad:
        console.print(f'[red]failed, or missed a target: {", ".join(bad)}')
    raise typer.Exit(int(bool(bad)))


def _has_failed(results: Path, part: Part) -> bool:
    record = read_record(results, part.name)
    return record is not None and (record.outcome == 'failed' or bool(_missed(results, part)))


def _missed(results: Path, part: Part) -> list[str]:
    figures = read_figures(results, part.name)
    judged = [] if figures is None else judge({part.name: figures})
    return [
        f'{each.what}: {each.figure}, wanted {each.target}' for each in judged if not each.reached
    ]


def _sets_of(parts: Sequence[Part], data: Path, *, quick: bool) -> list[str]:
    """Give the sets that need a map: of quick parts, not all."""
    from hard_queries import SETS

    there = [name for name in SETS if (data / name).is_dir()]
    if not quick and any(not part.sets for part in parts):
        return there
    wanted = {SMALL}.union(*(part.sets for part in parts))
    return [name for name in there if name in wanted]


def _run(part: Part, places: Places, title: str, *, quick: bool, again: bool) -> None:
    """Run a part unless its figures are there; leaves its record."""
    command = part.command(quick=quick)
    missing = _missing(part, places.data)
    mark = fingerprint(command, places, part.sets)
    known = read_record(places.results, part.name)
    if missing:
        console.print(f'{title}: left out, {missing}', style='yellow')
        if known is None:
            write_record(places.results, Record(part.name, command, mark, 'left out', missing))
        return
    is_same = known is not None and known.fingerprint == mark
    if known is not None and is_same and known.is_measured and not again:
        console.print(f'{title}: measured {known.date}', style='dim')
        return
    if again or not is_same:
        shutil.rmtree(places.results / f'{part.name}_answers', ignore_errors=True)
    record = Record.start(part.name, command, mark, quick=quick)
    write_record(places.results, record)
    expected_s = known.seconds if known is not None and known.quick == quick else 0.0
    code = _wait_for(part, command, places, title, expected_s)
    is_measured = code in (0, MISSED) and (places.results / f'{part.name}.json').exists()
    record = record.end('measured' if is_measured else 'failed', f'exit code {code}')
    write_record(places.results, record)
    if not is_measured:
        log = places.results / f'{part.name}.log'
        console.print(f'{title}: exit code {code}, see {log}', style='red')
        return
    console.print(f'{title}: measured in {record.seconds:.0f} s', style='green')
    for line in _missed(places.results, part):
        console.print(f'  missed: {line}', style='red', highlight=False)


def _missing(part: Part, data: Path) -> str:
    for name in part.sets:
        if not (data / name).is_dir():
            return f'the data has no {name}'
    if part.needs_ros:
        try:
            import rclpy  # noqa: F401
        except ImportError:
            return 'ROS 2 is not installed'
    script = HERE / part.arguments[0]
    return '' if script.exists() else f'there is no {script.name}'


def _wait_for(
    part: Part, command: Sequence[str], places: Places, title: str, expected_s: float
) -> int:
    """Run a benchmark, its output into a log, showing the last line of that."""
    (places.results / f'{part.name}.json').unlink(missing_ok=True)
    log = places.results / f'{part.name}.log'
    script, *arguments = command
    argv = [sys.executable, str(HERE / script), *map(places.fill, arguments)]
    with (
        log.open('wb') as output,
        Progress(
            TextColumn('{task.description}'),
            BarColumn(30),
            TimeElapsedColumn(),
            TextColumn('{task.fields[line]}', style='dim', markup=False),
            console=console,
            transient=True,
        ) as progress,
    ):
        task = progress.add_task(title, total=expected_s or None, line='')
        # Nodes of others, this program's own elsewhere among them, would answer each other.
        domain = str(1 + os.getpid() % 100)
        environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'ROS_DOMAIN_ID': domain}
        process = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        start = time.monotonic()
        try:
            while process.poll() is None:
                time.sleep(LOOK_PERIOD_S)
                done_s = time.monotonic() - start
                completed = min(done_s, 0.99 * expected_s) if expected_s else None
                progress.update(task, completed=completed, line=_last_line(log))
        finally:
            _end(process)
    return process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-1000:].decode('utf-8', 'replace').split('\n')
    written = [line.strip() for line in lines if line.strip()]
    return written[-1][:LINE_WIDTH] if written else ''


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a benchmark that still runs, with what it has started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(30.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == '__main__':
    typer.run(main)
