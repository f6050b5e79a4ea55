# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of a benchmark: our figures beside the published ones, per scene and on average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
from dataclasses import dataclass, field
import math
from pathlib import Path

from relloc_ros import __version__
from relloc_ros.evaluation.benchmark import SceneResult
from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.published import MEAN, MEAN_SCENES, mean_error, published_rows

__all__ = ['OURS', 'BenchmarkTable', 'TableRow', 'format_error', 'make_table', 'write_table']

OURS = 'ours'
"""Kind of our rows."""

CSV_COLUMNS = (
    'method',
    'kind',
    'source',
    'scene',
    'position_m',
    'rotation_deg',
    'queries',
    'localized',
)

CAPTION = (
    'Median position error in m / median rotation error in degrees over all test images; '
    'a query without a pose counts as infinitely wrong.'
)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A method and its figures.

    Attributes:
        method: its name.
        kind: `ours`, or what the published method is.
        source: where the figures come from.
        figures: median error by scene, or `mean`.
        results: of our rows, by scene.
    """

    method: str
    kind: str
    source: str
    figures: Mapping[str, PoseError]
    results: Mapping[str, SceneResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchmarkTable:
    """All rows of a data set; ours first.

    Attributes:
        data_set: its name.
        columns: scenes that were run, and `mean`.
        missing: scenes that were not there.
        rows: at least one.
    """

    data_set: str
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    rows: tuple[TableRow, ...]

    @property
    def notes(self) -> list[str]:
        """What a reader must know, a sentence each."""
        scenes = ', '.join(MEAN_SCENES[self.data_set])
        notes = [CAPTION, f'The mean is that of the medians of {scenes}.']
        published = (row.source for row in self.rows if row.kind != OURS)
        sources = dict.fromkeys(source for text in published for source in text.split('; '))
        notes.append(f'Published figures: {"; ".join(sources)}.')
        if self.missing:
            notes.append(f'Left out, because they are not there: {", ".join(self.missing)}.')
        return notes


def make_table(
    data_set: str,
    results: Mapping[str, Mapping[str, SceneResult]],
    scenes: Sequence[str],
    missing: Sequence[str],
) -> BenchmarkTable:
    """Put our results and the published ones together.

    Args:
        data_set: a name of DATA_SETS.
        results: by label of the localizer and scene.
        scenes: that were run, in order.
        missing: that were not there.
    """
    ours = [_our_row(data_set, label, by_scene) for label, by_scene in results.items()]
    published = [
        TableRow(row.label, row.kind, row.source, row.figures) for row in published_rows(data_set)
    ]
    columns = (*scenes, MEAN)
    return BenchmarkTable(data_set, columns, tuple(missing), (*ours, *published))


def format_error(error: PoseError | None, *, is_ours: bool) -> str:
    """Write position / rotation; published positions have two decimals, ours three."""
    if error is None:
        return '-'
    if not all(map(math.isfinite, error)):
        return 'inf'
    position, rotation = error
    return f'{position:.{3 if is_ours else 2}f}/{rotation:.2f}'


def write_table(table: BenchmarkTable, folder: Path) -> None:
    """Write benchmark.md for people and benchmark.csv, a line a figure, for programs."""
    (folder / 'benchmark.md').write_text(_markdown(table), encoding='utf-8')
    with (folder / 'benchmark.csv').open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for row in table.rows:
            for scene, (position, rotation) in row.figures.items():
                result = row.results.get(scene)
                counts = ('', '') if result is None else (result.num_queries, result.num_localized)
                figures = (f'{position:.6g}', f'{rotation:.6g}')
                writer.writerow((row.method, row.kind, row.source, scene, *figures, *counts))


def _our_row(data_set: str, label: str, results: Mapping[str, SceneResult]) -> TableRow:
    figures = {scene: result.median_error for scene, result in results.items()}
    scenes = MEAN_SCENES[data_set]
    if all(scene in figures for scene in scenes):
        figures[MEAN] = mean_error([figures[scene] for scene in scenes])
    return TableRow(label, OURS, f'relloc_ros {__version__}', figures, results)


def _markdown(table: BenchmarkTable) -> str:
    header = ['method', 'kind', *table.columns, 'source']
    lines = [
        f'# {table.data_set}',
        '',
        *table.notes,
        '',
        _line(header),
        _line(['---'] * len(header)),
    ]
    for row in table.rows:
        is_ours = row.kind == OURS
        cells = (format_error(row.figures.get(name), is_ours=is_ours) for name in table.columns)
        lines.append(_line([row.method, row.kind, *cells, row.source]))
    return '\n'.join(lines) + '\n'


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
