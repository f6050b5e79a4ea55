# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a tree again and again, each time with one of its files damaged at random.

A program of its own, so that its memory can be limited and its end be waited for: ``KIND FOLDER
SEED CASES``. Writes a line for each case that ends in anything but success or a RellocError.
"""

from __future__ import annotations

from collections.abc import Callable
import faulthandler
import logging
from pathlib import Path
import random
import re
import resource
import signal
import sys
import traceback

import cv2
import numpy as np

from relloc_ros.bags.reader import BagReader
from relloc_ros.camera_info import camera_from_yaml
from relloc_ros.config_schema import read_config_file
from relloc_ros.errors import RellocError
from relloc_ros.image_decoding import camera_from_camera_info, decode_image
from relloc_ros.map.approximate_search import ApproximateSearch
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.known_places import read_places
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import SourceOptions, read_image, read_list, read_source
from relloc_ros.map.stored_rows import StoredRows

MEMORY = 200 * 2**20
CASE_S = 10

NUMBER = re.compile(rb'[-+]?\d+(\.\d*)?(e[-+]?\d+)?')
NUMBERS = (b'nan', b'inf', b'-1', b'0', b'1e308', b'1e-320', b'9' * 20, b'9' * 400, b'2147483648')
WORDS = (b'../' * 9 + b'etc/passwd', b'/etc/passwd', b'\0', b'\xff\xfe', b'[' * 5000, b'\n' * 99)
SIZES = tuple(value.to_bytes(8, 'little') for value in (2**63, 2**64 - 1, 2**40, 2**31, 2**32 - 1))


class Hang(BaseException):
    """A case took too long; not to be caught by the readers."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Change a file in one of many ways."""
    data = bytearray(content)
    start = rng.randrange(len(data) + 1)
    kind = rng.randrange(7)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[start:]
    elif kind == 2:
        del data[start : start + rng.randint(1, 64)]
    elif kind == 3:
        data[start:start] = rng.choice((*WORDS, rng.randbytes(rng.randint(1, 64))))
    elif kind == 4:
        size = rng.choice(SIZES)[: rng.choice((4, 8))]
        data[start : start + len(size)] = size
    elif kind == 5:
        data[start:start] = data[max(0, start - rng.randint(1, 500)) : start]
    else:
        found = list(NUMBER.finditer(content[:100_000]))
        if found:
            match = rng.choice(found)
            data[match.start() : match.end()] = rng.choice(NUMBERS)
    return bytes(data)


def use_source(folder: Path, name: str) -> None:
    """Read a source, and the pixels of its first image."""
    path = folder / 'sequences' / '07' if name == 'kitti' else folder
    options = SourceOptions()
    if name.startswith('rosbag '):
        options = SourceOptions(map_frame='map')
        name = 'rosbag'
    posed = read_source(path, options=options, source_format=name)
    poses = np.array([image.cam_from_map.matrix for image in posed])
    assert np.isfinite(poses).all()
    rotations = poses[:, :3, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-6)
    read_image(posed[0])


def use_map(folder: Path) -> None:
    """Open a map, and read all that it gives a query."""
    with ReferenceMap.open(folder) as opened:
        poses = np.array([opened.cam_from_map(i).matrix for i in range(opened.num_images)])
        assert np.isfinite(poses).all()
        opened.num_keypoints()
        opened.find_same(np.zeros((9, 9), np.uint8))
        for index in range(opened.num_images):
            opened.features(index)
            opened.thumbnail(index)
        if opened.points is not None:
            opened.points.observations_of(np.arange(len(opened.points)))
            for index in range(opened.num_images):
                opened.points.of_image(index)
        opened.retrieve(opened.global_descriptors(np.array([0]))[0], 3)


def use_bag(folder: Path) -> None:
    """Read all frames of a bag and decode their images."""
    path = next(iter(folder.glob('*.bag')), folder)
    with BagReader(path) as reader:
        for frame in reader:
            if frame.camera_info_msg is not None:
                decode_image(frame.image_msg, camera_from_camera_info(frame.camera_info_msg))


def use_changed_map(folder: Path) -> None:
    """Read a map as those do who check or change it; COLMAP's own reader among them."""
    with ReferenceMap.open(folder):
        pass
    check_map(folder)
    map_info(folder)


def use_retrieval(folder: Path) -> None:
    """Search in the index of a large map."""
    rows = StoredRows(folder / 'rows.npy', np.dtype(np.float32))
    search = ApproximateSearch(folder / 'retrieval', rows)
    query = rows[np.array([0])][0]
    search.nearest(query, 5)
    search.nearest(query, 5, np.arange(len(rows)) % 2 == 0)


def use_places(folder: Path) -> None:
    """Read tables and tracks of places, and folders with GPS in their images."""
    for path in sorted(folder.iterdir()):
        read_places(path)


def use_settings(folder: Path) -> None:
    """Read settings, calibrations and lists."""
    read_config_file(folder / 'settings.yaml')
    camera_from_yaml(folder / 'camera.yaml')
    read_list(folder / 'list.txt')


def run(kind: str, folder: Path, seed: int, cases: int) -> None:
    """Damage and read."""
    name = kind.partition(':')[2]
    use: Callable[[], None] = {
        'source': lambda: use_source(folder, name),
        'map': lambda: use_map(folder),
        'changed map': lambda: use_changed_map(folder),
        'retrieval': lambda: use_retrieval(folder),
        'places': lambda: use_places(folder),
        'settings': lambda: use_settings(folder),
        'bag': lambda: use_bag(folder),
    }[kind.partition(':')[0]]
    use()
    files = sorted(item for item in folder.rglob('*') if item.is_file() and not item.is_symlink())
    rng = random.Random(seed)
    for case in range(cases):
        path = rng.choice(files)
        content = path.read_bytes()
        # A new file each time: a changed one may still be mapped into memory.
        path.unlink()
        path.write_bytes(damaged(content, rng))
        place = f'{kind} case {case} {path.relative_to(folder)}'
        signal.alarm(CASE_S)
        try:
            use()
        except RellocError as error:
            if not str(error).strip():
                sys.stdout.write(f'{place}: says nothing\n')
        except BaseException:
            sys.stdout.write(f'{place}: {traceback.format_exc()}\n')
        finally:
            signal.alarm(0)
            path.unlink()
            path.write_bytes(content)


def limit_memory(num_bytes: int = MEMORY) -> None:
    """Let the program take no more than a little above what it has now."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + num_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Run what the command line names."""

    def stop(number: int, frame: object) -> None:
        raise Hang(number)

    faulthandler.enable()
    logging.disable()
    cv2.setNumThreads(0)
    signal.signal(signal.SIGALRM, stop)
    *targets, seed, cases = sys.argv[1:]
    for first, target in enumerate(targets):
        kind, _, folder = target.partition('=')
        if first == 0:
            run(kind, Path(folder), int(seed), 0)
            limit_memory()
        run(kind, Path(folder), int(seed), int(cases))
    sys.stdout.write('finished\n')


if __name__ == '__main__':
    main()
