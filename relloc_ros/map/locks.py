# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who changes a map, and who reads which state of it.

Locks of the kernel (flock), which end with the process that holds them, however it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
import fcntl
import os
from pathlib import Path
import socket
import time
from typing import IO

from relloc_ros.errors import MapError
from relloc_ros.map.format import Generation, current_generation
from relloc_ros.map.plain_files import open_plain

__all__ = ['is_held', 'reading', 'writing']

WRITER = 'writer.lock'
POLL_S = 0.1
MAX_ATTEMPTS = 100


@contextmanager
def writing(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Be the only one who changes a map while the block runs.

    Args:
        path: folder of the map.
        wait: seconds to wait for whoever changes it now.

    Raises:
        MapError: another process still changes it.
    """
    # Append mode: the file says who holds the lock, and must not lose that to who asks for it.
    # It stays in the map: two processes could lock two files of that name.
    with open(path / WRITER, 'a+', encoding='utf-8', opener=open_plain) as file:
        deadline = time.monotonic() + wait
        while not _lock(file, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                file.seek(0)
                holder = file.read().strip() or 'another process'
                raise MapError(
                    f'map {path} is being changed by {holder}: try again when it is done, or let '
                    'this command wait with --wait SECONDS'
                )
            time.sleep(POLL_S)
        since = datetime.now().astimezone().isoformat(sep=' ', timespec='seconds')
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()} since {since}\n')
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


@contextmanager
def reading(path: Path) -> Iterator[Generation]:
    """Give the state that a map shows now, and keep it from being deleted while the block runs.

    Args:
        path: folder of the map.

    Raises:
        MapError: no map, or its map.yaml cannot be read.
    """
    generation, file = _hold_current(path)
    with file:
        yield generation


def _hold_current(path: Path) -> tuple[Generation, IO[bytes]]:
    for _ in range(MAX_ATTEMPTS):
        generation = current_generation(path)
        try:
            file = generation.manifest.open('rb')
        except OSError as error:
            if current_generation(path) == generation:
                raise MapError(
                    f'cannot read {generation.manifest}: {error}; build the map again'
                ) from error
            continue
        # A file system without locks has no writers that could delete anything.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)
        if current_generation(path) == generation:
            return generation, file
        file.close()
    raise MapError(f'map {path} changes all the time: wait until its writers are done')


def is_held(generation: Generation) -> bool:
    """Tell whether a process holds a state of a map, as far as it can be told."""
    try:
        with generation.manifest.open('r+b') as file:
            return not _lock(file, fcntl.LOCK_EX)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _lock(file: IO[bytes] | IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
