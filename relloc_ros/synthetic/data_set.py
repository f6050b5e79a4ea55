# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of made worlds: images, a COLMAP text model with the true poses, and two lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import tempfile

import cv2
import numpy as np

from relloc_ros import __version__
from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.parallel import Task, ThreadTasks
from relloc_ros.synthetic.paths import FRAME_PERIOD_S
from relloc_ros.synthetic.rendering import check_rays
from relloc_ros.synthetic.sensor import Sensor, photograph
from relloc_ros.synthetic.surfaces import Image
from relloc_ros.synthetic.ways import WALK, Station, Way, stations_on
from relloc_ros.synthetic.worlds import World, make_world

__all__ = ['Recipe', 'read_photos', 'write_data_set']

Progress = Callable[[int, int, str], None]

SEQUENCES = ('map', 'query')
FIRST_STAMP_S = 1_000_000_000
SEQUENCE_GAP_S = 100_000
"""Between the first images of map and queries: their stamps are in their names."""

IMAGES = 2
JPEG_QUALITY = 95
PHOTO_SUFFIXES = ('.jpg', '.jpeg', '.png')
LONGEST_PHOTO_PX = 1200


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what a data set looks like.

    Attributes:
        scene: kind of world.
        seed: of layout, textures, ways and noise.
        camera: of all images.
        counts: number of images of the map and of queries, without those of grids.
        sensor: how images suffer.
        ways: that the map's images and the queries are taken on.
    """

    scene: str
    seed: int
    camera: Camera
    counts: tuple[int, int]
    sensor: Sensor
    ways: tuple[Way, Way] = (WALK, WALK)


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    name: str
    sequence: int
    index: int
    station: Station
    file: Path

    @property
    def map_from_cam(self) -> RigidTransform:
        return self.station.path.map_from_cam(self.station.time)


def read_photos(folder: Path) -> list[Image]:
    """Read photographs (H, W, 3) BGR to hang up in a world, in the order of their names.

    Raises:
        DataError: no folder, no images in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f'{folder} is no folder: name one with photographs')
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    if not files:
        raise DataError(f'{folder} has no photographs ({", ".join(PHOTO_SUFFIXES)})')
    return [_read_photo(path) for path in files]


