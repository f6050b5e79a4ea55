# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether calibrated covariances tell the truth about queries that no calibration has seen.

    python benchmarks/calibration.py DATA --maps DIR [--only SET] [--json OUT]

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. Maps are
built and triangulated in DIR, or copied there before; they are calibrated anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Annotated, Any, Optional

from hard_queries import read_sets
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import binom, chi2
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.calibration import DEFAULT_SAMPLES
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.evaluation.uncertainty import normalized_errors
from relloc_ros.geometry import Array
from relloc_ros.map.builder import build_map
from relloc_ros.map.calibration import Calibration
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import PoseEstimate, QueryImage
from relloc_ros.wrong_camera import widening

console = Console(width=140)

POOLED = ('redkitchen', 'castle_p30', 'herzjesu_p25', 'fr3_office')
NO_GATES = {
    'max_position_std': 0,
    'max_orientation_std': 0,
    'acceptance.max_false_accept_rate': 1,
}
LOCALIZERS = ('essential', 'structure', 'retrieval')
LINES = ((0, 40), (152, 30), (100, 30))
"""First and number of the redkitchen map images that lie on lines, but for 2 cm."""
LINE_STEP = 2
LIMIT = float(chi2.ppf(0.95, 6))
LINE_LIMIT = float(chi2.ppf(0.95, 1))
MEDIANS, COVERAGES = (2.5, 11.0), (0.88, 0.99)


@dataclass(frozen=True)
class Figures:
    """NEES of the queries of a set by a localizer.

    Attributes:
        before: (N,) uncalibrated.
        after: (N,) calibrated.
        along: (N,) of the error along the line of the map, calibrated, 1 degree of freedom.
    """

    before: Array
    after: Array
    along: Array

    def to_dict(self) -> dict[str, Any]:
        """Sum up."""
        count = len(self.after)
        low, high = _interval(count)
        inside = int((self.after <= LIMIT).sum())
        return {
            'count': count,
            'median_nees_before': float(np.median(self.before)),
            'median_nees': float(np.median(self.after)),
            'coverage_before': float(np.mean(self.before <= LIMIT)),
            'coverage': inside / count,
            'inside': inside,
            'binomial_interval_99': [low, high],
            'along_line': int((self.along <= LINE_LIMIT).sum()),
            'nees': np.round(self.after, 3).tolist(),
        }


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder for the maps.')],
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            '--only', help='Name of a set; by default all, and redkitchen_line_… of its images.'
        ),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for all figures.'),
    ] = None,
) -> None:
    """Print NEES and coverage before and after calibration."""
    table = _table('set', 'along the line')
    content: dict[str, Any] = {}
    pooled: dict[str, list[Figures]] = {name: [] for name in LOCALIZERS}
    failed = False
    for name, mapped, queries in _cases(data, sets):
        calibrations = _calibrated(maps / name, mapped)
        for localizer, calibration in calibrations.items():
            figures = _evaluate(maps / name, queries, localizer, calibration)
            row = figures.to_dict()
            content.setdefault(name, {})[localizer] = {
                **row,
                'calibration': calibration.content(),
            }
            console.print(f'{name}: {localizer}', style='dim')
            failed |= _add_row(table, name, localizer, row, is_line='line' in name)
            if name in POOLED:
                pooled[localizer].append(figures)
    for localizer, parts in pooled.items():
        if len(parts) == len(POOLED):
            figures = Figures(
                *(
                    np.concatenate([getattr(part, key) for part in parts])
                    for key in ('before', 'after', 'along')
                )
            )
            row = figures.to_dict()
            content.setdefault('pooled', {})[localizer] = row
            failed |= _add_pooled(table, localizer, row)
    console.print(table)
    if output is not None:
        output.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')
    raise typer.Exit(failed)


def _cases(
    data: Path, sets: Sequence[str] | None
) -> list[tuple[str, list[PosedImage], list[PosedImage]]]:
    cases = []
    for name, split in read_sets(data).items():
        mapped, queries = list(split.mapped), list(split.queries)
        cases.append((name, mapped, queries))
        if name == 'redkitchen':
            cases += [_line(mapped, *line) for line in LINES]
    return [case for case in cases if not sets or case[0] in sets]


