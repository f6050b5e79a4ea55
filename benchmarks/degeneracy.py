# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the localizers say where images leave something of the pose open.

    python benchmarks/degeneracy.py [DATA --maps MAPS] [--only NAME] [--json OUT] [--page PAGE]

Rendered cases always; with DATA, a folder for each set with `images`, `sparse`, `map.txt` and
`query.txt`, and MAPS, their triangulated maps, also real ones. The verdicts are by rules:

    right        no pose where none can be known; or poses with true covariances
    luck         a pose, near the truth, where the images do not tell it from another
    unavailable  fewer than 80 % of the queries localized where the images settle the pose
    too sure     a pose beyond five sigma; or fewer errors inside the 99 % region than the 99 %
                 binomial interval allows
    WRONG        a pose beyond five sigma and off by more than 0.25 map units or 5 degrees
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, Optional

from degeneracy_table import HEADINGS, LIMIT, read_page, row, write_page
from degenerate_cases import Case, Query, real_cases, synthetic_cases
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binom, chi2, norm
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import MapError
from relloc_ros.evaluation.uncertainty import normalized_errors
from relloc_ros.geometry import Array, RigidTransform, pose_error
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PoseEstimate

console = Console(width=150)
progress = Console(stderr=True)

METHODS: dict[str, dict[str, Any]] = {
    'local_structure': {},
    'epipolar': {'essential.refinement': 'epipolar'},
    'none': {'essential.refinement': 'none'},
    'structure': {'localizer': 'structure'},
}
BY_DIRECTIONS = ('epipolar', 'none')
FEW_IMAGES: dict[str, Any] = {'min_similarity': -1.0}
"""Of a few images, half are less alike than the mean of them all."""
FIVE_SIGMA = float(np.sqrt(chi2.isf(2 * norm.sf(5.0), 6)))
FAR, FAR_DEG = 0.25, 5.0
AVAILABLE = 0.8


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a method says to the queries of a case.

    Attributes:
        case: the case.
        method: of `METHODS`.
        calibrated: whether the map's calibration was applied.
        statuses: how often each status came.
        errors: (N, 2) of poses: map units, degrees.
        distances: (N,) Mahalanobis distances, 6 degrees of freedom.
        spreads: (N, 2) standard deviations along the free direction and across it, map units.
    """

    case: Case
    method: str
    calibrated: bool
    statuses: Counter[str]
    errors: Array
    distances: Array
    spreads: Array

    @property
    def wanted(self) -> str:
        """What the case wants of this method."""
        by_directions = self.case.by_directions if self.method in BY_DIRECTIONS else None
        return by_directions or self.case.wanted

    @property
    def verdict(self) -> str:
        """Judge, by the rules above."""
        count, total = len(self.distances), self.statuses.total()
        far = (self.errors[:, 0] > FAR) | (self.errors[:, 1] > FAR_DEG)
        if (far & (self.distances > FIVE_SIGMA)).any():
            return 'WRONG'
        inside = (self.distances <= LIMIT).sum()
        if (self.distances > FIVE_SIGMA).any() or inside < binom.ppf(0.005, count, 0.99):
            return 'too sure'
        if self.wanted == 'silence' and count:
            return 'luck'
        if self.wanted == 'pose' and count < AVAILABLE * total:
            return 'unavailable'
        return 'right'

    def to_dict(self) -> dict[str, Any]:
        """Give all figures."""
        return {
            'group': self.case.group,
            'case': self.case.name,
            'wanted': self.wanted,
            'method': self.method,
            'calibrated': self.calibrated,
            'statuses': dict(self.statuses),
            'errors': np.round(self.errors, 5).tolist(),
            'mahalanobis': np.round(self.distances, 3).tolist(),
            'spreads': self.spreads.tolist(),
            'verdict': self.verdict,
        }


def main(
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help='Folder with the data sets.'),
    ] = None,
    maps: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder with their maps.'),
    ] = None,
    only: Annotated[str, typer.Option(help='Cases with this in their names.')] = '',
    methods: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--method', help=f'Of {", ".join(METHODS)}.'),
    ] = None,
    count: Annotated[int, typer.Option('--queries', help='Queries of each case.')] = 8,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for all figures.'),
    ] = None,
    page: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Page whose table is written anew: docs/degeneracy.md.'),
    ] = None,
) -> None:
    """Print a line for each case and method; exit code 1 if a pose is wrong."""
    if page is not None:
        if only or methods or data is None or maps is None:
            raise typer.BadParameter('--page is for the whole table: give DATA and --maps alone')
        read_page(page)
    cases = [(case, FEW_IMAGES) for case in synthetic_cases(count)]
    if data is not None and maps is not None:
        cases += [(case, {}) for case in real_cases(data, maps, count)]
    figures: list[dict[str, Any]] = []
    for case, settings in cases:
        if only not in case.name:
            continue
        progress.print(case.name, style='dim')
        figures += _figures(case, methods or list(METHODS), settings)
        if output is not None:
            output.write_text(json.dumps(figures) + '\n', 'utf-8')
    console.print(_table(figures))
    if page is not None:
        write_page(figures, page)
    raise typer.Exit(any(outcome['verdict'] == 'WRONG' for outcome in figures))


def _figures(case: Case, methods: Sequence[str], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the map of a case, ask the methods, and note the time it took."""
    started = perf_counter()
    outcomes: list[Outcome] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / 'map'
        case.make(path)
        queries = case.ask()
        for method in methods:
            config = make_config(LocalizationConfig, {**settings, **METHODS[method]})
            outcomes += _ask(case, queries, path, method, config)
    seconds = round(perf_counter() - started, 1)
    return [{**outcome.to_dict(), 'case_seconds': seconds} for outcome in outcomes]


