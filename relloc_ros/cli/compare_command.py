# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc compare: runs on the same queries side by side, and whether they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

from rich import box
from rich.markup import escape
from rich.table import Table
import typer

from relloc_ros.cli.console import print_note, stdout
from relloc_ros.cli.score_command import (
    FormatName,
    PoseFormatOption,
    QueryList,
    read_true_poses,
    score_file,
)

if TYPE_CHECKING:
    from relloc_ros.evaluation.bootstrap import BlockBootstrap, Interval
    from relloc_ros.evaluation.comparison import Difference
    from relloc_ros.evaluation.outcomes import Run
    from relloc_ros.evaluation.pairing import PairedErrors
    from relloc_ros.geometry import Array

__all__ = ['compare', 'run_labels']

HEADING_WIDTH, COLUMN_WIDTH = 20, 15


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar='RUN...',
            help='Folders that `relloc evaluate` or `relloc score` wrote, or files of poses.',
            show_default=False,
        ),
    ],
    truth: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--truth',
            metavar='POSES',
            help='True poses for files of poses: a text file, or a folder with a COLMAP model.',
            show_default=False,
        ),
    ] = None,
    list_file: QueryList = None,
    format: PoseFormatOption = None,
) -> None:
    """Compare runs on the same queries: which is better, and is that more than noise?

    Queries are paired by name; those that not all runs have are left out and counted. Intervals
    are of 95 %, by bootstrap of blocks of neighbouring queries. A difference is more than noise
    if swapping the runs on random blocks seldom makes one as large (5 %, corrected by Holm's
    method for the number of pairs).
    """
    from relloc_ros.evaluation.comparison import compare_errors
    from relloc_ros.evaluation.pairing import pair_runs

    if len(runs) < 2:
        raise typer.BadParameter('two runs at least', param_hint='RUN...')
    paired = pair_runs(_read_runs(runs, truth, list_file, format))
    _print_figures(paired)
    for label, count in zip(paired.labels, paired.left_out, strict=True):
        if count:
            print_note(f'{label}: {count} queries left out, which not all runs have')
    _print_verdicts(compare_errors(paired), paired.units)


def _read_runs(
    paths: Sequence[Path], truth: Path | None, list_file: Path | None, format: FormatName | None
) -> dict[str, Run]:
    from relloc_ros.errors import DataError
    from relloc_ros.evaluation.outcomes import read_run

    true_poses = None if truth is None else read_true_poses(truth, list_file, format)
    runs = {}
    for path, label in zip(paths, run_labels(paths), strict=True):
        if path.is_dir():
            runs[label] = read_run(path)
        elif not path.exists():
            raise DataError(f'{path} does not exist')
        elif true_poses is None:
            raise DataError(f'{path} is no folder of a run; if it holds poses, --truth is needed')
        else:
            runs[label] = score_file(path, true_poses, format)
    return runs


def run_labels(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of paths that tell them apart, without what files have in common.

    Raises:
        typer.BadParameter: the same path twice.
    """
    names = [path.resolve() for path in paths]
    if len(set(names)) < len(names):
        raise typer.BadParameter('the same run is named twice', param_hint='RUN...')
    length = 1
    while len({name.parts[-length:] for name in names}) < len(names):
        length += 1
    labels = ['/'.join(name.parts[-length:]) for name in names]
    if not all(path.is_file() for path in paths):
        return labels
    stems = [label.removesuffix(path.suffix) for label, path in zip(labels, paths, strict=True)]
    # Files of one scene are often called scene_method.
    words = [stem.split('_') for stem in stems]
    while all(len(each) > 1 and each[0] == words[0][0] for each in words):
        words = [each[1:] for each in words]
    return ['_'.join(each) for each in words]


def _print_figures(paired: PairedErrors) -> None:
    """Print a table with a column for each run, several tables where they do not fit."""
    from relloc_ros.evaluation.bootstrap import BlockBootstrap
    from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
    from relloc_ros.evaluation.wording import recall_name

    bootstrap = BlockBootstrap(paired.count, paired.block_length)
    headings = ['median position', 'median rotation']
    headings += [f'within {recall_name(name, paired.units)}' for name in RECALL_THRESHOLDS]
    columns = [
        (escape(label), list(_cells(errors, bootstrap, paired.units)))
        for label, errors in zip(paired.labels, paired.errors, strict=True)
    ]
    at_a_time = max((stdout.width - HEADING_WIDTH) // COLUMN_WIDTH, 1)
    for start in range(0, len(columns), at_a_time):
        shown = columns[start : start + at_a_time]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column(f'{paired.count} queries')
        for label, _ in shown:
            table.add_column(label, justify='right')
        for row, heading in enumerate(headings):
            table.add_row(heading, *(cells[row] for _, cells in shown))
        stdout.print(table)
    blocks = ''
    if bootstrap.block_length > 1:
        blocks = f', {bootstrap.block_length} neighbouring queries at a time'
    stdout.print(f'below each figure its 95 % interval, by bootstrap{blocks}')


def _cells(errors: Array, bootstrap: BlockBootstrap, units: str) -> Iterator[str]:
    """Figures as papers print them, each with its interval in the line below."""
    import numpy as np

    from relloc_ros.evaluation.bootstrap import hits_by_threshold
    from relloc_ros.evaluation.wording import (
        angle_text,
        length_text,
        share_text,
        short_angle,
        short_interval,
        short_length,
        short_share,
    )

    def cell(text: str, interval: Interval | None, write: Callable[[float], str]) -> str:
        return text if interval is None else f'{text}\n[dim]{short_interval(*interval, write)}[/]'

    def length(value: float) -> str:
        return length_text(value, units)

    position, rotation = (float(value) for value in np.median(errors, axis=0))
    yield cell(short_length(position, units), bootstrap.median_interval(errors[:, 0]), length)
    yield cell(short_angle(rotation), bootstrap.median_interval(errors[:, 1]), angle_text)
    intervals = bootstrap.recall_intervals(errors)
    for name, hits in hits_by_threshold(errors).items():
        yield cell(short_share(float(hits.mean())), intervals[name], share_text)


def _print_verdicts(differences: Sequence[Difference], units: str) -> None:
    for pair, group in groupby(differences, key=lambda each: (each.first, each.second)):
        first, second = (f'[bold]{escape(label)}[/]' for label in pair)
        table = Table.grid(padding=(0, 0, 0, 2))
        for row in _verdict_rows(list(group), units):
            table.add_row(*map(escape, row))
        stdout.print(f'\n{first} and {second}')
        stdout.print(table)


def _verdict_rows(differences: Sequence[Difference], units: str) -> Iterator[tuple[str, str]]:
    """Give a line for position, one for rotation, and one for each recall that differs."""
    from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
    from relloc_ros.evaluation.wording import recall_name, verdict

    recalls = [each for each in differences if each.measure in RECALL_THRESHOLDS]
    for difference in differences:
        if difference not in recalls:
            yield difference.measure, verdict(difference, units)
        elif difference.more_than_noise:
            yield f'within {recall_name(difference.measure, units)}', verdict(difference, units)
    if recalls[0].interval is not None and not any(each.more_than_noise for each in recalls):
        yield 'recall', 'no difference beyond noise at any threshold'
