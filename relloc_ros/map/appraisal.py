# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an intact map says about itself at a glance: images twice, empty ones, odd cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform, pose_error
from relloc_ros.map.check import check_map
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.findings import Finding, Level, some_of
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.image_index import ImageEntry, ImageIndex, StoredIndex
from relloc_ros.map.upright import tilt_of_z

__all__ = ['appraise_map']

SAME_POSE = 1e-6
NEAR_SIMILARITY = 0.995
NEAR_SHARE = 0.002
"""Of the extent of the map."""
NEAR_ANGLE = np.deg2rad(0.5)
MIN_KEYPOINTS = 50
PLAUSIBLE_FOCAL = (0.25, 8.0)
"""Shares of the image's longer side: lenses of 127 and of 7 degrees."""
MAX_OFF_CENTRE = 0.2
MIN_CLOSE = 1e-9


def appraise_map(path: Path) -> list[Finding]:
    """Read everything in a map; say what is damaged, or else what is odd. Nothing is matched."""
    damage = [
        Finding(
            Level.ERROR,
            'damage',
            problem,
            remedy='copy the map again from where it is intact, or build it again',
        )
        for problem in check_map(path)
    ]
    if damage:
        return damage
    generation = current_generation(path)
    manifest = Manifest.read(generation.manifest)
    index = ImageIndex.read(generation)
    with closing(FeatureStore(generation.database, manifest.config.features)) as store:
        cameras = store.cameras()
        counts = [len(store.stored(entry.image_id)[0]) for entry in index.entries]
    entries = list(index.entries)
    poses = [RigidTransform.from_quat_wxyz(pose[:4], pose[4:]) for pose in index.poses]
    return [
        *_duplicates(entries, poses),
        *_near_duplicates(entries, index, poses),
        *_poor_images(entries, index, counts),
        *(finding for key, camera in cameras.items() for finding in _odd_camera(key, camera)),
        *_thumbnails(generation.thumbnails, len(entries)),
        *_tilt(poses),
    ]


def _duplicates(entries: list[ImageEntry], poses: list[RigidTransform]) -> Iterator[Finding]:
    """Images with the same pixels."""
    groups: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        if entry.digest:
            groups.setdefault(entry.digest, []).append(place)
    for places in groups.values():
        if len(places) < 2:
            continue
        names = tuple(entries[place].name for place in places)
        first = poses[places[0]].inverse()
        distance = max(pose_error(poses[place].inverse(), first)[0] for place in places)
        angle = max(pose_error(poses[place].inverse(), first)[1] for place in places)
        same = distance < SAME_POSE and angle < SAME_POSE
        yield Finding(
            Level.WARNING if same else Level.ERROR,
            'duplicate',
            f'{some_of(names)} are the same image'
            + ('' if same else f', with poses {distance:.3g} units apart: one of them is wrong'),
            names,
            distance,
            'units',
            remedy='remove all but one'
            if same
            else 'remove those with the wrong pose: was the camera standing still, or the file '
            'copied?',
        )


def _near_duplicates(
    entries: list[ImageEntry], index: StoredIndex, poses: list[RigidTransform]
) -> Iterator[Finding]:
    """Images nearly at the same place that look nearly the same: one of them is enough."""
    centres = index.centres
    limit = NEAR_SHARE * float(np.ptp(centres, axis=0).max())
    found = []
    for first, second in sorted(cKDTree(centres).query_pairs(max(limit, MIN_CLOSE))):
        if entries[first].digest == entries[second].digest:
            continue
        similarity = float(index.descriptors[first] @ index.descriptors[second])
        if similarity >= NEAR_SIMILARITY and _angle(poses, first, second) < NEAR_ANGLE:
            found.append(second)
    names = tuple(entries[place].name for place in sorted(set(found)))
    if names:
        yield Finding(
            Level.NOTE,
            'near_duplicate',
            f'{len(names)} images are nearly the same as another, from the same place '
            f'({some_of(names)}): they take space and add nothing',
            names,
            float(len(names)),
            'images',
            remedy='choose keyframes when building, or prune the map',
        )


def _angle(poses: list[RigidTransform], first: int, second: int) -> float:
    return pose_error(poses[first], poses[second])[1]


def _poor_images(
    entries: list[ImageEntry], index: StoredIndex, counts: list[int]
) -> Iterator[Finding]:
    names = tuple(
        entry.name
        for entry, count, vector in zip(entries, counts, index.descriptors, strict=True)
        if count < MIN_KEYPOINTS or not vector.any()
    )
    if names:
        yield Finding(
            Level.WARNING,
            'no_features',
            f'{len(names)} images have fewer than {MIN_KEYPOINTS} keypoints ({some_of(names)}): '
            'blank, dark, blurred or covered',
            names,
            float(len(names)),
            'images',
            remedy='remove them: they help nobody',
        )


def _odd_camera(key: int, camera: Camera) -> Iterator[Finding]:
    """What no usual camera has."""
    size = np.array([camera.width, camera.height], dtype=np.float64)
    pinhole = camera.to_pycolmap(key)
    centre: Array = np.array([pinhole.principal_point_x, pinhole.principal_point_y])
    low, high = PLAUSIBLE_FOCAL
    share = camera.mean_focal_length / float(size.max())
    subject = (f'camera {key}',)
    if not low <= share <= high:
        yield Finding(
            Level.WARNING,
            'odd_camera',
            f'camera {key}: a focal length of {camera.mean_focal_length:.1f} pixels is '
            f'{share:.2g} of the image width of {size.max():.0f}',
            subject,
            camera.mean_focal_length,
            'pixels',
            remedy='is the calibration for images of another size, or in millimetres?',
        )
    if (np.abs(centre / size - 0.5) > MAX_OFF_CENTRE).any():
        yield Finding(
            Level.WARNING,
            'odd_camera',
            f'camera {key}: the principal point ({centre[0]:.1f}, {centre[1]:.1f}) is far from '
            f'the middle of {camera.width}x{camera.height}',
            subject,
            float(np.abs(centre - size / 2.0).max()),
            'pixels from the middle',
            remedy='is the calibration for images of another size?',
        )
    if np.array_equal(centre, (size - 1.0) / 2.0):
        yield Finding(
            Level.NOTE,
            'half_pixel',
            f'camera {key}: the principal point ({centre[0]:g}, {centre[1]:g}) is the middle of '
            'the image if the first pixel is at (0, 0); here it is at (0.5, 0.5)',
            subject,
            0.5,
            'pixels to add',
            remedy='if the calibration is from OpenCV or ROS, add 0.5 to both',
        )


def _thumbnails(folder: Path, count: int) -> Iterator[Finding]:
    present = len(list(folder.glob('*.jpg'))) if folder.is_dir() else 0
    if 0 < present < count:
        yield Finding(
            Level.NOTE,
            'thumbnails',
            f'{count - present} of {count} small copies of images are missing',
            figure=float(count - present),
            unit='images',
            remedy='none is needed: debug images and reports show less',
        )


def _tilt(poses: list[RigidTransform]) -> Iterator[Finding]:
    """Robots need a map whose z axis points up."""
    tilt = tilt_of_z(np.array([pose.rotation for pose in poses]))
    if tilt is not None:
        degrees = float(np.degrees(tilt))
        yield Finding(
            Level.NOTE,
            'not_upright',
            f'the z axis of the map is {degrees:.0f} degrees from up, to judge by its cameras',
            figure=degrees,
            unit='degrees',
            remedy='for a robot, whose TF and 2D poses would be wrong, build it from poses in a '
            'frame whose z is up',
        )
