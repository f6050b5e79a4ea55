# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a map from a stranger: links may lead out of it, pipes never end."""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path
import stat

from relloc_ros.errors import MapError

__all__ = ['check_plain', 'open_plain', 'read_plain']


def check_plain(folder: Path, subfolders: tuple[str, ...]) -> None:
    """Refuse links, pipes and devices in a folder and in some of those in it.

    Raises:
        MapError: names the first.
    """
    for place in (folder, *(folder / name for name in subfolders)):
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_symlink():
                    raise MapError(
                        f'{place / entry.name} is a link, which no map has: build the map again'
                    )
                if not (entry.is_file() or entry.is_dir()):
                    raise MapError(f'{place / entry.name} is no plain file: build the map again')


def read_plain(path: Path, max_bytes: int) -> bytes | None:
    """Read a file; None if there is none, or it is a link, no plain file, or larger."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, 'rb') as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        return file.read(max_bytes)


def open_plain(name: str, flags: int) -> int:
    """Open a file that is no link; an opener for `open`. Raises OSError."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
