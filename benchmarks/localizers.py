# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All localizers on a folder of data sets, as the table of docs/results.md.

    python benchmarks/localizers.py DATA --output DIR

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. Maps and runs
are kept in DIR, and used again; `relloc compare` and `relloc report` take the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

from rich.console import Console
import typer

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.metrics import RECALL_THRESHOLDS
from relloc_ros.evaluation.outcomes import Run, read_run, write_run
from relloc_ros.evaluation.queries import FolderQueries
from relloc_ros.evaluation.run import evaluate
from relloc_ros.evaluation.summary import summarize
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer

console = Console(stderr=True)

ANY = {'max_position_std': 0, 'max_orientation_std': 0}
"""How sure a pose must be is the robot's affair: the baseline seldom is."""
METHODS = {
    'retrieval': {'localizer': 'retrieval', **ANY},
    'retrieval + affine': {'localizer': 'retrieval', 'retrieval.interpolation': 'affine', **ANY},
    'essential, none': {'essential.refinement': 'none'},
    'essential, epipolar': {'essential.refinement': 'epipolar'},
    'essential, local_structure': {},
    'structure, retrieved': {'localizer': 'structure'},
    'structure, direct': {'localizer': 'structure', 'structure.matching': 'direct'},
}
SETS = ('castle_p30', 'herzjesu_p25', 'redkitchen', 'fr3_office', 'south_building', 'fr1_rpy')
STRICTEST = next(iter(RECALL_THRESHOLDS))


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    output: Annotated[Path, typer.Option(help='Folder for maps and runs.')],
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all.'),
    ] = None,
) -> None:
    """Print a Markdown table: medians, recall within 5 cm and 5 degrees, availability, time."""
    keep_freed_memory()
    lines = []
    for name in sets or SETS:
        if (data / name).is_dir():
            lines += _rows(data / name, output / name)
    print('| set | method | position | rotation | within 5 cm, 5° | localized | ms |')
    print('|---|---|---|---|---|---|---|')
    print('\n'.join(lines))


def _rows(folder: Path, output: Path) -> Sequence[str]:
    map_folder = output / 'map'
    if not map_folder.exists():
        console.print(f'{folder.name}: building the map')
        build_map(read_source(folder, list_file=folder / 'map.txt'), map_folder)
        triangulate_map(map_folder)
    rows = []
    for number, (label, settings) in enumerate(METHODS.items()):
        run_folder = output / f'{number}_{label.replace(" ", "").replace(",", "_")}'
        if not run_folder.exists():
            console.print(f'{folder.name}: {label}')
            run_folder.mkdir()
            write_run(_evaluate(folder, map_folder, settings), run_folder)
        rows.append(_row(folder.name, label, read_run(run_folder)))
    return rows


def _evaluate(folder: Path, map_folder: Path, settings: dict[str, object]) -> Run:
    queries = FolderQueries(read_source(folder, list_file=folder / 'query.txt'))
    with ReferenceMap.open(map_folder) as reference_map:
        config = make_config(LocalizationConfig, settings)
        return evaluate(queries, Relocalizer(reference_map, config))


def _row(name: str, label: str, run: Run) -> str:
    metrics = summarize(run)
    position = metrics['median_position_error_m']
    rotation = metrics['median_rotation_error_deg']
    cells = [
        name,
        label,
        'infinite' if position is None else f'{position:.4f}',
        'infinite' if rotation is None else f'{rotation:.3f}°',
        f'{metrics["recall"][STRICTEST]:.1%}',
        f'{metrics["availability"]:.1%}',
        f'{metrics["latency_ms"]["p50"]:.0f}',
    ]
    return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
    typer.run(main)