def _read_photo(path: Path) -> Image:
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:
        # It claims more pixels than OpenCV takes.
        image = None
    if image is None:
        raise DataError(f'cannot read photograph {path}: remove it or save it again')
    scale = min(1.0, LONGEST_PHOTO_PX / max(image.shape[:2]))
    size = max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0]))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def write_data_set(
    recipe: Recipe,
    output: Path,
    photos: Sequence[Image] = (),
    *,
    command: str = '',
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Make a world, photograph it and write a data set; nothing is left if that fails.

    Args:
        recipe: what it shall be like.
        output: folder to create.
        photos: to hang up in the world.
        command: that makes the same again, for its README.md.
        progress: called with the number done, the number in all and what is being done.

    Returns:
        Number of images of the map and of queries.

    Raises:
        DataError: output exists or cannot be written, the camera has pixels without a ray, or
            the world has no room for a way.
    """
    report = progress or (lambda done, total, stage: None)
    if os.path.lexists(output):
        raise DataError(f'{output} exists: remove it or choose another name')
    check_rays(recipe.camera)
    with _appearing(output) as folder:
        report(0, sum(recipe.counts), 'building and lighting the scene')
        world = make_world(recipe.scene, recipe.seed, photos)
        shots = _plan(recipe, world, folder / 'images')
        task = Task(_take, (recipe, world), lambda: (recipe, world))
        with ThreadTasks(len(os.sched_getaffinity(0))) as tasks:
            for done, name in enumerate(tasks.map(task, shots), start=1):
                report(done, len(shots), name)
        _write_model(recipe.camera, shots, folder / 'sparse')
        lists = [[shot.name for shot in shots if shot.sequence == k] for k in range(2)]
        for name, names in zip(SEQUENCES, lists, strict=True):
            (folder / f'{name}.txt').write_text(''.join(f'{n}\n' for n in names), 'utf-8')
        counts = len(lists[0]), len(lists[1])
        readme = _readme(recipe, counts, command, bool(photos))
        (folder / 'README.md').write_text(readme, 'utf-8')
    return counts


@contextmanager
def _appearing(output: Path) -> Iterator[Path]:
    """Give a hidden folder beside a path, which gets its name at the end."""
    partial = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f'.{output.name}-', dir=output.parent))
        # Named by a folder in it: mkdtemp's own is for nobody else's eyes.
        folder = partial / output.name
        folder.mkdir()
        yield folder
        folder.rename(output)
    except OSError as error:
        raise DataError(f'cannot write data set {output}: {error.strerror or error}') from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _plan(recipe: Recipe, world: World, images: Path) -> list[_Shot]:
    shots = []
    choices = zip(SEQUENCES, recipe.ways, recipe.counts, strict=True)
    for sequence, (name, way, count) in enumerate(choices):
        stations = stations_on(way, world, sequence, count)
        for index, station in enumerate(stations):
            folder = f'{name}_{station.folder}' if station.folder else name
            (images / folder).mkdir(parents=True, exist_ok=True)
            stamp = FIRST_STAMP_S + sequence * SEQUENCE_GAP_S + index * FRAME_PERIOD_S
            file = f'{folder}/{stamp:.3f}.jpg'
            shots.append(_Shot(file, sequence, index, station, images / file))
    return shots


def _take(tools: tuple[Recipe, World], shot: _Shot) -> str:
    recipe, world = tools
    rng = np.random.default_rng([recipe.seed, IMAGES, shot.sequence, shot.index])
    path, time = shot.station.path, shot.station.time
    image = photograph(world.renderer, recipe.camera, path, time, recipe.sensor, rng)
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    shot.file.write_bytes(cv2.imencode('.jpg', image, settings)[1].tobytes())
    return shot.name


def _write_model(camera: Camera, shots: Sequence[_Shot], folder: Path) -> None:
    folder.mkdir()
    params = ' '.join(f'{value:.17g}' for value in camera.params)
    (folder / 'cameras.txt').write_text(
        '# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n'
        f'1 {camera.model} {camera.width} {camera.height} {params}\n',
        'utf-8',
    )
    lines = [
        '# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME (camera from map, metres, z up); the line '
        'after each image, its 2D points, is empty\n'
    ]
    for number, shot in enumerate(shots, start=1):
        cam_from_map = shot.map_from_cam.inverse()
        values = [*cam_from_map.quat_wxyz, *cam_from_map.translation]
        pose = ' '.join(f'{value:.12f}' for value in values)
        lines.append(f'{number} {pose} 1 {shot.name}\n\n')
    (folder / 'images.txt').write_text(''.join(lines), 'utf-8')
    (folder / 'points3D.txt').write_text('', 'utf-8')


def _readme(recipe: Recipe, counts: tuple[int, int], command: str, has_photos: bool) -> str:
    camera, sensor = recipe.camera, recipe.sensor
    ways = ''.join(
        f'\n| way of {name} | {way} |'
        for name, way in zip(('the map', 'the queries'), recipe.ways, strict=True)
        if way != WALK
    )
    params = ', '.join(f'{value:g}' for value in camera.params)
    terms = (
        'The pictures in it are photographs given by --textures: their terms hold here, too.'
        if has_photos
        else 'All of it is made by program from random numbers: CC0 1.0, no rights reserved.'
    )
    return f"""# A made {recipe.scene}, seed {recipe.seed}

{counts[0]} images for a map (`map.txt`) and {counts[1]} queries from another way \
through it (`query.txt`), rendered by relloc {__version__}.
Poses and intrinsics in `sparse/` are exact. Metres, z is up; files are named by their time in \
seconds.

| setting | value |
|---|---|
| scene, seed | {recipe.scene}, {recipe.seed} |{ways}
| camera | {camera.model} {camera.width}x{camera.height} {params} |
| exposure time | {sensor.exposure_s:g} s |
| spread of the exposure | {sensor.exposure_spread:g} stops |
| noise | {sensor.noise:g} of 255 |

Made by `{command}`

{terms}
"""
