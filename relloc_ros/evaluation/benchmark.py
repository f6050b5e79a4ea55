# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localizers on all scenes of a public data set, by its published splits.

For each scene the map is built from the training images and the test images are localized. Maps
and finished runs are kept in the output folder and used again, so that a benchmark that was
stopped goes on where it was::

    OUTPUT/heads/map/                  the map, triangulated if `structure` is run
    OUTPUT/heads/essential/            a run: run.json, outcomes.jsonl
    OUTPUT/benchmark.md, .csv          the table, after each scene
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
import re
from typing import NamedTuple

import numpy as np

from relloc_ros.config import LocalizationConfig, flatten, make_config, nearest, parameters
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.outcomes import Run, read_run, write_run
from relloc_ros.evaluation.queries import FolderQueries
from relloc_ros.evaluation.run import evaluate
from relloc_ros.localizers import LOCALIZERS
from relloc_ros.map.builder import build_map
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer

__all__ = [
    'DATA_SETS',
    'DEFAULT_ENTRANTS',
    'Entrant',
    'SceneResult',
    'find_scenes',
    'parse_entrant',
    'run_scene',
]

DATA_SETS: Mapping[str, tuple[str, ...]] = {
    'cambridge': (
        'KingsCollege',
        'OldHospital',
        'ShopFacade',
        'StMarysChurch',
        'Street',
        'GreatCourt',
    ),
    '7scenes': ('chess', 'fire', 'heads', 'office', 'pumpkin', 'redkitchen', 'stairs'),
}
"""The folders of the scenes."""

DEFAULT_ENTRANTS = ('retrieval', 'retrieval:interpolation=affine', 'essential', 'structure')

NEEDS_POINTS = 'structure'
"""The localizer whose maps are triangulated."""

NO_GATES = {
    'max_position_std': 0,
    'max_orientation_std': 0,
    'min_similarity': -1,
    'acceptance.max_false_accept_rate': 1,
}
"""Published methods answer every query, however unsure."""

Stages = Callable[[str], AbstractContextManager[Callable[[int, int, str], None]]]
"""Called with the title of what takes long; gives what is called with (done, total, detail)."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A localizer with settings, as it enters the benchmark.

    Attributes:
        label: as it was asked for, ``NAME[:setting=value,...]``.
        config: what that means.
    """

    label: str
    config: LocalizationConfig

    @property
    def folder_name(self) -> str:
        """Name for the folder of its runs."""
        return re.sub(r'[^\w.=,+-]', '_', self.label)


class SceneResult(NamedTuple):
    """What a localizer reached in a scene.

    Attributes:
        median_error: position (m) and rotation (degrees), over all queries; infinite where half
            of them failed.
        num_queries: with known pose.
        num_localized: of them.
    """

    median_error: PoseError
    num_queries: int
    num_localized: int


def parse_entrant(text: str) -> Entrant:
    """Understand ``NAME[:setting=value,...]``; a setting of the localizer's own needs no prefix.

    Raises:
        ConfigError: unknown localizer or setting, or a value out of range.
    """
    name, _, assignments = text.partition(':')
    if name not in LOCALIZERS:
        known = ', '.join(LOCALIZERS)
        raise ConfigError(
            f"unknown localizer '{name}'{nearest(name, list(LOCALIZERS))}; known: {known}"
        )
    values: dict[str, object] = {**NO_GATES, 'localizer': name}
    for assignment in filter(None, assignments.split(',')):
        key, separator, value = assignment.partition('=')
        if not separator:
            raise ConfigError(f"'{assignment}' in '{text}' is not of the form setting=value")
        own = f'{name}.{key.strip()}'
        values[own if own in parameters(LocalizationConfig) else key.strip()] = value.strip()
    return Entrant(text, make_config(LocalizationConfig, values))


