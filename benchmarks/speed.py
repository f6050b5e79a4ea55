# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All figures of speed in one run, and the page docs/speed.md made of them.

    python benchmarks/speed.py DATA --maps MAPS --output docs/speed.md

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. Maps are kept
in MAPS, and used again. Wants a machine that has nothing else to do.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Optional

from decoding import measure_decoding
from latency import measure_latency, node_figures
from profiles import measure_profiles, profile_config
from rich.console import Console
from speed_page import make_page
from startup import measure_start
from stopwatch import machine
import typer

from relloc_ros.map.builder import build_map
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map

console = Console(stderr=True)

SETS = ('redkitchen', 'castle_p30')
"""640x480 indoors, 1024x683 outdoors. The first is the node's."""


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder for the maps; those there are used again.')],
    output: Annotated[Path, typer.Option(help='Markdown page to write.')],
    figures_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for all figures.'),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default redkitchen and castle_p30.'),
    ] = None,
    count: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help='So many queries of each set, for a trial; by default all.'),
    ] = None,
) -> None:
    """Measure, and write the page."""
    names = sets or list(SETS)
    folders = {name: _ensure_map(data / name, maps / name) for name in names}
    figures: dict[str, Any] = {'machine': machine(), 'load_average_before': os.getloadavg()}
    figures['latency'], figures['profiles'] = {}, {}
    for name in names:
        images, list_file = data / name / 'images', data / name / 'query.txt'
        console.print(f'{name}: queries, reference and other ways')
        figures['latency'][name] = measure_latency(
            folders[name], images, list_file, profile_config('default'), count=count
        )
        console.print(f'{name}: settings')
        figures['profiles'][name] = measure_profiles(folders[name], images, list_file, count)
    console.print('decoding, starting, the node')
    first = names[0]
    figures['decoding'] = measure_decoding()
    figures['start'] = measure_start(folders[first])
    figures['node'] = node_figures(
        folders[first], data / first / 'images', data / first / 'query.txt'
    )
    figures['load_average_after'] = os.getloadavg()
    if figures_file is not None:
        figures_file.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    output.write_text(make_page(figures), encoding='utf-8')


def _ensure_map(source: Path, folder: Path) -> Path:
    map_folder = folder / 'map'
    if not map_folder.exists():
        console.print(f'{source.name}: building the map')
        build_map(read_source(source, list_file=source / 'map.txt'), map_folder)
        triangulate_map(map_folder)
    return map_folder


if __name__ == '__main__':
    typer.run(main)
