# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors on a folder of data sets beside the targets, and images of other places.

    python benchmarks/accuracy.py DATA [--maps DIR] [--json OUT]

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. Sets that are
not there are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import tempfile
from typing import Annotated, Any, Optional

from rich.console import Console
from rich.table import Table
from scipy.stats import chi2
import typer

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import LocalizationConfig, make_config, parse_assignments
from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.queries import FolderQueries
from relloc_ros.evaluation.run import evaluate
from relloc_ros.evaluation.summary import summarize
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_source
from relloc_ros.pipeline import Relocalizer

console = Console(width=110)


@dataclass(frozen=True)
class Target:
    """Largest medians (map units, degrees) and least shares that are accepted."""

    position: float
    rotation: float
    availability: float
    recall: float = 0.0
    """Share within 5 cm and 5 degrees."""
    far: float | None = None
    """Poses further away than this need a covariance that covers the error."""


TARGETS = {
    'castle_p30': Target(0.015, 0.03, 1.0),
    'herzjesu_p25': Target(0.010, 0.04, 1.0),
    'redkitchen': Target(0.006, 0.3, 0.98, recall=0.98),
    'fr3_office': Target(0.010, 0.4, 0.8),
    'south_building': Target(0.005, 0.06, 0.95),
    'fr1_rpy': Target(0.040, 2.0, 0.8, far=0.3),
}

STRANGERS = (
    # map, set whose images were taken elsewhere, which list, how many
    ('castle_p30', 'redkitchen', 'query.txt', 50),
    ('redkitchen', 'castle_p30', None, None),
    ('redkitchen', 'herzjesu_p25', None, None),
)

COVERED = float(chi2.ppf(0.999, 6))
"""Squared normalized errors beyond this are not covered by the covariance."""


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder for the maps; those that are there are used again.'),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all.'),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE, as in relloc evaluate.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for all figures.'),
    ] = None,
) -> None:
    """Print the errors of the default settings and of the paper's method (refinement: none)."""
    keep_freed_memory()
    wanted = [name for name in TARGETS if (not sets or name in sets) and (data / name).is_dir()]
    figures: dict[str, Any] = {}
    failed = False
    with _map_folder(maps) as folder:
        for name in wanted:
            _ensure_map(data / name, folder / name)
        table = _make_table()
        for name in wanted:
            paper = [*(settings or []), 'essential.refinement=none']
            figures[name] = {
                'default': _evaluate(data / name, folder / name, settings or []),
                'paper': _evaluate(data / name, folder / name, paper),
            }
            failed |= _add_rows(table, name, figures[name])
        console.print(table)
        strangers = _try_strangers(data, folder, wanted, settings or [])
        figures['strangers'] = strangers
        failed |= any(figure['localized'] for figure in strangers.values())
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    raise typer.Exit(int(failed))


def _try_strangers(
    data: Path, maps: Path, wanted: list[str], settings: list[str]
) -> dict[str, dict[str, int]]:
    """Count what is localized in a map of another place: nothing should be."""
    figures = {}
    for map_name, other, list_name, count in STRANGERS:
        if map_name not in wanted or not (data / other).is_dir():
            continue
        list_file = data / other / list_name if list_name else None
        posed = read_source(data / other, list_file=list_file)[:count]
        evaluation = _run(posed, maps / map_name, settings)
        localized = sum(outcome.localized for outcome in evaluation.outcomes)
        figures[f'{other} in {map_name}'] = {'queries': len(posed), 'localized': localized}
        verdict = '[red](must be none)' if localized else ''
        console.print(
            f'{other} in the map of {map_name}: {localized} of {len(posed)} localized {verdict}'
        )
    return figures


@contextmanager
def _map_folder(maps: Path | None) -> Iterator[Path]:
    if maps is not None:
        yield maps
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _ensure_map(source: Path, output: Path) -> None:
    if not output.exists():
        posed = read_source(source, list_file=source / 'map.txt')
        with console.status(f'building the map of {source.name}'):
            build_map(posed, output, source=source.name)


def _evaluate(source: Path, map_folder: Path, settings: list[str]) -> dict[str, Any]:
    posed = read_source(source, list_file=source / 'query.txt')
    evaluation = _run(posed, map_folder, settings)
    far = TARGETS[source.name].far
    uncovered = sum(
        outcome.estimate is not None
        and far is not None
        and outcome.error is not None
        and outcome.error[0] > far
        and (outcome.nees or 0.0) > COVERED
        for outcome in evaluation.outcomes
    )
    return {**summarize(evaluation), 'far_and_not_covered': uncovered}


def _run(posed: list[PosedImage], map_folder: Path, settings: list[str]) -> Run:
    config = make_config(LocalizationConfig, parse_assignments(settings))
    with (
        ReferenceMap.open(
            map_folder, config.descriptor_cache_mb, config.weights_folder
        ) as reference_map,
        console.status(f'{len(posed)} queries in the map of {map_folder.name}'),
    ):
        return evaluate(
            FolderQueries(posed), Relocalizer(reference_map, config), allow_map_images=True
        )


def _make_table() -> Table:
    table = Table('set', 'settings')
    for column in ('position', 'rotation', 'available', '5 cm, 5°', 'ms p50', 'NEES', 'verdict'):
        table.add_column(column, justify='right')
    return table


def _add_rows(table: Table, name: str, figures: dict[str, Any]) -> bool:
    """Add the rows of a set; True if a target is missed."""
    target = TARGETS[name]
    missed = _missed(figures['default'], target)
    verdict = f'[red]misses {", ".join(missed)}' if missed else '[green]reached'
    table.add_row(name, 'default', *_cells(figures['default']), verdict)
    table.add_row('', 'refinement none', *_cells(figures['paper']), '')
    limits = [f'{target.position:.3f}', f'{target.rotation:.2f}°', f'{target.availability:.0%}']
    recall = f'{target.recall:.0%}' if target.recall else ''
    table.add_row('', '[dim]target', *(f'[dim]{limit}' for limit in limits), f'[dim]{recall}')
    table.add_section()
    return bool(missed)


def _missed(metrics: dict[str, Any], target: Target) -> list[str]:
    position, rotation = metrics['median_position_error_m'], metrics['median_rotation_error_deg']
    checks = {
        'position': position is not None and position <= target.position,
        'rotation': rotation is not None and rotation <= target.rotation,
        'availability': metrics['availability'] >= target.availability,
        'recall': metrics['recall']['0.05m_5deg'] >= target.recall,
        'covariance': metrics['far_and_not_covered'] == 0,
    }
    return [name for name, reached in checks.items() if not reached]


def _cells(metrics: dict[str, Any]) -> list[str]:
    position, rotation = metrics['median_position_error_m'], metrics['median_rotation_error_deg']
    nees = metrics['median_nees']
    return [
        'infinite' if position is None else f'{position:.4f}',
        'infinite' if rotation is None else f'{rotation:.3f}°',
        f'{metrics["availability"]:.1%}',
        f'{metrics["recall"]["0.05m_5deg"]:.1%}',
        f'{metrics["latency_ms"]["p50"]:.0f}',
        '' if nees is None else f'{nees:.1f}',
    ]


if __name__ == '__main__':
    typer.run(main)