def find_scenes(
    data_set: str, root: Path, wanted: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Find which of the wanted scenes, or of all, lie in a folder.

    Returns:
        Names of those found, and of those that are not there.

    Raises:
        DataError: none is there, or a wanted one is no scene of the data set.
    """
    scenes = DATA_SETS[data_set]
    for name in wanted:
        if name not in scenes:
            hint = nearest(name, list(scenes))
            raise DataError(f'{data_set} has no scene {name!r}{hint}; it has {", ".join(scenes)}')
    candidates = [scene for scene in scenes if not wanted or scene in wanted]
    found = [scene for scene in candidates if (root / scene).is_dir()]
    if not found:
        raise DataError(
            f'{root} holds none of the scenes {", ".join(candidates)}: name the folder they are in'
        )
    return found, [scene for scene in candidates if scene not in found]


def run_scene(
    scene: Path,
    output: Path,
    entrants: Sequence[Entrant],
    stages: Stages,
    *,
    overwrite: bool = False,
) -> Iterator[tuple[Entrant, SceneResult]]:
    """Localize the test images of a scene by each entrant in turn.

    Args:
        scene: its folder, in the data set's layout.
        output: folder for its map and runs; those that fit are used again.
        entrants: the localizers.
        stages: shows the progress of each stage.
        overwrite: build the map and run everything anew.

    Raises:
        DataError: malformed scene, or the output cannot be written.
        MapError: the output holds a damaged map, or nothing can be triangulated for `structure`.
    """
    map_folder = output / 'map'
    _prepare_map(scene, map_folder, stages, overwrite)
    if any(entrant.config.localizer == NEEDS_POINTS for entrant in entrants):
        _prepare_points(scene, map_folder, stages)
    for entrant in entrants:
        run_folder = output / entrant.folder_name
        with ReferenceMap.open(map_folder, entrant.config.descriptor_cache_mb) as reference_map:
            run = None if overwrite else _finished_run(run_folder, reference_map, entrant)
            if run is None:
                queries = FolderQueries(read_source(scene, split='test'))
                relocalizer = Relocalizer(reference_map, entrant.config)
                with stages(f'{scene.name}: {entrant.label}') as progress:
                    # The published test images are all of them, whatever they look like.
                    run = evaluate(queries, relocalizer, allow_map_images=True, progress=progress)
                run_folder.mkdir(parents=True, exist_ok=True)
                write_run(run, run_folder)
        yield entrant, _result(run)


def _prepare_map(scene: Path, map_folder: Path, stages: Stages, overwrite: bool) -> None:
    """Build the map unless it is there."""
    if map_folder.exists() and not overwrite:
        source = Manifest.read(current_generation(map_folder).manifest).source
        if source != str(scene):
            raise DataError(
                f'map {map_folder} was built from {source}, not from {scene}: choose another '
                '--output, or --overwrite'
            )
        return
    posed = read_source(scene, split='train')
    map_folder.parent.mkdir(parents=True, exist_ok=True)
    with stages(f'{scene.name}: map') as progress:
        build_map(posed, map_folder, overwrite=overwrite, source=str(scene), progress=progress)


def _prepare_points(scene: Path, map_folder: Path, stages: Stages) -> None:
    """Triangulate the map unless it has points."""
    with ReferenceMap.open(map_folder) as reference_map:
        has_points = reference_map.points is not None
    if not has_points:
        with stages(f'{scene.name}: triangulation') as progress:
            triangulate_map(map_folder, progress=progress)


def _finished_run(folder: Path, reference_map: ReferenceMap, entrant: Entrant) -> Run | None:
    """Read a run of before, if it was made with this map and these settings."""
    try:
        run = read_run(folder)
    except DataError:
        return None
    fits = run.map_id == reference_map.map_id and dict(run.settings) == flatten(entrant.config)
    return run if fits else None


def _result(run: Run) -> SceneResult:
    errors = np.array([outcome.error for outcome in run.scored], dtype=np.float64)
    position, rotation = np.median(errors, axis=0)
    num_localized = sum(outcome.localized for outcome in run.scored)
    return SceneResult((float(position), float(rotation)), len(errors), num_localized)
