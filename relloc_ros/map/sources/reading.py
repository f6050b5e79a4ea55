# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all formats share: the image they give, lines of text, errors that name their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform

__all__ = ['SPLITS', 'SourceImage', 'Split', 'locating_errors', 'text_lines']

Split = Literal['train', 'test']
"""The published halves of a data set: what the map is made of, and what is localized in it."""

SPLITS: tuple[Split, ...] = ('train', 'test')


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """A posed image of a source, known by its name in the images folder."""

    name: str
    camera: Camera
    cam_from_map: RigidTransform


@contextmanager
def locating_errors(place: str) -> Iterator[None]:
    """Put the place before the message of any DataError of the block."""
    try:
        yield
    except DataError as error:
        raise DataError(f'{place}: {error}') from error


def text_lines(path: Path) -> Iterator[str]:
    """Read a text file line by line.

    Raises:
        DataError: missing, unreadable, or not UTF-8.
    """
    try:
        with path.open(encoding='utf-8-sig') as file:
            yield from file
    except OSError as error:
        raise DataError(f'cannot read {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise DataError(f'{path} is not UTF-8 text: {error}') from error
