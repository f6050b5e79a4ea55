# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigs of images of real sequences beside single images, as the table of docs/results.md.

    python benchmarks/rigs.py DATA --maps DIR

DATA holds a folder for each set, with `images`, `sparse`, `map.txt` and `query.txt`. A rig of
cameras is a query with some before it, by their true relative poses. A virtual rig gets odometry
whose every step is wrong by 5 % of distance and angle, always in the same direction. Hard
conditions: a map of a few of the images only, queries of which only the middle is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
from rich.console import Console
import typer

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, TrackingConfig, make_config, parse_assignments
from relloc_ros.evaluation.uncertainty import covariance_statistics, normalized_errors
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, QueryImage
from relloc_ros.virtual_rig import VirtualRig

console = Console(stderr=True)

DRIFT = 0.05
SIZES = (1, 2, 3, 5)
VIRTUAL_SIZES = (3, 5)


@dataclass(frozen=True)
class Condition:
    """What is made of a set: every so many of its map images, how much of a query is left.

    The images of a rig are `apart` queries from each other.
    """

    name: str
    map_step: int = 1
    kept: float = 1.0
    apart: int = 1
    is_video: bool = False


CONDITIONS = (
    Condition('redkitchen', apart=5, is_video=True),
    Condition('redkitchen', map_step=20, apart=5, is_video=True),
    Condition('redkitchen', map_step=40, apart=5, is_video=True),
    Condition('redkitchen', map_step=10, kept=0.4, apart=5, is_video=True),
    Condition('redkitchen', map_step=10, kept=0.4, apart=60),
    Condition('fr1_rpy', is_video=True),
    Condition('fr1_rpy', kept=0.4, is_video=True),
    Condition('south_building'),
    Condition('south_building', map_step=3, kept=0.4),
)


@dataclass(frozen=True)
class Shot:
    """A query with what it shows and where it was taken."""

    sighting: Sighting
    map_from_cam: RigidTransform


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    maps: Annotated[Path, typer.Option(help='Folder for maps; those there are used again.')],
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--only', help='Name of a set; by default all.'),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE, as in relloc evaluate.'),
    ] = None,
) -> None:
    """Print a Markdown table: errors, availability and NEES by the number of images."""
    config = make_config(LocalizationConfig, parse_assignments(settings or []))
    print(
        '| set | map images | query | images apart | images | localized | within 5 cm, 5° '
        '| position, median, 95 % | rotation, median | > 0.5 m | NEES |'
    )
    print('|' + '---|' * 11)
    for condition in CONDITIONS:
        if (data / condition.name).is_dir() and (not sets or condition.name in sets):
            for row in _rows(condition, data / condition.name, maps, config):
                print(f'| {" | ".join(row)} |', flush=True)


def _rows(
    condition: Condition, folder: Path, maps: Path, config: LocalizationConfig
) -> Iterator[list[str]]:
    map_folder = _ensure_map(condition, folder, maps)
    posed = read_source(folder, list_file=folder / 'query.txt')
    with ReferenceMap.open(map_folder) as reference_map:
        relocalizer = Relocalizer(reference_map, config)
        with console.status(f'{len(posed)} images of {condition.name}'):
            shots = [_shoot(relocalizer, image, condition.kept) for image in posed]
        kept = 'whole' if condition.kept == 1.0 else f'middle {condition.kept:.0%}'
        about = [condition.name, str(reference_map.num_images), kept, str(condition.apart)]
        for size in SIZES:
            results = _localize(relocalizer, shots, condition.apart, size)
            yield [*about, str(size), *_figures(shots, results)]
            about = [''] * len(about)
        for size in VIRTUAL_SIZES if condition.is_video else ():
            results = _follow(relocalizer, shots, size)
            yield [*about, f'virtual {size}', *_figures(shots, results)]


