# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make a map, or a new state of one, appear under its name in one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import fcntl
import os
from pathlib import Path
import secrets
import shutil

from relloc_ros.errors import MapError
from relloc_ros.map.format import CURRENT, GENERATIONS, VISIBLE, Generation, current_generation
from relloc_ros.map.locks import is_held, writing

__all__ = ['new_generation']

LOCK = 'lock'


@contextmanager
def new_generation(output: Path, *, overwrite: bool, wait: float = 0.0) -> Iterator[Generation]:
    """Give an empty folder to fill; it becomes the map `output` when the block ends well.

    A fresh map is made in a hidden folder beside `output` and gets its name by one rename. In an
    existing one the folder is a further generation, and the `current` link is replaced by rename.
    If the block raises, or the process dies, `output` shows what it has shown before. Who has an
    older state open keeps it; it is deleted by the next writer after that.

    Args:
        output: folder of the map.
        overwrite: whether it may exist.
        wait: seconds to wait for another process that changes it.

    Raises:
        MapError: `output` exists and must not be replaced, is no map, is being changed by another
            process, or cannot be written.
    """
    exists = os.path.lexists(output)
    if exists and not overwrite:
        raise MapError(f'{output} exists: choose another output, or replace it with --overwrite')
    if exists:
        _check_is_map(output)
    try:
        resolved = output.resolve()
        with _changing(resolved, wait) if exists else _creating(resolved) as generation:
            yield generation
    except OSError as error:
        raise MapError(f'cannot write map {output}: {error}') from error


def _check_is_map(output: Path) -> None:
    try:
        current_generation(output)
    except MapError as error:
        raise MapError(
            f'{output} is not a map, so it is not overwritten: choose another output'
        ) from error


@contextmanager
def _creating(output: Path) -> Iterator[Generation]:
    output.parent.mkdir(parents=True, exist_ok=True)
    with _building_folder(output) as folder:
        generation = Generation(folder / GENERATIONS / f'{1:06d}')
        generation.folder.mkdir(parents=True)
        yield generation
        _sync_tree(generation.folder)
        _link(folder, generation)
        _sync(folder)
        if os.path.lexists(output):
            raise MapError(
                f'{output} has been made by another process meanwhile: choose another output, or '
                'replace it with --overwrite'
            )
        folder.rename(output)
        _sync(output.parent)
        (output / LOCK).unlink()


@contextmanager
def _changing(output: Path, wait: float) -> Iterator[Generation]:
    with writing(output, wait):
        _remove_unused(output)
        generation = Generation(output / GENERATIONS / f'{_next_number(output):06d}')
        generation.folder.mkdir()
        try:
            yield generation
            _sync_tree(generation.folder)
            _sync(generation.folder.parent)
            _link(output, generation)
            _sync(output)
        finally:
            # All but what is shown now, be that the old state or the new one.
            _remove_unused(output)


def _remove_unused(output: Path) -> None:
    current = current_generation(output)
    for folder in (output / GENERATIONS).iterdir():
        if folder != current.folder and not is_held(Generation(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _link(folder: Path, generation: Generation) -> None:
    links = {name: f'{CURRENT}/{name}' for name in VISIBLE}
    links[CURRENT] = f'{GENERATIONS}/{generation.folder.name}'
    for name, target in links.items():
        temporary = folder / f'.{name}.new'
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(folder / name)


def _next_number(output: Path) -> int:
    names = [folder.name for folder in (output / GENERATIONS).iterdir()]
    return 1 + max((int(name) for name in names if name.isdecimal()), default=0)


@contextmanager
def _building_folder(output: Path) -> Iterator[Path]:
    """Make a hidden folder beside `output`, and remove those that dead processes left."""
    prefix = f'.{output.name}.building-'
    for folder in output.parent.iterdir():
        if folder.name.startswith(prefix):
            _remove_if_dead(folder)
    folder = output.parent / f'{prefix}{secrets.token_hex(4)}'
    folder.mkdir()
    try:
        with (folder / f'{LOCK}.new').open('w') as lock:
            # The kernel drops the lock with the process, however it ends. The file gets its name
            # when it is locked: without that, another build could take this one for dead.
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / f'{LOCK}.new').rename(folder / LOCK)
            yield folder
    finally:
        _remove(folder)


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError), (folder / LOCK).open('r+') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)


def _remove(folder: Path) -> None:
    # The lock last: by it the next build knows what it may remove, should this one die here.
    for path in folder.glob('*'):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob('*'), reverse=True):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
