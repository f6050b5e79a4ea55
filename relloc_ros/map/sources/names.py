# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of images: lists of them, the files they stand for, times in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath

from relloc_ros.errors import DataError
from relloc_ros.map.sources.reading import SourceImage

__all__ = [
    'FIRST_STAMP_NS',
    'FRAME_PERIOD_NS',
    'file_of',
    'read_list',
    'stamp_from_name',
    'stamps_from_names',
    'stamps_of',
    'unique_names',
]

TIMESTAMP_RANGE_S = (Decimal(10) ** 8, Decimal(10) ** 10)
"""A file named by a number of seconds in this range is named by its time, as in TUM data sets."""

FRAME_PERIOD_NS = 100_000_000
FIRST_STAMP_NS = 1_000_000_000


def read_list(path: Path) -> list[str]:
    """Read image names, one a line, spaces allowed; empty lines and repetitions are dropped.

    Raises:
        DataError: missing, empty, or not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except OSError as error:
        raise DataError(f'cannot read list {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise DataError(f'list {path} is not UTF-8 text: {error}') from error
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise DataError(f'list {path} is empty: give one image name a line')
    return names


def unique_names(images: Sequence[SourceImage], source: Path) -> dict[str, SourceImage]:
    """Give the images by name.

    Raises:
        DataError: one name twice.
    """
    by_name: dict[str, SourceImage] = {}
    for image in images:
        if by_name.setdefault(image.name, image) is not image:
            raise DataError(f'{source} has image {image.name!r} more than once')
    return by_name


def file_of(folder: Path, name: str) -> Path:
    """Give the file of an image.

    Raises:
        DataError: the name leads out of the folder.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or '..' in relative.parts or '\n' in name or '\0' in name:
        raise DataError(f'image name {name!r} does not stay inside the images folder {folder}')
    return folder / relative


def stamps_of(images: Mapping[str, SourceImage]) -> dict[str, int]:
    """Give the stamp of each image, in order of time: the source's, or made from the names."""
    known = {name: image.stamp_ns for name, image in images.items()}
    if all(stamp is not None for stamp in known.values()):
        stamps = {name: stamp for name, stamp in known.items() if stamp is not None}
        return dict(sorted(stamps.items(), key=lambda item: (item[1], item[0])))
    return stamps_from_names(images)


def stamps_from_names(names: Iterable[str]) -> dict[str, int]:
    """Give the stamp of each image, in order of time: its name if all are times, else counted."""
    ordered = sorted(names)
    times = [stamp_from_name(name) for name in ordered]
    if all(time is not None for time in times):
        stamps = {
            name: time for name, time in zip(ordered, times, strict=True) if time is not None
        }
        return dict(sorted(stamps.items(), key=lambda item: (item[1], item[0])))
    return {name: FIRST_STAMP_NS + i * FRAME_PERIOD_NS for i, name in enumerate(ordered)}


def stamp_from_name(name: str) -> int | None:
    """Nanoseconds, if an image is named by a number of seconds; None otherwise."""
    try:
        seconds = Decimal(PurePosixPath(name).stem)
    except InvalidOperation:
        return None
    low, high = TIMESTAMP_RANGE_S
    if not (seconds.is_finite() and low < seconds < high):
        return None
    return int(seconds * 1_000_000_000)
