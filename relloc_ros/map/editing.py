# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Change which images a map has, without building it again.

A process that dies leaves the map as it was. Who has it open keeps the state that was opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
import difflib
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError
from relloc_ros.map.builder import Progress, check_names
from relloc_ros.map.composition import Part, compose
from relloc_ros.map.format import Generation, Manifest, current_generation
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage

__all__ = [
    'Added',
    'MapState',
    'add_images',
    'changing',
    'check_enough',
    'matching_names',
    'open_state',
    'remove_images',
    'same_pixels',
    'weights_folder_of',
]

LEAST_IMAGES = 2
"""A pose with its scale needs two images."""


@dataclass(frozen=True, slots=True, eq=False)
class MapState:
    """A state of a map that is held while it is read.

    Attributes:
        path: folder of the map.
        generation: its files.
        manifest: its map.yaml.
        index: its images.
        reference_map: the map opened.
    """

    path: Path
    generation: Generation
    manifest: Manifest
    index: ImageIndex
    reference_map: ReferenceMap

    @property
    def names(self) -> list[str]:
        """Names of the images, by index."""
        return [entry.name for entry in self.index.entries]

    def rows_of(self, names: Collection[str]) -> NDArray[np.intp]:
        """Find images by name, in the order of the map.

        Raises:
            DataError: the map has no such image.
        """
        row_of = {name: row for row, name in enumerate(self.names)}
        unknown = [name for name in names if name not in row_of]
        if unknown:
            near = difflib.get_close_matches(unknown[0], row_of, 1)
            hint = f'; did you mean {near[0]!r}?' if near else ''
            raise DataError(
                f'map {self.path} has no image {unknown[0]!r}'
                + (f' ({len(unknown)} of the names given are not in it)' if unknown[1:] else '')
                + hint
            )
        return np.array(sorted(row_of[name] for name in set(names)), dtype=np.intp)

    def part(self, rows: NDArray[np.intp], prefix: str = '') -> Part:
        """Take images over into another state."""
        return Part(self.generation, self.index, rows, prefix)


@dataclass(frozen=True, slots=True)
class Added:
    """What has come into a map.

    Attributes:
        num_added: images that are new, the replaced ones among them.
        num_replaced: of these, images whose name the map had already.
        num_images: images in the map now.
        same_pixels: pairs of names, an added image and one that shows exactly the same.
        without_points: whether the map has 3D points, and the added images none.
    """

    num_added: int
    num_replaced: int
    num_images: int
    same_pixels: tuple[tuple[str, str], ...]
    without_points: bool


@contextmanager
def open_state(path: Path) -> Iterator[MapState]:
    """Open a map and hold its state while the block runs.

    Raises:
        MapError: no map, or damaged.
    """
    with ReferenceMap.open(path, weights_folder=weights_folder_of(path)) as reference_map:
        generation = reference_map.generation
        manifest = Manifest.read(generation.manifest)
        index = ImageIndex.read(generation)
        yield MapState(path, generation, manifest, index, reference_map)


def weights_folder_of(path: Path) -> str:
    """Give the folder with the weights that a map was built with; '' is installed packages.

    Raises:
        MapError: no map, or damaged.
    """
    return Manifest.read(current_generation(path).manifest).config.weights_folder


