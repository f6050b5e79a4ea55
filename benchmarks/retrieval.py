# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often the global descriptors retrieve a map image that shares view with the query.

    python benchmarks/retrieval.py DATA [--maps DIR] [--only SET] [--json OUT]

DATA holds a folder for each set, as in accuracy.py. What shares view is decided by the poses and
by the depth of the scene, as in relloc_ros/map/view_overlap.py, the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import tempfile
import time
from typing import Annotated, Any, Optional

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
import typer

from relloc_ros.config import MapConfig, make_config
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.similarity_search import ExactSearch
from relloc_ros.map.sources import PosedImage, read_image, read_source
from relloc_ros.map.view_overlap import MIN_SHARED_VIEW, ViewOverlap
from relloc_ros.vision.global_descriptors import GLOBAL_DESCRIPTORS

DEPTHS = (1, 5, 20)
SHARES = (MIN_SHARED_VIEW, 0.7)
"""Parts of the view from which on an image counts: by default, and where that is too easy."""
SETS = ('redkitchen', 'south_building')

console = Console(width=110)


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder for the maps; those that are there are used again.'),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default redkitchen and south_building.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for all figures.'),
    ] = None,
) -> None:
    """Print recall and precision of each global descriptor on each set."""
    figures: dict[str, Any] = {}
    with _map_folder(maps) as folder:
        for name in sets or SETS:
            figures[name] = _measure_set(data / name, folder / name)
    console.print(_table(figures))
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')


@contextmanager
def _map_folder(maps: Path | None) -> Iterator[Path]:
    if maps is not None:
        yield maps
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _measure_set(source: Path, map_folder: Path) -> dict[str, Any]:
    posed = read_source(source, list_file=source / 'map.txt')
    queries = read_source(source, list_file=source / 'query.txt')
    if not map_folder.exists():
        with console.status(f'building the map of {source.name}'):
            build_map(posed, map_folder, source=source.name)
    with ReferenceMap.open(map_folder) as reference_map:
        overlap = ViewOverlap.of_map(reference_map)
    shares = np.array(
        [overlap.shared(query.cam_from_map.inverse(), query.camera) for query in queries]
    )
    figures = {}
    for name in GLOBAL_DESCRIPTORS:
        with console.status(f'{name} on {source.name}'):
            ranking, cost = _rank(name, posed, queries)
        figures[name] = {
            **cost,
            'least_share': {str(least): _score(ranking, shares >= least) for least in SHARES},
        }
    return figures


def _rank(
    name: str, posed: list[PosedImage], queries: list[PosedImage]
) -> tuple[NDArray[np.int64], dict[str, float]]:
    """Train on the map's images; give the order of the best for each query, and the cost."""
    config = make_config(MapConfig, {'global_descriptor': name})
    images = [read_image(image) for image in posed]
    descriptor = GLOBAL_DESCRIPTORS[name].train(images, config)
    rows = np.array([descriptor.describe(image) for image in images])
    vectors, milliseconds = [], []
    for query in queries:
        image = read_image(query)
        start = time.perf_counter()
        vectors.append(descriptor.describe(image))
        milliseconds.append(1e3 * (time.perf_counter() - start))
    _, ranking = ExactSearch(rows).search(np.array(vectors), max(DEPTHS))
    return ranking, {
        'dimension': descriptor.dimension,
        'ms_p50': float(np.median(milliseconds)),
    }


def _score(ranking: NDArray[np.int64], sharing: NDArray[np.bool_]) -> dict[str, float]:
    """Judge rankings (Q, k) by which map images share view (Q, N); queries without any are out."""
    found = np.take_along_axis(sharing, ranking, axis=1)[sharing.any(axis=1)]
    return {
        'queries': len(found),
        'map_images_with_view': float(np.median(sharing.sum(axis=1))),
        **{f'recall@{k}': float(found[:, :k].any(axis=1).mean()) for k in DEPTHS},
        f'precision@{max(DEPTHS)}': float(found.mean()),
    }


def _table(figures: dict[str, dict[str, Any]]) -> Table:
    headings = [*(f'recall@{k}' for k in DEPTHS), f'precision@{max(DEPTHS)}']
    table = Table('set', 'descriptor', 'shared', 'queries', *headings, 'ms')
    for name, rows in figures.items():
        for descriptor, row in rows.items():
            for least, scores in row['least_share'].items():
                table.add_row(
                    name,
                    descriptor,
                    f'{float(least):.0%}',
                    str(scores['queries']),
                    *(f'{scores[heading]:.1%}' for heading in headings),
                    f'{row["ms_p50"]:.0f}',
                )
        table.add_section()
    return table


if __name__ == '__main__':
    typer.run(main)
