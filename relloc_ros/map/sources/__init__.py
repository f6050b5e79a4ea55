# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images from files and bags; one module for each format, found in the SOURCES table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
import difflib
import logging
from pathlib import Path

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import MAX_COORDINATE
from relloc_ros.map.sources.cambridge import CAMBRIDGE
from relloc_ros.map.sources.colmap import COLMAP
from relloc_ros.map.sources.euroc import EUROC
from relloc_ros.map.sources.kapture import KAPTURE
from relloc_ros.map.sources.kitti import KITTI
from relloc_ros.map.sources.looking_around import meant_instead
from relloc_ros.map.sources.names import (
    FIRST_STAMP_NS,
    FRAME_PERIOD_NS,
    file_of,
    read_list,
    stamp_from_name,
    stamps_of,
    unique_names,
)
from relloc_ros.map.sources.pose_table import POSE_TABLE
from relloc_ros.map.sources.posed_image import PosedImage, read_image, read_pixels
from relloc_ros.map.sources.reading import SourceFormat, SourceOptions, Split
from relloc_ros.map.sources.rosbag import ROSBAG
from relloc_ros.map.sources.seven_scenes import SEVEN_SCENES
from relloc_ros.map.sources.transforms_json import TRANSFORMS_JSON
from relloc_ros.map.sources.tum import TUM
from relloc_ros.map.sources.unusable import without_unusable

__all__ = [
    'FIRST_STAMP_NS',
    'FRAME_PERIOD_NS',
    'SOURCES',
    'PosedImage',
    'SourceOptions',
    'find_format',
    'read_image',
    'read_list',
    'read_pixels',
    'read_source',
    'stamp_from_name',
    'without_unusable',
]

logger = logging.getLogger(__name__)

ALWAYS_TAKEN = ('images', 'progress')

SOURCES: dict[str, SourceFormat] = {
    # A path that looks like several is taken for the first: data sets before what was made of
    # them.
    'cambridge': CAMBRIDGE,
    '7scenes': SEVEN_SCENES,
    'tum': TUM,
    'kitti': KITTI,
    'euroc': EUROC,
    'kapture': KAPTURE,
    'csv': POSE_TABLE,
    'transforms': TRANSFORMS_JSON,
    'rosbag': ROSBAG,
    'colmap': COLMAP,
}


def read_source(
    source: Path,
    images_dir: Path | None = None,
    list_file: Path | None = None,
    split: Split | None = None,
    *,
    options: SourceOptions | None = None,
    source_format: str | None = None,
) -> list[PosedImage]:
    """Read posed images of any known format, found out by looking at the path.

    Args:
        source: a file or folder of one of SOURCES.
        images_dir: folder of the images; None looks where the format has them.
        list_file: names of the images wanted, in their order; None takes all, by time or name.
        split: the part of a data set that is wanted; None takes all.
        options: what else is to be said about the source; `images_dir` and `split` go before it.
        source_format: name in SOURCES; None looks at the path.

    Raises:
        DataError: unknown format or damaged files, missing list, folder or image, or an option
            that the format does not take.
    """
    name, chosen = find_format(source, source_format)
    given = options or SourceOptions()
    given = replace(given, images=images_dir or given.images, split=split or given.split)
    _check_options(source, name, chosen, given)
    with _system_errors(source):
        found = chosen.read(source, given)
    if not found.folder.is_dir() and any(image.pixels is None for image in found.images):
        raise DataError(f'images folder {found.folder} does not exist: name it with --images')
    images = unique_names(found.images, source)
    stamps = stamps_of(images)
    wanted = list(stamps) if list_file is None else _listed(list_file, images, source)
    result = []
    for image in (images[name] for name in wanted):
        file = file_of(found.folder, image.name)
        path = file if image.pixels is None else source
        stamp_ns = stamps[image.name]
        result.append(
            PosedImage(image.name, path, image.camera, image.cam_from_map, stamp_ns, image.pixels)
        )
    _check_places(result, source)
    with _system_errors(source):
        _check_files(result)
    return result


def find_format(source: Path, name: str | None = None) -> tuple[str, SourceFormat]:
    """Find the format of a path, or take the one named.

    Raises:
        DataError: the path does not exist, looks like none of SOURCES, or not like the one named.
    """
    if name is not None and name not in SOURCES:
        near = difflib.get_close_matches(name, SOURCES, 1, 0.5)
        hint = f'did you mean {near[0]!r}? ' if near else ''
        raise DataError(f'unknown format {name!r}; {hint}known: {", ".join(SOURCES)}')
    with _system_errors(source):
        return _find(source, name)


def _find(source: Path, name: str | None) -> tuple[str, SourceFormat]:
    if not source.exists():
        raise DataError(f'{source} does not exist')
    if name is not None:
        if not SOURCES[name].matches(source):
            raise DataError(
                f'{source} is not what format {name} expects: looked for {SOURCES[name].looks_for}'
            )
        return name, SOURCES[name]
    found = [name for name, known in SOURCES.items() if known.matches(source)]
    if not found:
        meant = meant_instead(source, _title_of)
        if meant:
            raise DataError(f'{source} holds no posed images; {meant}')
        # The last of the table are those that most people have.
        known = (f'{item.title} ({item.looks_for})' for item in reversed(SOURCES.values()))
        raise DataError(f'{source} holds no posed images; looked for {"; ".join(known)}')
    if len(found) > 1:
        others = ' or '.join(f'--format {other}' for other in found[1:])
        logger.warning('%s is read as %s; the other choice is %s', source, found[0], others)
    return found[0], SOURCES[found[0]]


def _title_of(path: Path) -> str | None:
    try:
        return next((known.title for known in SOURCES.values() if known.matches(path)), None)
    except OSError:
        return None


@contextmanager
def _system_errors(source: Path) -> Iterator[None]:
    """Say what the system refuses: a folder that may not be read, a name too long."""
    try:
        yield
    except OSError as error:
        raise DataError(f'cannot read {error.filename or source}: {error.strerror}') from error


def _check_options(source: Path, name: str, chosen: SourceFormat, given: SourceOptions) -> None:
    for field in fields(given):
        option = field.name
        if option in ALWAYS_TAKEN or option in chosen.options or getattr(given, option) is None:
            continue
        takers = [known for known, other in SOURCES.items() if option in other.options]
        if option == 'split':
            raise DataError(
                f'{source} is {chosen.title}, which has no {given.split} split: name the images '
                'with --list'
            )
        raise DataError(
            f'--{option.replace("_", "-")} is for {", ".join(takers)}; {source} is read as {name}'
        )


def _check_places(posed: list[PosedImage], source: Path) -> None:
    for image in posed:
        position = image.cam_from_map.translation
        if not np.abs(position).max() <= MAX_COORDINATE:
            raise DataError(
                f'{source} puts the map {np.abs(position).max():.3g} from image {image.name!r}, '
                f'further than {MAX_COORDINATE:g} allowed: correct its poses'
            )


def _check_files(posed: list[PosedImage]) -> None:
    missing = [image.path for image in posed if image.pixels is None and not image.path.is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} images are missing, the first is {missing[0]}: copy them there, or '
            'name their folder with --images'
        )


def _listed(list_file: Path, posed: Collection[str], source: Path) -> list[str]:
    wanted = read_list(list_file)
    unknown = sorted(set(wanted) - set(posed))
    if unknown:
        raise DataError(
            f'{list_file} names {len(unknown)} images without a pose in {source}, '
            f'the first is {unknown[0]!r}'
        )
    return wanted
