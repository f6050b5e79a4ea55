# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often a wrong pose is accepted, and how many good ones are refused.

    python benchmarks/acceptance.py DATA --maps DIR --results DIR [--localizer NAME] [--only SET]
                                    [--rate 0.002] [--json OUT]

DATA holds a folder for each set, as benchmarks/calibration.py wants it; the maps are its maps too.
Each answer is kept in RESULTS as it comes: what is there is not localized again. Confidences are
not kept, but what they are made of, so that another rate, or another model, takes no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
import json
from pathlib import Path
import random
from typing import Annotated, Any, Optional

from acceptance_figures import print_figures
import cv2
from hard_queries import Case, Split, hard_cases, read_sets
import numpy as np
from rich.console import Console
from rich.progress import track
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.calibration.held_out_map import HeldOutMap
from relloc_ros.evaluation.calibration.view_shifts import ViewShifts
from relloc_ros.evaluation.metrics import measure_error, normalized_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PoseEstimate, QueryImage
from relloc_ros.vision.covariance import standard_deviations

console = Console(width=120)

LEFT_OUT_IMAGES = 18
"""Of each map."""
LEFT_OUT_SHIFT = 0.1
"""Share of an image's width by which an image left out differs from all that are kept."""
LOCALIZERS = ('essential', 'structure')
ANY_CONFIDENCE = {'acceptance.max_false_accept_rate': 1.0}
LOOSENED = {
    **ANY_CONFIDENCE,
    'acceptance.check_camera': False,
    'min_inliers': 6,
    'min_match_agreement': 0.0,
    'max_position_std': 0.0,
    'max_orientation_std': 0.0,
}
Row = dict[str, Any]


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder for the maps.')],
    results: Annotated[Path, typer.Option(help='Folder for the answers; they are used again.')],
    localizers: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--localizer', help='essential or structure; by default both.'),
    ] = None,
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all.'),
    ] = None,
    limit: Annotated[int, typer.Option(help='Queries of each map at most; 0 is all.')] = 0,
    rate: Annotated[float, typer.Option(help='acceptance.max_false_accept_rate')] = 0.002,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File for the figures.'),
    ] = None,
) -> None:
    """Localize what must be localized and what must not, and print what became of it."""
    cv2.setNumThreads(1)
    results.mkdir(parents=True, exist_ok=True)
    splits = read_sets(data)
    targets = []
    for localizer in localizers or LOCALIZERS:
        rows: list[Row] = []
        for name in sets if sets else splits:
            _require_map(maps / name, splits[name])
            file = results / f'{name}_{localizer}.jsonl'
            rows += _run(name, splits, maps / name, localizer, file, limit)
        targets += print_figures(console, localizer, rows, rate)
    if output is not None:
        text = json.dumps({'rate': rate, 'targets': targets}, indent=2)
        output.write_text(f'{text}\n', 'utf-8')


def _require_map(path: Path, split: Split) -> None:
    if not path.exists():
        build_map(split.mapped, path)
        triangulate_map(path)


def _run(
    name: str, splits: Mapping[str, Split], path: Path, localizer: str, file: Path, limit: int
) -> list[Row]:
    """Localize what has not been localized yet."""
    known = _known(file)
    config = make_config(LocalizationConfig, {'localizer': localizer, **ANY_CONFIDENCE})
    with ReferenceMap.open(path) as reference_map, file.open('a', encoding='utf-8') as output:
        judge = _Judge(reference_map, config)
        cases = [*_queries(splits[name]), *hard_cases(name, splits)]
        random.Random(name).shuffle(cases)
        tasks = [*judge.left_out_tasks(), *cases]
        rows = []
        for task in track(tasks[: limit or None], f'{name}: {localizer}', console=console):
            row = known.get((task.kind, task.name))
            if row is None:
                row = {'set': name, **judge.answer(task)}
                output.write(json.dumps(row) + '\n')
                output.flush()
            rows.append(row)
    return rows


