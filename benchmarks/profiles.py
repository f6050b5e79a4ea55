# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy against time of the settings `fast`, `default` and `accurate`.

    python benchmarks/profiles.py --map MAP --images DIR --list FILE [--json OUT]

Each image is localized with all of them in turn. `fast` and `accurate` are the files in config/.
"""

from __future__ import annotations

from functools import partial
import json
from pathlib import Path
from typing import Annotated, Any, Optional

from rich.progress import track
from stopwatch import Stopwatch, added, percentile, ratio
from timed_queries import WARM_UP_IMAGES, Reference, TimedQueries, pose_of, read_queries
import typer

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import LocalizationConfig, make_config, read_config_file
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.vision.features import to_grey

CONFIG = Path(__file__).parents[1] / 'config'
PROFILES = ('fast', 'default', 'accurate')


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the queries.')],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File to write.'),
    ] = None,
    count: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help='So many queries, spread over the list; by default all.'),
    ] = None,
) -> None:
    """Print a Markdown table."""
    keep_freed_memory()
    figures = measure_profiles(map_folder, images, list_file, count)
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    print('\n'.join(table({images.resolve().parent.name: figures})))


def profile_config(name: str) -> LocalizationConfig:
    """Read the settings of this name."""
    values: dict[str, Any] = {}
    if name != 'default':
        values = read_config_file(CONFIG / f'{name}.yaml')
    return make_config(LocalizationConfig, values)


def measure_profiles(
    map_folder: Path, images: Path, list_file: Path, count: int | None = None
) -> dict[str, dict[str, Any]]:
    """Localize the queries with each of the settings, in turn.

    Args:
        map_folder: the map.
        images: folder of the queries.
        list_file: their names.
        count: so many of them; None takes all.

    Returns:
        Figures by name of the settings.
    """
    configs = {name: profile_config(name) for name in PROFILES}
    with ReferenceMap.open(map_folder) as reference_map:
        queries = read_queries(reference_map, images, list_file, count=count)
        localizers = {name: Relocalizer(reference_map, config) for name, config in configs.items()}
        return _measure(queries, Reference(reference_map), localizers)


def _measure(
    queries: TimedQueries, reference: Reference, localizers: dict[str, Relocalizer]
) -> dict[str, dict[str, Any]]:
    first = queries.images[:WARM_UP_IMAGES]
    reference.warm_up(first)
    for query in first:
        for localizer in localizers.values():
            localizer.process(query)
    stopwatch = Stopwatch()
    answers: dict[str, list[Any]] = {name: [] for name in localizers}
    for i, query in enumerate(track(queries.rounds, 'measuring settings', transient=True)):
        steps = [
            ('features', partial(reference.features, to_grey(query.image))),
            ('global_descriptor', partial(reference.global_descriptor, query.image)),
            *((name, partial(localizer.process, query)) for name, localizer in localizers.items()),
        ]
        found = stopwatch.time_in_turn(steps, i)
        if i < len(queries.images):
            for name, kept in answers.items():
                kept.append(pose_of(found[name]))
    return {
        name: {**_times(stopwatch, name), **queries.accuracy(answers[name])} for name in localizers
    }


def _times(stopwatch: Stopwatch, name: str) -> dict[str, float | None]:
    wall, cpu = stopwatch.wall_ms, stopwatch.cpu_ms
    reference, reference_cpu = (
        percentile(added(times['features'], times['global_descriptor']), 50)
        for times in (wall, cpu)
    )
    return {
        'ms_p50': percentile(wall[name], 50),
        'ms_p95': percentile(wall[name], 95),
        'cpu_ms_p50': percentile(cpu[name], 50),
        'per_reference_p50': ratio(percentile(wall[name], 50), reference),
        'per_reference_cpu_p50': ratio(percentile(cpu[name], 50), reference_cpu),
    }


def table(figures: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Write Markdown lines.

    Args:
        figures: what `measure_profiles` gave, by name of the set.
    """
    lines = [
        '| set | settings | position | rotation | within 5 cm, 5° | localized | ms p50 | ms p95 '
        '| × reference | the same, CPU |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, profiles in figures.items():
        for profile, values in profiles.items():
            cells = [
                name,
                f'`{profile}`',
                *accuracy_cells(values),
                number(values['ms_p50'], 0),
                number(values['ms_p95'], 0),
                number(values['per_reference_p50'], 2),
                number(values['per_reference_cpu_p50'], 2),
            ]
            lines.append(f'| {" | ".join(cells)} |')
    return lines


def accuracy_cells(values: dict[str, Any]) -> list[str]:
    """Write median errors, recall within 5 cm and 5 degrees, and availability."""
    position, rotation = values['median_position_error_m'], values['median_rotation_error_deg']
    recall = values['recall']['0.05m_5deg']
    return [
        '–' if position is None else f'{position:.4f}',
        '–' if rotation is None else f'{rotation:.3f}°',
        '–' if recall is None else f'{recall:.1%}',
        f'{values["availability"]:.1%}',
    ]


def number(value: float | None, digits: int) -> str:
    """Write a number that may not be known."""
    return '–' if value is None else f'{value:.{digits}f}'


if __name__ == '__main__':
    typer.run(main)
