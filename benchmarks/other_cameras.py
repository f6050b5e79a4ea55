# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries with another calibration than theirs: what becomes of poses that are wrong for it.

    python benchmarks/other_cameras.py DATA --maps MAPS [--localizer NAME]

Each query is localized with a camera that is off: as if nothing could be wrong with it, without
`acceptance.check_camera` and `focal_length_std`, and with the defaults.
A pose is wrong beyond five standard deviations (NEES above 25).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from hard_queries import Split, read_sets
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
import typer

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.evaluation.metrics import normalized_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, QueryImage, Status
from relloc_ros.vision.covariance import standard_deviations

console = Console(width=120)

SIGMAS = 5.0
TRUSTING = {'acceptance.check_camera': False, 'focal_length_std': 0.0}
COUNTS = ('queries', 'poses', 'wrong', 'refused', 'covered', 'left', 'right refused')
WIDER = 'times as unsure'
CUT = 0.1

Image = NDArray[np.uint8]
Change = Callable[[Image, Camera], tuple[Image, Camera]]


def _as_is(pixels: Image, camera: Camera) -> tuple[Image, Camera]:
    return pixels, camera


def _cut(pixels: Image, camera: Camera) -> tuple[Image, Camera]:
    """Cut off a border at the left and at the top: another camera, with the right calibration."""
    fx, fy, cx, cy, *rest = _pinhole(camera)
    x, y = round(CUT * camera.width), round(CUT * camera.height)
    cut = pixels[y:, x:]
    height, width = cut.shape[:2]
    params = (fx, fy, cx - x, cy - y, *rest)
    return cut, replace(camera, width=width, height=height, params=params)


def _zoomed(x: float, y: float) -> Change:
    def change(pixels: Image, camera: Camera) -> tuple[Image, Camera]:
        fx, fy, *rest = _pinhole(camera)
        return pixels, replace(camera, params=(x * fx, y * fy, *rest))

    return change


def _moved(x: float, y: float) -> Change:
    """Move the principal point by pixels of an image 640 wide."""

    def change(pixels: Image, camera: Camera) -> tuple[Image, Camera]:
        fx, fy, cx, cy, *rest = _pinhole(camera)
        scale = camera.width / 640.0
        params = (fx, fy, cx + x * scale, cy + y * scale, *rest)
        return pixels, replace(camera, params=params)

    return change


CHANGES: dict[str, Change] = {
    'none': _as_is,
    'none, image cut': _cut,
    'focal lengths 1 % longer': _zoomed(1.01, 1.01),
    'focal lengths 3 % longer': _zoomed(1.03, 1.03),
    'focal lengths 10 % longer': _zoomed(1.1, 1.1),
    'focal lengths 20 % shorter': _zoomed(0.8, 0.8),
    'focal lengths twice as long': _zoomed(2.0, 2.0),
    'one focal length 3 % longer': _zoomed(1.03, 1.0),
    'principal point off by (5, 3)': _moved(5.0, 3.0),
    'principal point off by (20, -10)': _moved(20.0, -10.0),
    'principal point off by (-60, 40)': _moved(-60.0, 40.0),
}


def main(
    data: Annotated[Path, typer.Argument(help='Folder with data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder with their calibrated maps.')],
    localizer: Annotated[str, typer.Option(help='essential or structure.')] = 'essential',
    count: Annotated[int, typer.Option('--queries', help='Of each set, at most.')] = 20,
) -> None:
    """Print how many wrong poses are refused, covered by a wider covariance, and left."""
    table = Table('calibration', *COUNTS, WIDER, box=None, pad_edge=False)
    totals = {name: dict.fromkeys(COUNTS, 0) for name in CHANGES}
    wider: dict[str, list[float]] = {name: [] for name in CHANGES}
    for name, split in read_sets(data).items():
        if not (maps / name).is_dir():
            continue
        with ReferenceMap.open(maps / name) as reference_map:
            _count(reference_map, split, localizer, count, totals, wider)
    for change, counts in totals.items():
        times = f'{np.median(wider[change]):.2f}' if wider[change] else '-'
        table.add_row(change, *(str(counts[column]) for column in COUNTS), times)
    console.print(table)


def _count(
    reference_map: ReferenceMap,
    split: Split,
    localizer: str,
    count: int,
    totals: dict[str, dict[str, int]],
    wider: dict[str, list[float]],
) -> None:
    trusting, asking = (
        Relocalizer(
            reference_map, make_config(LocalizationConfig, {'localizer': localizer, **settings})
        )
        for settings in (TRUSTING, {})
    )
    rows = np.linspace(0, len(split.queries) - 1, min(count, len(split.queries))).astype(int)
    for row in track(rows, f'{reference_map.path.name}', console=Console(stderr=True)):
        image = split.queries[row]
        truth, pixels = image.cam_from_map.inverse(), read_image(image)
        for name, change in CHANGES.items():
            query = QueryImage(*change(pixels, image.camera), image.stamp_ns, name=image.name)
            before, after = trusting.process(query), asking.process(query)
            was_wrong, is_wrong = _is_wrong(before, truth), _is_wrong(after, truth)
            counts = totals[name]
            counts['queries'] += 1
            counts['poses'] += before.localized
            counts['wrong'] += was_wrong
            counts['refused'] += was_wrong and after.status is Status.GATED
            counts['covered'] += was_wrong and after.localized and not is_wrong
            counts['left'] += is_wrong
            counts['right refused'] += before.localized and not was_wrong and not after.localized
            if before.camera_pose and after.camera_pose:
                stds = [
                    standard_deviations(each.covariance)[0]
                    for each in (after.camera_pose, before.camera_pose)
                ]
                wider[name].append(stds[0] / stds[1])


def _pinhole(camera: Camera) -> tuple[float, ...]:
    """Parameters that begin with two focal lengths and the principal point."""
    if camera.model.startswith('SIMPLE'):
        raise typer.BadParameter(f'cameras of model {camera.model} have one focal length')
    return camera.params


def _is_wrong(found: Localization, truth: RigidTransform) -> bool:
    pose = found.camera_pose
    return pose is not None and normalized_error(pose, truth) > SIGMAS**2


if __name__ == '__main__':
    typer.run(main)
