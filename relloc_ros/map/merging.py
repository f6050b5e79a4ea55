# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make one map of two that were built in the same frame."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError, MapError
from relloc_ros.map.builder import Progress
from relloc_ros.map.composition import Part, compose
from relloc_ros.map.editing import MapState, open_state, same_pixels
from relloc_ros.map.image_index import image_digest
from relloc_ros.map.publication import new_generation
from relloc_ros.map.sources import read_pixels
from relloc_ros.map.sources.names import file_of

__all__ = ['Merged', 'merge_maps']


@dataclass(frozen=True, slots=True)
class Merged:
    """What has become of two maps.

    Attributes:
        num_images: images in the new map.
        same_pixels: pairs of names, an image of the second map and one that shows exactly the
            same.
        partly_points: whether one of the maps has 3D points and the other has none.
    """

    num_images: int
    same_pixels: tuple[tuple[str, str], ...]
    partly_points: bool


def merge_maps(
    first: Path,
    second: Path,
    output: Path,
    *,
    prefix: str = '',
    images: Path | None = None,
    overwrite: bool = False,
    wait: float = 0.0,
    progress: Progress | None = None,
) -> Merged:
    """Make a map of all images of two maps, with the settings and the vocabulary of the first.

    Features and 3D points are taken over. So are the global descriptors of the second map, if
    both have the same vocabulary; else they are computed anew from the images themselves.

    Args:
        first: folder of a map.
        second: folder of a map in the same frame.
        output: folder of the new map.
        prefix: put before the names of the second map's images.
        images: folder of the second map's images, where the vocabularies differ.
        overwrite: replace an existing map.
        wait: seconds to wait for another process that changes `output`.
        progress: called after every image.

    Raises:
        MapError: no map, damaged, or `output` cannot be written or must not be replaced.
        DataError: the maps have other features, units or vocabularies, or images of one name; an
            image is missing or is not the one in the map.
    """
    report = progress or (lambda done, total, stage: None)
    with (
        new_generation(output, overwrite=overwrite, wait=wait) as new,
        ExitStack() as opened,
    ):
        a, b = (opened.enter_context(open_state(path)) for path in (first, second))
        _check_alike(a, b)
        _check_names(a, b, prefix)
        descriptors = None
        if a.manifest.checksums['vocabulary'] != b.manifest.checksums['vocabulary']:
            descriptors = _describe_again(a, b, images, report)
        parts = [
            a.part(np.arange(len(a.names))),
            Part(b.generation, b.index, np.arange(len(b.names)), prefix, descriptors),
        ]
        created = datetime.now(timezone.utc).isoformat(timespec='seconds')
        sources = dict.fromkeys(filter(None, (a.manifest.source, b.manifest.source)))
        frames = [state.manifest.global_frame for state in (a, b)]
        known = [frame for frame in frames if frame.content()]
        manifest = replace(
            a.manifest,
            created=created,
            source='; '.join(sources),
            global_frame=known[0] if known else frames[0],
        )
        entries = compose(new, parts, [], manifest, report)
        partly = a.generation.points.is_dir() != b.generation.points.is_dir()
        further = {prefix + name for name in b.names}
    return Merged(len(entries), same_pixels(entries, further), partly)


def _check_alike(a: MapState, b: MapState) -> None:
    for what, of_a, of_b in (
        ('features', a.manifest.config.features, b.manifest.config.features),
        ('feature weights', a.manifest.features_weights, b.manifest.features_weights),
        (
            'global descriptor',
            a.manifest.config.global_descriptor,
            b.manifest.config.global_descriptor,
        ),
        ('units', a.manifest.units, b.manifest.units),
        ('frame', a.manifest.frame_id, b.manifest.frame_id),
    ):
        if of_a != of_b:
            raise DataError(
                f'maps {a.path} and {b.path} do not fit together: {what} {of_a!r} and {of_b!r}; '
                f'build one of them again, as the other'
            )


def _check_names(a: MapState, b: MapState, prefix: str) -> None:
    taken = set(a.names)
    clashes = [prefix + name for name in b.names if prefix + name in taken]
    if clashes:
        raise DataError(
            f'{len(clashes)} images of {b.path} have names that {a.path} has, too, the first is '
            f'{clashes[0]!r}: put something before the names of the second map with --prefix'
        )
    if '\n' in prefix or '\0' in prefix:
        raise DataError(f'prefix {prefix!r} cannot be part of an image name')


def _describe_again(
    a: MapState, b: MapState, images: Path | None, report: Progress
) -> NDArray[np.float32]:
    if images is None:
        raise DataError(
            f'maps {a.path} and {b.path} have different vocabularies, so the images of {b.path} '
            'have to be described again: name their folder with --images, or build that map again '
            f'with --vocabulary {a.generation.vocabulary}'
        )
    try:
        a.reference_map.prepare()
    except MapError as error:
        raise DataError(str(error)) from error
    return np.array([_describe(a, b, row, images, report) for row in range(len(b.names))])


def _describe(
    a: MapState, b: MapState, row: int, images: Path, report: Progress
) -> Sequence[float] | NDArray[np.float32]:
    entry = b.index.entries[row]
    pixels = read_pixels(file_of(images, entry.name), b.reference_map.camera(row))
    if image_digest(pixels) != entry.digest:
        raise DataError(
            f'{file_of(images, entry.name)} is not the image that {b.path} was built from: name '
            'the folder of those with --images'
        )
    report(row + 1, len(b.names), 'describing')
    return a.reference_map.describe(pixels)
