# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of images whose calibration is another camera's: poses far off, or refusals.

    python benchmarks/wrong_cameras.py DATA --maps MAPS [--localizer structure]

DATA holds a folder for each set, MAPS its map, as benchmarks/make_maps.py makes it. Prints the
table of docs/fuzzing.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
from hard_queries import SETS
import numpy as np
from rich.console import Console
from rich.progress import track
from timed_queries import read_queries
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.uncertainty import normalized_errors
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

console = Console(stderr=True)

Change = Callable[[QueryImage], QueryImage]

BEYOND = 25.0
"""Squared Mahalanobis distance of five standard deviations."""
OF_A_WIDTH = 640.0


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder with their maps.')],
    localizer: Annotated[str, typer.Option(help='essential or structure.')] = 'essential',
    count: Annotated[int, typer.Option(min=1, help='Queries of each set at most.')] = 12,
) -> None:
    """Print what is refused of the images as they are, and of those with changed calibrations."""
    counts = {name: Counter[str]() for name in CHANGES}
    for name in [name for name in SETS if (data / name).is_dir()]:
        with ReferenceMap.open(maps / name) as reference_map:
            folder = data / name
            queries = read_queries(
                reference_map, folder / 'images', folder / 'query.txt', count=count
            )
            settings = {'localizer': localizer}
            asking = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
            settings = {**settings, 'acceptance.check_camera': False}
            trusting = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
            for query in track(queries.images, name, console=console, transient=True):
                truth = queries.truth[query.name]
                for change, make in CHANGES.items():
                    counts[change].update(_outcomes(make(query), truth, asking, trusting))
    print('| calibration | poses without the check | beyond 5 σ | refused | of those beyond |')
    print('|---|---|---|---|---|')
    for name, counted in counts.items():
        cells = (counted[each] for each in ('pose', 'beyond', 'refused', 'refused beyond'))
        print('|', ' | '.join([name, *map(str, cells)]), '|')


def _outcomes(
    query: QueryImage, truth: RigidTransform, asking: Relocalizer, trusting: Relocalizer
) -> Iterator[str]:
    pose = trusting.process(query).camera_pose
    if pose is None:
        return
    is_beyond = normalized_errors([pose], [truth]).pose[0] > BEYOND
    is_refused = asking.process(query).camera_pose is None
    yield 'pose'
    if is_beyond:
        yield 'beyond'
    if is_refused:
        yield 'refused'
    if is_beyond and is_refused:
        yield 'refused beyond'


def _with_focal_lengths(x: float, y: float) -> Change:
    def change(query: QueryImage) -> QueryImage:
        fx, fy, *others = query.camera.params
        return replace(query, camera=replace(query.camera, params=(x * fx, y * fy, *others)))

    return change


def _with_principal_point_moved(x: float, y: float) -> Change:
    def change(query: QueryImage) -> QueryImage:
        camera = query.camera
        fx, fy, cx, cy, *others = camera.params
        scale = camera.width / OF_A_WIDTH
        params = (fx, fy, cx + scale * x, cy + scale * y, *others)
        return replace(query, camera=replace(camera, params=params))

    return change


def _zoomed(factor: float) -> Change:
    def change(query: QueryImage) -> QueryImage:
        height, width = query.image.shape[:2]
        matrix = cv2.getRotationMatrix2D((0.5 * width, 0.5 * height), 0.0, factor)
        pixels = np.asarray(cv2.warpAffine(query.image, matrix, (width, height)), np.uint8)
        return replace(query, image=pixels)

    return change


CHANGES: dict[str, Change] = {
    'as it is': lambda query: query,
    'focal lengths 1 % longer': _with_focal_lengths(1.01, 1.01),
    '3 %': _with_focal_lengths(1.03, 1.03),
    '10 %': _with_focal_lengths(1.1, 1.1),
    '25 %': _with_focal_lengths(1.25, 1.25),
    '20 % shorter': _with_focal_lengths(0.8, 0.8),
    'one focal length 3 % longer': _with_focal_lengths(1.03, 1.0),
    'principal point off by (5, 3) pixels of an image 640 wide': _with_principal_point_moved(5, 3),
    '(20, -10)': _with_principal_point_moved(20, -10),
    '(-60, 40)': _with_principal_point_moved(-60, 40),
    'image zoomed by 10 %': _zoomed(1.1),
}


if __name__ == '__main__':
    typer.run(main)
