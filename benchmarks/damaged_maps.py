# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damage maps on purpose, and see what `relloc map check --deep` says.

    python benchmarks/damaged_maps.py MAP... [--only DAMAGE] [--samples N] [--json OUT]

Prints one row for each map and damage: what was found, and the images that are rightly and wrongly
suspected. `none` is the map as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
import json
from pathlib import Path
import shutil
import tempfile
import time
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.table import Table
import typer

from relloc_ros.camera import Camera
from relloc_ros.evaluation.map_check.deep import check_by_localizing
from relloc_ros.geometry import RigidTransform, interpolate
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.colmap_workspace import FeatureWriter, write_workspace
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.image_index import ImageEntry, ImageIndex
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap

console = Console(width=140)

NOISE, NOISY_SHARE = 0.1, 0.05
OFFSET_S = 0.05
FOCAL_FACTOR = 1.03
HALF_PIXEL = 0.5
SCALE_FACTOR = 1.03
OTHER_CAMERA = 1.2
JUMP = 5.0
"""A step this many times longer than the median is between two sequences."""


@dataclass
class MapParts:
    """What damages change.

    Attributes:
        entries: of the images.
        poses: cam_from_map of each.
        cameras: by ID.
        hurt: names of the images whose poses were changed one by one.
    """

    entries: list[ImageEntry]
    poses: list[RigidTransform]
    cameras: dict[int, Camera]
    hurt: tuple[str, ...] = ()


Damage = Callable[[MapParts], None]


def noisy_poses(parts: MapParts) -> None:
    """Shift 5 % of the cameras, at least one, by 0.1 units into random directions."""
    rng = np.random.default_rng(5)
    count = max(1, round(NOISY_SHARE * len(parts.poses)))
    chosen = rng.choice(len(parts.poses), count, replace=False)
    for index in chosen:
        direction = rng.normal(size=3)
        shift = NOISE * direction / np.linalg.norm(direction)
        pose = parts.poses[index].inverse()
        parts.poses[index] = RigidTransform(pose.rotation, pose.translation + shift).inverse()
    parts.hurt = tuple(parts.entries[index].name for index in chosen)


def swapped_images(parts: MapParts) -> None:
    """Exchange the poses of two images."""
    first, second = len(parts.poses) // 4, (3 * len(parts.poses)) // 5
    parts.poses[first], parts.poses[second] = parts.poses[second], parts.poses[first]
    parts.hurt = (parts.entries[first].name, parts.entries[second].name)


def time_offset(parts: MapParts) -> None:
    """Give each image the pose of 50 ms later."""
    order = np.argsort([entry.stamp_ns for entry in parts.entries], kind='stable')
    poses = [parts.poses[index].inverse() for index in order]
    stamps = [parts.entries[index].stamp_ns for index in order]
    steps = [
        np.linalg.norm(after.translation - before.translation) for before, after in pairwise(poses)
    ]
    limit = JUMP * float(np.median(steps))
    moved: list[RigidTransform] = []
    for place in range(len(order)):
        first = place if place + 1 < len(poses) and steps[place] <= limit else place - 1
        span = 1e-9 * (stamps[first + 1] - stamps[first])
        fraction = 1e-9 * (stamps[place] - stamps[first]) / span + OFFSET_S / span
        moved.append(interpolate(poses[first], poses[first + 1], fraction))
    for index, pose in zip(order, moved, strict=True):
        parts.poses[index] = pose.inverse()


def wrong_focal_length(parts: MapParts) -> None:
    """Make all focal lengths 3 % longer."""
    for key, camera in parts.cameras.items():
        one = camera.to_pycolmap(1)
        params = list(camera.params)
        for index in one.focal_length_idxs():
            params[index] *= FOCAL_FACTOR
        parts.cameras[key] = replace(camera, params=tuple(params))


def half_pixel(parts: MapParts) -> None:
    """Forget that COLMAP's first pixel is at (0.5, 0.5)."""
    for key, camera in parts.cameras.items():
        one = camera.to_pycolmap(1)
        params = list(camera.params)
        for index in one.principal_point_idxs():
            params[index] -= HALF_PIXEL
        parts.cameras[key] = replace(camera, params=tuple(params))


def other_camera(parts: MapParts) -> None:
    """Give one image a camera whose focal length is 20 % longer, as if it had been zoomed."""
    place = len(parts.entries) // 2
    entry = parts.entries[place]
    camera = parts.cameras[entry.camera_id]
    params = list(camera.params)
    for index in camera.to_pycolmap(1).focal_length_idxs():
        params[index] *= OTHER_CAMERA
    key = max(parts.cameras) + 1
    parts.cameras[key] = replace(camera, params=tuple(params))
    parts.entries[place] = replace(entry, camera_id=key)
    parts.hurt = (entry.name,)