def _ask(
    case: Case, queries: Sequence[Query], path: Path, method: str, config: LocalizationConfig
) -> list[Outcome]:
    """Ask a method without the map's calibration, and with it if there is one."""
    outcomes = []
    with ReferenceMap.open(path) as reference_map:
        calibrations = reference_map.calibrations
        for calibrated in (False, True) if calibrations else (False,):
            reference_map.calibrations = calibrations if calibrated else ()
            try:
                relocalizer = Relocalizer(reference_map, config)
            except MapError:  # no 3D points
                return []
            if calibrated and relocalizer.calibration.calibration is None:
                continue
            found = [relocalizer.process(query) for query, _ in queries]
            truths = [truth for _, truth in queries]
            outcomes.append(_outcome(case, method, calibrated, found, truths))
    return outcomes


def _outcome(
    case: Case,
    method: str,
    calibrated: bool,
    found: Sequence[Localization],
    all_truths: Sequence[RigidTransform],
) -> Outcome:
    poses: list[PoseEstimate] = []
    truths: list[RigidTransform] = []
    for localization, truth in zip(found, all_truths, strict=True):
        if localization.camera_pose is not None:
            poses.append(localization.camera_pose)
            truths.append(truth)
    errors = [
        pose_error(pose.map_from_body, truth) for pose, truth in zip(poses, truths, strict=True)
    ]
    return Outcome(
        case,
        method,
        calibrated,
        Counter(localization.status.value for localization in found),
        np.array(errors).reshape(-1, 2) * (1.0, np.rad2deg(1.0)),
        np.sqrt(normalized_errors(poses, truths).pose),
        np.array([_spread(pose.covariance, case.direction) for pose in poses]).reshape(-1, 2),
    )


def _spread(covariance: Array, direction: Array | None) -> tuple[float, float]:
    """Standard deviation along the free direction, and the mean one across it."""
    block = covariance[:3, :3]
    if direction is None:
        direction = np.linalg.eigh(block)[1][:, -1]
    along = float(direction @ block @ direction)
    return along**0.5, (0.5 * max(float(np.trace(block)) - along, 0.0)) ** 0.5


def _table(outcomes: Sequence[dict[str, Any]]) -> Table:
    table = Table(*HEADINGS, box=None, pad_edge=False)
    for outcome in outcomes:
        table.add_row(*row(outcome))
    return table


if __name__ == '__main__':
    typer.run(main)
