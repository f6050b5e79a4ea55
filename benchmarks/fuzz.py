# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Corrupt everything that comes in, at random, and see what becomes of it.

    python benchmarks/fuzz.py [DATA --maps MAPS --set NAME] [--only KIND] [--case KIND:SEED]

Images, image messages, CameraInfo, TF, settings and the files of maps. Each case ends in one of

    refused  an error that says why, or a status
    right    a pose within five standard deviations of the truth of the uncorrupted image
    other    a pose that is wrong, as the input is a flawless account of something else: an image
             turned about its principal point, a camera mounted elsewhere than TF says
    wrong    a pose further from the truth than that
    crash    any other exception, or the end of the process
    hang     no answer within the limit, of processor time or on the clock
    memory   more memory than the limit

Without DATA, a map is built from examples/fr3_office. The exit code is 1 if a case of the last
four kinds came up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
import time
from typing import Annotated, Any, Optional

from fuzz_kinds import KINDS, choose_cases
from fuzz_workers import play_cases
from fuzz_world import Case, Outcome, Stage
from hard_queries import Split, read_sets
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.map.builder import build_map
from relloc_ros.map.triangulation import triangulate_map

console = Console(width=120)
progress_console = Console(stderr=True)

EXAMPLES = Path(__file__).parents[1] / 'examples'
VERDICTS = ('refused', 'right', 'other', 'wrong', 'crash', 'hang', 'memory')
FAILURES = ('wrong', 'crash', 'hang', 'memory')
LOCALIZERS = ('essential', 'structure')
MEMORY_MIB = 1024
TIMES = ('seconds', 'cpu_seconds')

Row = dict[str, Any]


def main(
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help='Folder with data sets; by default the example of the repository.'),
    ] = None,
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder with their maps; what is not there is built and calibrated.'),
    ] = None,
    name: Annotated[str, typer.Option('--set', help='Name of the set.')] = 'fr3_office',
    count: Annotated[int, typer.Option('--cases', help='Cases of all kinds.')] = 2600,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help='Beginning of the names of kinds; by default all.'),
    ] = None,
    replay: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--case', help='KIND:SEED of a case to play again, instead of all others.'),
    ] = None,
    seed: Annotated[int, typer.Option(help='Of the first case of each kind.')] = 0,
    processes: Annotated[int, typer.Option(help='That play cases.')] = os.cpu_count() or 1,
    limit_s: Annotated[float, typer.Option('--limit', help='Seconds a case may take.')] = 5.0,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for what became of each case.'),
    ] = None,
) -> None:
    """Play the cases, and print what became of them; exit code 1 if one failed."""
    cases = [_case(text) for text in replay] if replay else choose_cases(count, seed, only or ())
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        sets = read_sets(data or EXAMPLES)
        if name not in sets:
            raise typer.BadParameter(f'{name!r} is not among {", ".join(sets) or "no sets"}')
        split = sets[name]
        path = (maps or Path(folder)) / name
        make_map(path, split)
        stage = Stage(path, tuple(split.queries), tuple(split.mapped), MEMORY_MIB * 2**20)
        played = _played(cases, stage, processes, limit_s)
    rows = [
        {
            'case': str(case),
            'kind': case.kind,
            'verdict': outcome.verdict,
            'seconds': round(outcome.seconds, 3),
            'cpu_seconds': round(outcome.cpu_seconds, 3),
            'detail': outcome.detail,
        }
        for case, outcome in played
    ]
    if output is not None:
        content = {'set': name, 'limit_s': limit_s, 'seed': seed, 'cases': rows}
        output.write_text(json.dumps(content, indent=1) + '\n', 'utf-8')
    _print_failures(rows, details=bool(replay))
    console.print(_table(rows))
    console.print(_summary(rows, time.monotonic() - start))
    raise typer.Exit(any(row['verdict'] in FAILURES for row in rows))


def make_map(path: Path, split: Split) -> None:
    """Build, triangulate and calibrate a map, unless it is there."""
    if path.exists():
        return
    progress_console.print(f'building the map of {len(split.mapped)} images', style='dim')
    build_map(split.mapped, path)
    triangulate_map(path)
    configs = [make_config(LocalizationConfig, {'localizer': each}) for each in LOCALIZERS]
    calibrate_map(path, configs)


def _case(text: str) -> Case:
    kind, _, seed = text.rpartition(':')
    if kind not in KINDS or not seed.isdigit():
        raise typer.BadParameter(f'{text!r} is not KIND:SEED with a KIND of {", ".join(KINDS)}')
    return Case(kind, int(seed))


def _played(
    cases: Sequence[Case], stage: Stage, processes: int, limit_s: float
) -> list[tuple[Case, Outcome]]:
    """Play with a bar that shows how far it is, and how many have failed."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    played = []
    with Progress(*columns, console=progress_console) as progress:
        task = progress.add_task('corrupting', total=len(cases))
        failed = 0
        for item in play_cases(cases, stage, processes, limit_s):
            played.append(item)
            failed += item[1].verdict in FAILURES
            progress.update(task, advance=1, description=f'corrupting, {failed} failures')
    return sorted(played, key=lambda item: (list(KINDS).index(item[0].kind), item[0].seed))


def _print_failures(rows: Sequence[Row], *, details: bool) -> None:
    for row in rows:
        if details or row['verdict'] in FAILURES:
            detail = row['detail'] if details else row['detail'].strip()[-300:]
            text = f'{row["verdict"]} --case "{row["case"]}" {row["seconds"]:.1f} s: {detail}'
            console.print(text, markup=False, soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ('kind', 'cases', *VERDICTS, 'longest', 'processor'):
        table.add_column(heading)
    kinds = dict.fromkeys(row['kind'] for row in rows)
    groups = dict.fromkeys(kind.partition('/')[0] for kind in kinds)
    for group in groups:
        for kind in kinds:
            if kind.startswith(f'{group}/'):
                _add_row(table, kind, [row for row in rows if row['kind'] == kind])
        part = [row for row in rows if row['kind'].startswith(f'{group}/')]
        _add_row(table, f'{group}, all', part, 'bold')
    _add_row(table, 'all', rows, 'bold')
    return table


def _add_row(table: Table, title: str, rows: Sequence[Row], style: str = '') -> None:
    counts = Counter(row['verdict'] for row in rows)
    longest = [max((row[key] for row in rows), default=0.0) for key in TIMES]
    cells = [str(counts[verdict]) for verdict in VERDICTS]
    table.add_row(
        title, str(len(rows)), *cells, *(f'{each:.1f} s' for each in longest), style=style
    )


def _summary(rows: Sequence[Row], seconds: float) -> str:
    counts = Counter(row['verdict'] for row in rows)
    accepted = counts['right'] + counts['other'] + counts['wrong']
    failed = ', '.join(f'{counts[verdict]} {verdict}' for verdict in FAILURES)
    return f'{len(rows)} cases in {seconds:.0f} s: {accepted} poses accepted; {failed}'


if __name__ == '__main__':
    typer.run(main)
