# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time and memory of the pair estimators that are networks, on one core.

    python benchmarks/networks.py SET --map MAP [--weights DIR] [--json OUT]

Each is measured in a process of its own, whose largest memory is then its own, too. Processor time
is told beside the time that passes: on a busy machine it is the truer one. Without
trained weights random ones serve: what a network computes takes as long whatever the numbers are,
but how many matches nc_5pt finds, and so what follows, depends on them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import sys
import tempfile
from typing import Annotated, Any, Optional

from own_process import ask, medians, peak_mb, read_queries, run_alone
from rich.console import Console
from rich.progress import track
from rich.table import Table
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.localizers.network_estimators import NETWORK_ESTIMATORS
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer

ESTIMATORS = ('sift_5pt', *NETWORK_ESTIMATORS)
COLUMNS = (
    *('features', 'matching', 'total', 'processor'),
    *('total, new map images', 'processor', 'memory'),
)
PAIRS = 5
"""Map images a query, as in the paper."""


def main(
    data_set: Annotated[Path, typer.Argument(metavar='SET', help='With images/ and query.txt.')],
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder with NETWORK.safetensors of trained networks.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File to write.'),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help='Queries, spread over the list.')] = 10,
    one: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(hidden=True, help='Measure this one in this process.'),
    ] = None,
) -> None:
    """Measure and print a table."""
    if one is not None:
        sys.stdout.write(json.dumps(measure(one, data_set, map_folder, weights, count)))
        return
    arguments = [str(data_set), '--map', str(map_folder), '--count', str(count)]
    with tempfile.TemporaryDirectory() as folder:
        known = weights or random_weights(Path(folder))
        rows = [
            run_alone(__file__, [*arguments, '--weights', str(known), '--one', name])
            for name in track(ESTIMATORS, 'measuring')
        ]
    show(rows)
    if output is not None:
        result = {'pairs': PAIRS, 'queries': count, 'load': os.getloadavg(), 'rows': rows}
        output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')


def random_weights(folder: Path) -> Path:
    """Write weights of the published sizes that have learned nothing."""
    from relloc_ros.networks import NETWORKS, make_network
    from relloc_ros.networks.checkpoint import save_network

    for name in NETWORKS:
        save_network(folder / f'{name}.safetensors', make_network(name).eval(), {})
    return folder


def measure(
    name: str, data_set: Path, map_folder: Path, weights: Path | None, count: int
) -> dict[str, Any]:
    """Localize queries twice: map images are new to the network first, and known then."""
    posed = read_queries(data_set, count)
    settings: dict[str, Any] = {
        'essential.pair_estimator': name,
        'essential.max_pairs': PAIRS,
        'num_threads': 1,
        'descriptor_cache_mb': 1024,
    }
    if name in NETWORK_ESTIMATORS:
        assert weights is not None
        file = weights / f'{NETWORK_ESTIMATORS[name].networks[-1]}.safetensors'
        settings['essential.network'] = str(file)
        settings['essential.network_images'] = str(data_set / 'images')
    with ReferenceMap.open(map_folder) as reference_map:
        before = peak_mb()
        relocalizer = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
        timings = [ask(relocalizer, posed) for _ in range(2)]
    first, known = map(medians, timings)
    return {'name': name, 'first': first, 'known': known, 'memory_mb': peak_mb() - before}


def show(rows: list[dict[str, Any]]) -> None:
    """Print milliseconds and MiB."""
    table = Table('', *COLUMNS)
    for row in rows:
        known, first = row['known'], row['first']
        stages_ms = [known.get(stage, 0) for stage in ('features', 'matching')]
        totals = [known['total'], known['processor'], first['total'], first['processor']]
        table.add_row(row['name'], *(f'{x:.0f}' for x in (*stages_ms, *totals, row['memory_mb'])))
    Console(width=120).print(table)


if __name__ == '__main__':
    typer.run(main)