def add_images(
    path: Path,
    posed: Sequence[PosedImage],
    *,
    replace_images: bool = False,
    units: str | None = None,
    source: str = '',
    wait: float = 0.0,
    progress: Progress | None = None,
) -> Added:
    """Add posed images to a map, described by its own settings and vocabulary.

    The other images stay as they are. The added ones have no 3D points.

    Args:
        path: folder of the map.
        posed: the images, posed in the frame of the map.
        replace_images: whether they take the place of images of the same name.
        units: unit of length of the poses; None is that of the map.
        source: where they come from, for people.
        wait: seconds to wait for another process that changes the map.
        progress: called after every image.

    Raises:
        MapError: no map, damaged, being changed, or cannot be written.
        DataError: a name that the map has, other units, unusable images, weights missing.
        MissingDependencyError: the map needs a network whose packages are not installed.
    """
    check_names(posed)
    names = {image.name for image in posed}
    with changing(path, wait) as (state, new):
        _check_units(state, units)
        known = [name for name in state.names if name in names]
        if known and not replace_images:
            raise DataError(
                f'map {path} has {len(known)} of the {len(posed)} images already, the first is '
                f'{known[0]!r}: name the others with --list, or replace these with '
                '--overwrite-images'
            )
        state.reference_map.prepare()
        kept = state.part(_others(state, known))
        origin = '; '.join(filter(None, (state.manifest.source, source)))
        manifest = replace(state.manifest, source=origin)
        entries = compose(new, [kept], posed, manifest, _reporter(progress))
        has_points = new.points.is_dir()
    return Added(len(posed), len(known), len(entries), same_pixels(entries, names), has_points)


def remove_images(
    path: Path,
    names: Collection[str],
    *,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> int:
    """Remove images from a map, and the 3D points that fewer than two others show.

    Args:
        path: folder of the map.
        names: of the images.
        wait: seconds to wait for another process that changes the map.
        progress: called after every image that stays.

    Returns:
        The number of images left.

    Raises:
        MapError: no map, damaged, being changed, or cannot be written.
        DataError: a name that the map does not have, or too few images would be left.
    """
    with changing(path, wait) as (state, new):
        state.rows_of(names)
        rows = _others(state, names)
        check_enough(path, len(rows))
        return len(compose(new, [state.part(rows)], [], state.manifest, _reporter(progress)))


def matching_names(path: Path, pattern: str) -> list[str]:
    """Give the names in a map that match a pattern as in shells; `*` also matches `/`.

    Raises:
        MapError: no map, or damaged.
        DataError: no name matches.
    """
    entries = ImageIndex.read(current_generation(path)).entries
    found = [entry.name for entry in entries if fnmatchcase(entry.name, pattern)]
    if not found:
        raise DataError(
            f'no image of map {path} matches {pattern!r}; its first is {entries[0].name!r}'
        )
    return found


@contextmanager
def changing(path: Path, wait: float) -> Iterator[tuple[MapState, Generation]]:
    """Give the state of a map and an empty folder for the next, shown when the block ends well.

    Raises:
        MapError: no map, damaged, being changed, or cannot be written.
    """
    current_generation(path)
    with new_generation(path, overwrite=True, wait=wait) as new, open_state(path) as state:
        yield state, new


def check_enough(path: Path, count: int) -> None:
    """Refuse to make a map of too few images.

    Raises:
        DataError: too few.
    """
    if count < LEAST_IMAGES:
        raise DataError(
            f'map {path} would have {count} images left, a map needs {LEAST_IMAGES}: keep more, '
            'or delete the folder of the map'
        )


def _others(state: MapState, names: Collection[str]) -> NDArray[np.intp]:
    dropped = set(names)
    return np.flatnonzero([name not in dropped for name in state.names])


def _check_units(state: MapState, units: str | None) -> None:
    if units is not None and units != state.manifest.units:
        raise DataError(
            f'map {state.path} is in {state.manifest.units!r}, the images are posed in '
            f'{units!r}: bring the poses to the units of the map'
        )


def same_pixels(entries: Sequence[ImageEntry], added: set[str]) -> tuple[tuple[str, str], ...]:
    """Pair each added image that shows exactly the same as another with that one, by name."""
    first: dict[str, str] = {}
    for entry in sorted(entries, key=lambda entry: entry.name in added):
        first.setdefault(entry.digest, entry.name)
    return tuple(
        (entry.name, first[entry.digest])
        for entry in entries
        if entry.name in added and first[entry.digest] != entry.name
    )


def _reporter(progress: Progress | None) -> Progress:
    return progress or (lambda done, total, stage: None)