def _ensure_map(condition: Condition, folder: Path, maps: Path) -> Path:
    output = maps / f'{condition.name}_{condition.map_step}'
    if not output.exists():
        posed = read_source(folder, list_file=folder / 'map.txt')
        with console.status(f'building the map of {output.name}'):
            build_map(posed[:: condition.map_step], output, source=condition.name)
    return output


def _shoot(relocalizer: Relocalizer, posed: PosedImage, kept: float) -> Shot:
    image, camera = read_image(posed), posed.camera
    if kept < 1.0:
        camera = _middle(camera, kept)
        top, left = (image.shape[0] - camera.height) // 2, (image.shape[1] - camera.width) // 2
        image = image[top : top + camera.height, left : left + camera.width].copy()
    sighting = relocalizer.sight(QueryImage(image, camera, posed.stamp_ns, 'cam', posed.name))
    return Shot(sighting, posed.cam_from_map.inverse())


def _middle(camera: Camera, kept: float) -> Camera:
    """Give the camera of the middle of the images."""
    cut = camera.to_pycolmap(1)
    width, height = int(kept * camera.width), int(kept * camera.height)
    cut.principal_point_x -= (camera.width - width) // 2
    cut.principal_point_y -= (camera.height - height) // 2
    cut.width, cut.height = width, height
    return Camera.from_pycolmap(cut)


def _localize(
    relocalizer: Relocalizer, shots: Sequence[Shot], apart: int, size: int
) -> list[Localization]:
    """Localize each image with those before it; the first have fewer."""
    results = []
    for newest, body in enumerate(shots):
        rig = [shots[index] for index in range(newest, -1, -apart)[:size]]
        body_from_map = body.map_from_cam.inverse()
        views = [PlacedSighting(shot.sighting, body_from_map @ shot.map_from_cam) for shot in rig]
        results.append(relocalizer.locate(views))
    return results


def _follow(relocalizer: Relocalizer, shots: Sequence[Shot], size: int) -> list[Localization]:
    """Localize the images in turn, with drifting odometry."""
    rng = np.random.default_rng(0)
    tilt, shift = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
    rig = VirtualRig(relocalizer, TrackingConfig(), size)
    odom_from_cam, before = RigidTransform.identity(), shots[0].map_from_cam
    results = []
    for shot in shots:
        step = before.inverse() @ shot.map_from_cam
        angle = DRIFT * float(np.linalg.norm(log_so3(step.rotation)))
        distance = DRIFT * float(np.linalg.norm(step.translation))
        drift = RigidTransform(exp_so3(angle * tilt), distance * shift)
        odom_from_cam, before = odom_from_cam @ step @ drift, shot.map_from_cam
        results.append(rig.localize(shot.sighting, odom_from_cam))
    return results


def _figures(shots: Sequence[Shot], results: Sequence[Localization]) -> list[str]:
    errors = np.full((len(shots), 2), np.inf)
    estimates, truths = [], []
    for index, (shot, result) in enumerate(zip(shots, results, strict=True)):
        if result.camera_pose is not None:
            errors[index] = pose_error(result.camera_pose.map_from_body, shot.map_from_cam)
            estimates.append(result.camera_pose)
            truths.append(shot.map_from_cam)
    distances, degrees = errors[:, 0], np.rad2deg(errors[:, 1])
    nees = covariance_statistics(normalized_errors(estimates, truths))['pose']['median_nees']
    return [
        f'{len(estimates) / len(shots):.1%}',
        f'{np.mean((distances <= 0.05) & (degrees <= 5.0)):.1%}',
        f'{_percentile(distances, 50)}, {_percentile(distances, 95)}',
        f'{_percentile(degrees, 50)}°',
        f'{np.sum(np.isfinite(distances) & (distances > 0.5))}',
        '' if nees is None else f'{nees:.1f}',
    ]


def _percentile(values: np.ndarray, percent: float) -> str:
    value = np.percentile(values, percent, method='higher')
    return f'{value:.4f}' if np.isfinite(value) else 'infinite'


if __name__ == '__main__':
    typer.run(main)
