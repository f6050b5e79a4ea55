# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc benchmark: localizers on a public data set, beside published figures."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

from rich.table import Table
import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar, stdout
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import Overwrite

if TYPE_CHECKING:
    from relloc_ros.evaluation.benchmark import SceneResult
    from relloc_ros.evaluation.benchmark_table import BenchmarkTable

__all__ = ['benchmark']


class DataSet(str, Enum):
    """Data sets with published figures and a known layout."""

    CAMBRIDGE = 'cambridge'
    SEVEN_SCENES = '7scenes'


def benchmark(
    data_set: Annotated[DataSet, typer.Argument(help='Data set, in its original layout.')],
    root: Annotated[
        Path, typer.Argument(metavar='ROOT', help='Folder with the folders of the scenes.')
    ],
    output: Annotated[
        Path,
        typer.Option(
            '--output', metavar='DIR', help='Folder for maps and results.', show_default=False
        ),
    ],
    scenes: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar='NAME,...', help='Scenes to run; by default all of ROOT.', show_default=False
        ),
    ] = None,
    localizers: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            '--localizer',
            metavar='NAME[:SETTING=VALUE,...]',
            help='Localization method, for example `essential:refinement=none`. Can be given '
            'several times; by default retrieval with and without interpolation, essential and '
            'structure.',
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Run localizers on a public data set and print their errors beside published ones.

    Maps are made of each scene's training images, its test images are localized; published
    figures are those of Sattler et al. (CVPR 2019) and Zhou et al. (ICRA 2020). The gates on the
    covariance are off. Writes `benchmark.md` and `benchmark.csv` to DIR, and keeps maps and runs
    there: what is finished is used again.
    """
    from relloc_ros.evaluation.benchmark import (
        DEFAULT_ENTRANTS,
        find_scenes,
        parse_entrant,
        run_scene,
    )
    from relloc_ros.evaluation.benchmark_table import make_table, write_table
    from relloc_ros.localizers import LOCALIZERS

    terminate_quietly()
    available = [text for text in DEFAULT_ENTRANTS if text.partition(':')[0] in LOCALIZERS]
    entrants = [parse_entrant(text) for text in localizers or available]
    found, missing = find_scenes(data_set.value, root, _names(scenes))
    if missing:
        print_warning(f'left out, because {root} has no such folder: {", ".join(missing)}')
    results: dict[str, dict[str, SceneResult]] = {entrant.label: {} for entrant in entrants}
    for scene in found:
        for entrant, result in run_scene(
            root / scene, output / scene, entrants, progress_bar, overwrite=overwrite
        ):
            results[entrant.label][scene] = result
            table = make_table(data_set.value, results, found, missing)
            write_table(table, output)
    _print_table(table)
    print_note(f'written to {output}: benchmark.md, benchmark.csv, and a folder for each scene')


def _names(option: str | None) -> list[str]:
    return [name.strip() for name in (option or '').split(',') if name.strip()]


def _print_table(table: BenchmarkTable) -> None:
    from relloc_ros.evaluation.benchmark_table import OURS, format_error

    drawn = Table(title=table.data_set)
    drawn.add_column('method', overflow='fold')
    drawn.add_column('kind')
    for column in table.columns:
        drawn.add_column(column, justify='right', no_wrap=True)
    previous = table.rows[0].kind
    for row in table.rows:
        if row.kind != previous:
            drawn.add_section()
        previous = row.kind
        cells = [
            format_error(row.figures.get(name), is_ours=row.kind == OURS) for name in table.columns
        ]
        drawn.add_row(row.method, row.kind, *cells, style='bold' if row.kind == OURS else '')
    # As wide as it is, also where the output is no terminal: figures cut off are no figures.
    width = max(stdout.width, stdout.measure(drawn).maximum)
    stdout.print(drawn, width=width, crop=False)
    for note in table.notes:
        stdout.print(note)