def _known(file: Path) -> dict[tuple[str, str], Row]:
    """Read answers; the last line is dropped if it was cut off by an end of the program."""
    if not file.exists():
        return {}
    lines = file.read_text('utf-8').splitlines(keepends=True)
    if lines and not lines[-1].endswith('\n'):
        lines.pop()
        file.write_text(''.join(lines), 'utf-8')
    rows = [json.loads(line) for line in lines]
    return {(row['kind'], row['name']): row for row in rows}


def _queries(split: Split) -> Iterator[Case]:
    for image in split.queries:
        truth = image.cam_from_map.inverse()
        yield Case(
            'query',
            image.name,
            image.camera,
            image.stamp_ns,
            lambda image=image: read_image(image),
            truth,
        )


class _Judge:
    """Localizes with the limits of acceptance and, where there is no pose, without them.

    Whatever the confidence: that is judged later.
    """

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        self._map = reference_map
        self._shifts = ViewShifts(reference_map)
        self._strict = Relocalizer(reference_map, config)
        self._held_out = HeldOutMap(reference_map, with_points=config.localizer == 'structure')
        self._strict_held_out = Relocalizer(self._held_out, config)
        self._calibration = self._strict.calibration.calibration
        loosened = make_config(LocalizationConfig, {'localizer': config.localizer, **LOOSENED})
        # Its settings are not those that were calibrated, but its covariances are.
        self._loose = Relocalizer(self._held_out, loosened)

    def left_out_tasks(self) -> list[Case]:
        count = min(LEFT_OUT_IMAGES, self._map.num_images)
        return [
            Case(
                'left out',
                self._map.image_names[int(row)],
                self._map.camera(int(row)),
                int(row),
                lambda: np.empty((0, 0), dtype=np.uint8),
                self._map.cam_from_map(int(row)).inverse(),
            )
            for row in np.linspace(0, self._map.num_images - 1, count)
        ]

    def answer(self, case: Case) -> Row:
        """Say what became of a query."""
        if case.kind == 'left out':
            sighting = self._sight_left_out(case.stamp_ns)
        else:
            query = QueryImage(case.make(), case.camera, case.stamp_ns, name=case.name)
            sighting = self._strict.sight(query)
        views = [PlacedSighting(sighting, RigidTransform.identity())]
        strict = self._strict.locate(views)
        found = strict if strict.localized else self._calibrated(self._loose.locate(views))
        pose = found.camera_pose
        row: Row = {
            'kind': case.kind,
            'name': case.name,
            'has_truth': case.truth is not None,
            'status': strict.status.value,
            'reason': strict.reason,
            'calibrated': self._calibration is not None,
            'pose': None,
        }
        if pose is not None:
            row['pose'] = {
                **_error(pose, case.truth),
                **_support(found, pose),
            }
        return row

    def _sight_left_out(self, row: int) -> Sighting:
        excluded = self._shifts.of(row) < LEFT_OUT_SHIFT
        excluded[row] = True
        return self._strict_held_out.sight(self._held_out.hold_out(row, excluded))

    def _calibrated(self, found: Localization) -> Localization:
        pose = found.camera_pose
        if pose is None or self._calibration is None:
            return found
        covariance = self._calibration.apply(pose.covariance, found.num_inliers)
        return replace(found, camera_pose=PoseEstimate(pose.map_from_body, covariance))


def _error(pose: PoseEstimate, truth: RigidTransform | None) -> Row:
    if truth is None:
        return {}
    distance, angle = measure_error(pose, truth)
    return {'error': distance, 'error_deg': angle, 'nees': normalized_error(pose, truth)}


def _support(found: Localization, pose: PoseEstimate) -> Row:
    """What a confidence is made of, and what else might tell a right pose from a wrong one."""
    position_std, rotation_std = standard_deviations(pose.covariance)
    return {
        'inliers': found.num_inliers,
        'matches': found.num_matches,
        'agreement': found.agreement,
        'images': sum(bool(pair.inliers.any()) for pair in found.pairs),
        'covariance': pose.covariance.tolist(),
        'position_std': position_std,
        'rotation_std': rotation_std,
    }


if __name__ == '__main__':
    typer.run(main)
