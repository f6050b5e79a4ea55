# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the poses of maps noisy, refine them, and localize the queries before and after.

    python benchmarks/refine.py DATA [--maps DIR] [--only SET] [--json OUT]

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. `--maps` has
a map for each set, `SET` or `SET/map`; those that are missing are built. Prints a Markdown table:
errors of the poses in the map, and of the queries by `essential` and `structure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import json
import math
from pathlib import Path
import shutil
import tempfile
import time
from typing import Annotated, Any, Optional

from damaged_maps import Damage, MapParts, damage_map
import numpy as np
from rich.console import Console
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.queries import FolderQueries
from relloc_ros.evaluation.run import evaluate
from relloc_ros.evaluation.summary import RECALL_THRESHOLDS, summarize
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.refinement import Noise, refine_map
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer

console = Console(stderr=True)

NOISE = {
    # Standard deviation along and about each axis: map units, degrees.
    'castle_p30': ((0.05, 1.0),),
    'herzjesu_p25': ((0.05, 1.0),),
    'fr3_office': ((0.02, 0.5), (0.05, 1.0)),
    'redkitchen': ((0.02, 0.5), (0.05, 1.0)),
    'south_building': ((0.02, 0.5),),
}
DEFAULT = (0.05, 1.0)
FEW_SHIFT, FEW_SHARE = 0.1, 0.05
METHODS: dict[str, dict[str, object]] = {'essential': {}, 'structure': {'localizer': 'structure'}}
STRICTEST = next(iter(RECALL_THRESHOLDS))
SEED = 7


@dataclass(frozen=True)
class Case:
    """A map to be refined.

    Attributes:
        name: of what is wrong with it.
        damage: makes it wrong.
        stds: what refining is told, map units and degrees.
    """

    name: str
    damage: Damage
    stds: tuple[float, float]


def noisy(position: float, rotation_deg: float) -> Damage:
    """Give all poses Gaussian noise."""

    def damage(parts: MapParts) -> None:
        rng = np.random.default_rng(SEED)
        for index, cam_from_map in enumerate(parts.poses):
            pose = cam_from_map.inverse()
            turn = exp_so3(math.radians(rotation_deg) * rng.normal(size=3))
            centre = pose.translation + position * rng.normal(size=3)
            parts.poses[index] = RigidTransform(pose.rotation @ turn, centre).inverse()

    return damage


def few_shifted(parts: MapParts) -> None:
    """Shift some of the cameras, at least one, by 0.1 units into random directions."""
    rng = np.random.default_rng(SEED)
    count = max(1, round(FEW_SHARE * len(parts.poses)))
    for index in rng.choice(len(parts.poses), count, replace=False):
        pose, direction = parts.poses[index].inverse(), rng.normal(size=3)
        centre = pose.translation + FEW_SHIFT * direction / np.linalg.norm(direction)
        parts.poses[index] = RigidTransform(pose.rotation, centre).inverse()


def cases_of(name: str) -> Iterator[Case]:
    """Give what is done to the map of a set."""
    yield Case('as built', lambda parts: None, DEFAULT)
    for stds in NOISE[name]:
        yield Case(f'noise {stds[0]:g}, {stds[1]:g}°', noisy(*stds), stds)
    yield Case('0.1 on 5 % of the poses', few_shifted, DEFAULT)


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder with intact maps; it stays as it is.'),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all.'),
    ] = None,
    every: Annotated[int, typer.Option(help='Localize every so many queries.')] = 1,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for the figures.'),
    ] = None,
) -> None:
    """Print a Markdown table of errors before and after refining."""
    rows = []
    for name in sets or NOISE:
        if not (data / name).is_dir():
            continue
        with tempfile.TemporaryDirectory() as folder:
            intact = _intact_map(data / name, maps, Path(folder))
            for case in cases_of(name):
                for row in _measured(data / name, intact, case, Path(folder) / 'map', every):
                    console.print(row, soft_wrap=True)
                    rows.append(row)
                    if output is not None:
                        output.write_text(json.dumps(rows, indent=2) + '\n', 'utf-8')
    _print_table(rows)


def _intact_map(source: Path, maps: Path | None, folder: Path) -> Path:
    for known in (maps / source.name / 'map', maps / source.name) if maps else ():
        if (known / 'map.yaml').exists():
            return known
    return build_map(read_source(source, list_file=source / 'map.txt'), folder / 'intact')


def _measured(
    source: Path, intact: Path, case: Case, path: Path, every: int
) -> Iterator[dict[str, Any]]:
    """Make a damaged map, measure it, refine it, and measure again."""
    damage_map(intact, path, case.damage)
    triangulate_map(path)
    row = {'set': source.name, 'map': case.name}
    yield {**row, 'refined': False, **_figures(source, intact, path, every)}
    start = time.perf_counter()
    found = refine_map(path, Noise(case.stds[0], math.radians(case.stds[1])))
    more = {
        'seconds': time.perf_counter() - start,
        'reprojection_px': [found.error_before, found.error_after],
        'moved': len(found.moves),
        'kept': found.num_kept,
        'left': len(found.left),
        'suspects': len(found.suspects),
    }
    yield {**row, 'refined': True, **_figures(source, intact, path, every), **more}
    shutil.rmtree(path)


def _figures(source: Path, intact: Path, path: Path, every: int) -> dict[str, Any]:
    with ReferenceMap.open(intact) as truth, ReferenceMap.open(path) as reference_map:
        pairs = [
            [each.cam_from_map(index).inverse() for each in (reference_map, truth)]
            for index in range(truth.num_images)
        ]
        errors = np.array([pose_error(*pair) for pair in pairs])
        position, rotation = np.median(errors, axis=0)
        figures: dict[str, Any] = {'poses': [float(position), math.degrees(rotation)]}
        queries = FolderQueries(read_source(source, list_file=source / 'query.txt')[::every])
        for method, settings in METHODS.items():
            config = make_config(LocalizationConfig, settings)
            metrics = summarize(evaluate(queries, Relocalizer(reference_map, config)))
            figures[method] = [
                metrics['median_position_error_m'],
                metrics['median_rotation_error_deg'],
                metrics['recall'][STRICTEST],
            ]
    return figures


def _print_table(rows: list[dict[str, Any]]) -> None:
    print('| set | map | poses | `essential` | `structure` | moved | reprojection, px |')
    print('|---|---|---|---|---|---|---|')
    for row in rows:
        name = row['map'] + (', refined' if row['refined'] else '')
        poses = '–' if row['poses'][0] == 0 else _pair(row['poses'])
        cells = [row['set'], name, poses]
        for method in METHODS:
            cells.append(f'{_pair(row[method])}, {row[method][2]:.0%}')
        if row['refined']:
            cells.append(str(row['moved']))
            cells.append('{:.2f} → {:.2f}'.format(*row['reprojection_px']))
        else:
            cells += ['', '']
        print(f'| {" | ".join(cells)} |')


def _pair(values: list[float | None]) -> str:
    position, rotation = values[:2]
    if position is None or rotation is None:
        return 'infinite'
    return f'{position:.4f}, {rotation:.3f}°'


if __name__ == '__main__':
    typer.run(main)
