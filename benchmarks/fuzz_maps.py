# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to corrupt the files of a map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
import re
import shutil

from fuzz_world import Answer, Kind, World, make_message
import numpy as np

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer

__all__ = ['MAP_KINDS']

Random = np.random.Generator
Corruption = Callable[[Path, list[Path], Random], None]

NUMBER = re.compile(rb'[-+]?\d+(\.\d*)?(e[-+]?\d+)?')
NUMBERS = (
    b'nan',
    b'inf',
    b'-1',
    b'0',
    b'1',
    b'1e308',
    b'1e-320',
    b'9' * 20,
    b'2147483648',
    b'7.5',
)
SIZES = (2**63, 2**64 - 1, 2**40, 2**31, 2**32 - 1, 2**32, 1000, 1)


def _rewrite(path: Path, data: bytes) -> None:
    # A new file: the old one may still be mapped into memory.
    path.unlink()
    path.write_bytes(data)


def flip_bits(path: Path, others: list[Path], rng: Random) -> None:
    """Flip a bit, or some."""
    data = bytearray(path.read_bytes())
    for place in rng.integers(max(1, len(data)), size=int(rng.choice((1, 1, 3, 30)))):
        if data:
            data[place] ^= 1 << int(rng.integers(8))
    _rewrite(path, bytes(data))


def truncate(path: Path, others: list[Path], rng: Random) -> None:
    """Cut the end off, from nothing left to a byte missing."""
    data = path.read_bytes()
    _rewrite(path, data[: int(len(data) * rng.choice((0.0, rng.random(), 1.0)))][:-1])


def delete(path: Path, others: list[Path], rng: Random) -> None:
    """Delete the file, or a folder with it."""
    if rng.random() < 0.3:
        shutil.rmtree(path.parent)
    else:
        path.unlink()


def exchange(path: Path, others: list[Path], rng: Random) -> None:
    """Give two files each other's content."""
    other = others[int(rng.integers(len(others)))]
    if other != path:
        data, content = path.read_bytes(), other.read_bytes()
        _rewrite(path, content)
        _rewrite(other, data)


def inflate(path: Path, others: list[Path], rng: Random) -> None:
    """Write a large number where a size may be: near the beginning, or anywhere."""
    data = bytearray(path.read_bytes())
    reach = len(data) if rng.random() < 0.3 else min(len(data), 256)
    start = int(rng.integers(reach + 1))
    width = int(rng.choice((2, 4, 8)))
    number = SIZES[int(rng.integers(len(SIZES)))].to_bytes(9, 'little')[:width]
    data[start : start + width] = number if rng.random() < 0.6 else number[::-1]
    _rewrite(path, bytes(data))


def misprint(path: Path, others: list[Path], rng: Random) -> None:
    """Replace a number written as text."""
    data = bytearray(path.read_bytes())
    found = list(NUMBER.finditer(bytes(data[:100_000])))
    if found:
        match = found[int(rng.integers(len(found)))]
        data[match.start() : match.end()] = NUMBERS[int(rng.integers(len(NUMBERS)))]
    _rewrite(path, bytes(data))


def overwrite(path: Path, others: list[Path], rng: Random) -> None:
    """Lose a block of the disk: zeros, noise, or a block from elsewhere in the file."""
    data = bytearray(path.read_bytes())
    length = int(rng.choice((64, 512, 4096)))
    start = int(rng.integers(len(data) + 1))
    choice, source = rng.integers(3), int(rng.integers(len(data) + 1))
    block = [bytes(length), rng.bytes(length), bytes(data[source : source + length])][int(choice)]
    data[start : start + len(block)] = block
    _rewrite(path, bytes(data))


def _in_damaged_map(world: World, rng: Random, corrupt: Corruption) -> list[Answer]:
    folder = world.folder / 'map'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(world.stage.map_folder, folder, symlinks=True)
    files = sorted(path for path in folder.rglob('*') if path.is_file() and not path.is_symlink())
    # Thumbnails are many, and for people.
    files = [path for path in files if path.suffix != '.jpg' or rng.random() < 0.1]
    path = files[int(rng.integers(len(files)))]
    corrupt(path, files, rng)
    query = world.some_query(rng)
    localizer = 'structure' if rng.random() < 0.2 else 'essential'
    with ReferenceMap.open(folder) as damaged:
        config = make_config(LocalizationConfig, {'localizer': localizer})
        relocalizer = Relocalizer(damaged, config)
        message = make_message(query.pixels, query.stamp_ns)
        found = relocalizer.process_message(message, query.camera, query.name)
    name = f'{path.relative_to(folder)}, {localizer}'
    return [Answer(found.camera_pose, query.truth, found.reason, None, name)]


MAP_KINDS: dict[str, Kind] = {
    f'map/{name}': Kind(partial(_in_damaged_map, corrupt=corrupt))
    for name, corrupt in {
        'bits': flip_bits,
        'truncated': truncate,
        'deleted': delete,
        'exchanged': exchange,
        'sizes': inflate,
        'misprints': misprint,
        'overwritten': overwrite,
    }.items()
}