def _line(
    mapped: Sequence[PosedImage], first: int, count: int
) -> tuple[str, list[PosedImage], list[PosedImage]]:
    """Make a map of every second image of a line, and queries of those between."""
    images = mapped[first : first + count]
    rows = set(range(0, count, LINE_STEP))
    return (
        f'redkitchen_line_{first}',
        [image for row, image in enumerate(images) if row in rows],
        [image for row, image in enumerate(images) if row not in rows],
    )


def _calibrated(path: Path, mapped: Sequence[PosedImage]) -> dict[str, Calibration]:
    if not path.exists():
        build_map(mapped, path)
        triangulate_map(path)
    configs = [make_config(LocalizationConfig, {'localizer': name}) for name in LOCALIZERS]
    found = calibrate_map(path, configs, samples=DEFAULT_SAMPLES)
    for failure in found.failures:
        console.print(failure, style='yellow')
    return {each.localizer: each for each in found.made}


def _evaluate(
    path: Path, queries: Sequence[PosedImage], localizer: str, calibration: Calibration
) -> Figures:
    settings = {'localizer': localizer, **NO_GATES}
    bare, calibrated, truths, along = [], [], [], []
    with ReferenceMap.open(path) as reference_map:
        # What the pipeline does, done here to have both covariances of one pose.
        reference_map.calibrations = ()
        relocalizer = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
        direction = _direction(reference_map.centres)
        for image in queries:
            query = QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name)
            found = relocalizer.process(query)
            if found.camera_pose is None:
                continue
            covariance = calibration.apply(found.camera_pose.covariance, found.num_inliers)
            covariance += widening(found.camera_deviation, calibration.camera_scale)
            truth = image.cam_from_map.inverse()
            error = truth.translation - found.camera_pose.map_from_body.translation
            along.append((error @ direction) ** 2 / (direction @ covariance[:3, :3] @ direction))
            bare.append(found.camera_pose)
            calibrated.append(PoseEstimate(found.camera_pose.map_from_body, covariance))
            truths.append(truth)
    return Figures(
        normalized_errors(bare, truths).pose,
        normalized_errors(calibrated, truths).pose,
        np.array(along),
    )


def _direction(centres: Array) -> NDArray[np.float64]:
    """The direction (3,) in which centres (N, 3) spread most."""
    _, _, directions = np.linalg.svd(centres - centres.mean(axis=0))
    return np.asarray(directions[0])


def _interval(count: int) -> tuple[int, int]:
    return int(binom.ppf(0.005, count, 0.95)), int(binom.ppf(0.995, count, 0.95))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (
        headings[0],
        'localizer',
        'n',
        'median NEES',
        'calibrated',
        'coverage',
        'calibrated, 99 % interval of 0.95',
        headings[1],
        '',
    ):
        table.add_column(heading)
    return table


def _add_row(
    table: Table, name: str, localizer: str, row: dict[str, Any], *, is_line: bool
) -> bool:
    low, high = row['binomial_interval_99']
    count = row['count']
    good = row['along_line'] >= low if is_line else low <= row['inside'] <= high
    table.add_row(
        name,
        localizer,
        str(count),
        f'{row["median_nees_before"]:.2f}',
        f'{row["median_nees"]:.2f}',
        f'{row["coverage_before"]:.0%}',
        f'{row["inside"]} in [{low}, {high}]',
        f'{row["along_line"]} of {count}' if is_line else '',
        'ok' if good else 'MISSED',
    )
    return not good


def _add_pooled(table: Table, localizer: str, row: dict[str, Any]) -> bool:
    good = MEDIANS[0] <= row['median_nees'] <= MEDIANS[1]
    good &= COVERAGES[0] <= row['coverage'] <= COVERAGES[1]
    table.add_row(
        'pooled',
        localizer,
        str(row['count']),
        f'{row["median_nees_before"]:.2f}',
        f'{row["median_nees"]:.2f}',
        f'{row["coverage_before"]:.0%}',
        f'{row["coverage"]:.1%}',
        '',
        'ok' if good else 'MISSED',
    )
    return not good


if __name__ == '__main__':
    typer.run(main)
