# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What somebody may have meant who names a path that holds no posed images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
import os
from pathlib import Path

__all__ = ['meant_instead']

PARENTS = 2
DEPTH = 3
MAX_FOLDERS = 500
"""Nobody waits for a hint until a whole disk has been searched."""

IMAGE_SUFFIXES = frozenset(('.jpg', '.jpeg', '.png', '.ppm', '.pgm', '.bmp', '.tif', '.tiff'))


def meant_instead(source: Path, title_of: Callable[[Path], str | None]) -> str:
    """Say where posed images are nearby, or that there are images without poses; '' if neither.

    Args:
        source: a path without posed images.
        title_of: gives the format of a path; None if it has none.
    """
    near = [*islice(source.resolve().parents, PARENTS), *islice(_folders(source), MAX_FOLDERS)]
    for path in near:
        title = title_of(path)
        if title is not None:
            return f'{path} is {title}: did you mean that?'
    has_images = source.is_dir() and any(
        item.suffix.lower() in IMAGE_SUFFIXES for item in islice(source.iterdir(), MAX_FOLDERS)
    )
    if has_images:
        return (
            'it holds images without poses: name what has their poses, with --images for this '
            'folder, or let --sfm find them'
        )
    return ''


def _folders(top: Path) -> Iterator[Path]:
    """Give the folders in a folder, those further down later."""
    level = [top]
    for _ in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    found = sorted(
                        entry.name
                        for entry in islice(entries, 10 * MAX_FOLDERS)
                        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith('.')
                    )
            except OSError:
                continue
            below.extend(folder / name for name in found[:MAX_FOLDERS])
        yield from below
        level = below[:MAX_FOLDERS]
