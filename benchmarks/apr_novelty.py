# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images `apr` refuses as unlike its training images, and how wrong those are that it takes.

    python benchmarks/apr_novelty.py DATA SET --map MAP --network FILE [--limit N]

DATA holds a folder for each set, as benchmarks/acceptance.py wants it. FILE is a network that
`relloc train apr` has trained on MAP, the map of SET; map images are those that training held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

from hard_queries import Case, hard_cases, read_sets
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
import typer

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.geometry import pose_error
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status

console = Console(width=120)

NEVER = 0.0
ANSWERING = {'localizer': 'apr', 'max_position_std': 0.0, 'max_orientation_std': 0.0}


class _Answer(NamedTuple):
    refused: bool
    error: tuple[float, float] | None
    """Position, map units, and rotation, radians, of what the network says all the same."""


def main(
    data: Annotated[Path, typer.Argument(help='Folder with the data sets.')],
    name: Annotated[str, typer.Argument(metavar='SET', help='Set that the map is of.')],
    map_folder: Annotated[Path, typer.Option('--map', help='The map.')],
    network: Annotated[Path, typer.Option(help='File of `relloc train apr`.')],
    limit: Annotated[int, typer.Option(help='Queries of each kind at most; 0 is all.')] = 0,
) -> None:
    """Count refusals by kind of image."""
    settings = {**ANSWERING, 'apr.network': str(network)}
    with ReferenceMap.open(map_folder) as reference_map:
        strict, lax = (
            Relocalizer(reference_map, make_config(LocalizationConfig, {**settings, **more}))
            for more in ({}, {'apr.max_novelty': NEVER})
        )
        held_out = {
            name
            for name, learned in zip(reference_map.image_names, strict.learned_images, strict=True)
            if not learned
        }
        answers: dict[str, list[_Answer]] = {}
        for case in track(list(_cases(data, name, held_out)), 'images', console=console):
            known = answers.setdefault(case.kind, [])
            if not limit or len(known) < limit:
                known.append(_ask(case, strict, lax))
    console.print(_table(answers))


def _cases(data: Path, name: str, held_out: set[str]) -> Iterator[Case]:
    splits = read_sets(data)
    for image in splits[name].mapped:
        if image.name in held_out:
            yield _case('held out in training', image)
    for image in splits[name].queries:
        yield _case('query', image)
    yield from hard_cases(name, splits)


def _case(kind: str, image: PosedImage) -> Case:
    truth = image.cam_from_map.inverse()
    return Case(kind, image.name, image.camera, image.stamp_ns, lambda: read_image(image), truth)


def _ask(case: Case, strict: Relocalizer, lax: Relocalizer) -> _Answer:
    query = QueryImage(case.make(), case.camera, case.stamp_ns, name=case.name)
    refused = strict.process(query).status is not Status.LOCALIZED
    pose = lax.process(query).camera_pose
    if pose is None or case.truth is None:
        return _Answer(refused, None)
    return _Answer(refused, pose_error(pose.map_from_body, case.truth))


def _table(answers: dict[str, list[_Answer]]) -> Table:
    table = Table(box=None)
    for heading in ('image', 'n', 'refused', 'error if taken', 'error if refused'):
        table.add_column(heading)
    for kind, given in answers.items():
        share = np.mean([each.refused for each in given])
        errors = [
            _median([each.error for each in given if each.error and each.refused is refused])
            for refused in (False, True)
        ]
        table.add_row(kind, str(len(given)), f'{share:.0%}', *errors)
    return table


def _median(errors: list[tuple[float, float]]) -> str:
    if not errors:
        return ''
    position, rotation = np.median(errors, axis=0)
    return f'{position:.3g}, {np.rad2deg(rotation):.3g} deg'


if __name__ == '__main__':
    typer.run(main)
