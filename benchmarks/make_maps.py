# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps of data sets, triangulated and calibrated, as the other benchmarks want them.

    python benchmarks/make_maps.py DATA --maps MAPS [--only SET]

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. Maps that
MAPS has are left as they are, but for what they lack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
import sys
from typing import Annotated, Optional

from hard_queries import SETS
from rich.console import Console
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.calibration import DEFAULT_SAMPLES
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.map.builder import build_map
from relloc_ros.map.calibration import choose_calibration
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map

console = Console(stderr=True)

LOCALIZERS = ('essential', 'structure', 'retrieval')


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder for the maps.')],
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all that DATA has.'),
    ] = None,
) -> None:
    """Make the maps that are not there."""
    make_maps(data, maps, sets or [name for name in SETS if (data / name).is_dir()])


def make_maps(
    data: Path, maps: Path, names: Sequence[str], uncalibrated: Sequence[str] = ()
) -> None:
    """Build, triangulate and calibrate what is missing.

    Args:
        data: folder of the sets.
        maps: folder of the maps, which have the names of their sets.
        names: of the sets.
        uncalibrated: names of those that may stay uncalibrated: it is what takes longest.
    """
    for name in names:
        source, path = data / name, maps / name
        if not source.is_dir():
            sys.exit(f'{data} has no set {name}; sets: {", ".join(SETS)}')
        if not path.exists():
            maps.mkdir(parents=True, exist_ok=True)
            with _doing(f'{name}: building the map'):
                build_map(read_source(source, list_file=source / 'map.txt'), path, source=name)
        with ReferenceMap.open(path) as reference_map:
            is_triangulated = reference_map.points is not None
        if not is_triangulated:
            with _doing(f'{name}: triangulating'):
                triangulate_map(path)
        configs = [] if name in uncalibrated else list(_uncalibrated(path))
        if configs:
            localizers = ', '.join(each.localizer for each in configs)
            with _doing(f'{name}: calibrating {localizers}, some minutes'):
                calibrate_map(path, configs, samples=DEFAULT_SAMPLES)


@contextmanager
def _doing(text: str) -> Iterator[None]:
    console.print(text)
    with console.status('working'):
        yield


def _uncalibrated(path: Path) -> Iterator[LocalizationConfig]:
    """Settings of localizers that the map was not calibrated with."""
    with ReferenceMap.open(path) as reference_map:
        calibrations, map_id = reference_map.calibrations, reference_map.map_id
    for name in LOCALIZERS:
        config = make_config(LocalizationConfig, {'localizer': name})
        chosen = choose_calibration(calibrations, config, map_id, str(path))
        if chosen.calibration is None or chosen.is_warning:
            yield config


if __name__ == '__main__':
    typer.run(main)