def scaled_part(parts: MapParts) -> None:
    """Merge a map from every third image that is 3 % too large, under a folder of its own."""
    centres = np.array([pose.inverse().translation for pose in parts.poses])
    middle = centres.mean(axis=0)
    for place in range(0, len(parts.poses), 3):
        pose, entry = parts.poses[place].inverse(), parts.entries[place]
        moved = middle + SCALE_FACTOR * (pose.translation - middle)
        parts.poses[place] = RigidTransform(pose.rotation, moved).inverse()
        parts.entries[place] = replace(entry, name=f'merged/{entry.name}')


DAMAGES: dict[str, Damage] = {
    'none': lambda parts: None,
    'noisy_poses': noisy_poses,
    'swapped_images': swapped_images,
    'time_offset': time_offset,
    'wrong_focal_length': wrong_focal_length,
    'half_pixel': half_pixel,
    'other_camera': other_camera,
    'scaled_part': scaled_part,
}


def damage_map(source: Path, output: Path, damage: Damage) -> tuple[str, ...]:
    """Write a damaged copy of a map, without 3D points; its own checksums are right.

    Returns:
        Names of the images whose poses were changed one by one.
    """
    old = current_generation(source)
    manifest = Manifest.read(old.manifest)
    index = ImageIndex.read(old)
    with closing(FeatureStore(old.database, manifest.config.features)) as store:
        parts = MapParts(
            list(index.entries),
            [RigidTransform.from_quat_wxyz(pose[:4], pose[4:]) for pose in index.poses],
            store.cameras(),
        )
        damage(parts)
        with new_generation(output, overwrite=False) as new:
            write_workspace(new, parts.cameras, parts.entries, parts.poses)
            with FeatureWriter(new, manifest.config.features) as writer:
                for entry in parts.entries:
                    writer.write_stored(entry.image_id, *store.stored(entry.image_id))
            numbers = np.array([[*pose.quat_wxyz, *pose.translation] for pose in parts.poses])
            ImageIndex(parts.entries, numbers, index.descriptors).write(new)
            shutil.copyfile(old.vocabulary, new.vocabulary)
            checksums = content_checksums(new, manifest.config)
            replace(manifest, map_id=make_map_id(checksums), checksums=checksums).write(
                new.manifest
            )
    return parts.hurt


def main(
    maps: Annotated[list[Path], typer.Argument(help='Folders of intact maps.')],
    only: Annotated[
        list[str] | None,
        typer.Option(help='Name of a damage; by default all.'),
    ] = None,
    samples: Annotated[int, typer.Option(help='Images to localize; 0 is all.')] = 200,
    output: Annotated[
        Path | None,
        typer.Option('--json', help='File for the figures.'),
    ] = None,
) -> None:
    """Damage maps on purpose, and print what the check says."""
    rows = []
    for path in maps:
        for name in only or DAMAGES:
            with tempfile.TemporaryDirectory() as folder:
                damaged = Path(folder) / 'map'
                hurt = damage_map(path, damaged, DAMAGES[name])
                rows.append({'map': str(path), 'damage': name, **_checked(damaged, hurt, samples)})
            console.print(rows[-1], soft_wrap=True)
            if output is not None:
                output.write_text(json.dumps(rows, indent=2) + '\n', 'utf-8')
    table = Table('map', 'damage', 'suspected rightly', 'wrongly', 'other findings', 's')
    for row in rows:
        others = '; '.join(
            f'{each["kind"]} {each["figure"]:.3g} ± {each["std"] or 0.0:.2g} {each["unit"]}'
            for each in row['others']
        )
        right = f'{row["right"]} of {row["hurt"]}'
        cells = (row['map'], row['damage'], right, row['wrong'], others, round(row['seconds']))
        table.add_row(*map(str, cells))
    console.print(table)


def _checked(path: Path, hurt: Sequence[str], samples: int) -> dict[str, Any]:
    start = time.perf_counter()
    with ReferenceMap.open(path) as reference_map:
        findings = check_by_localizing(reference_map, samples).findings
    blamed = [
        finding.subjects
        for finding in findings
        if finding.kind in ('wrong_pose', 'swapped_images', 'wrong_camera')
    ]
    suspects = {name for names in blamed for name in names}
    kinds = (
        *('time_offset', 'focal_length', 'half_pixel', 'principal_point', 'units'),
        *('inconsistent', 'wrong_camera', 'part_scale', 'part_shift'),
    )
    return {
        'hurt': len(hurt),
        'right': len(suspects & set(hurt)),
        'wrong': len(suspects - set(hurt)),
        'swaps': sum(finding.kind == 'swapped_images' for finding in findings),
        'others': [finding.to_dict() for finding in findings if finding.kind in kinds],
        'seconds': time.perf_counter() - start,
    }


if __name__ == '__main__':
    typer.run(main)
