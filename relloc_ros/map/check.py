# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Describe a map, and check that all its parts say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.config import flatten
from relloc_ros.errors import MapError, RellocError
from relloc_ros.geometry import RigidTransform, pose_error
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.format import FORMAT_VERSION, Generation, Manifest
from relloc_ros.map.image_index import ImageIndex
from relloc_ros.map.points import MapPoints
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sparse_files import read_model

__all__ = ['check_map', 'map_info']

MAX_POSE_DIFFERENCE = 1e-9


def map_info(path: Path) -> dict[str, Any]:
    """Describe a map by plain values, ready for YAML or a table.

    Raises:
        MapError: missing, no map, another format version, or damaged.
    """
    with ReferenceMap.open(path) as reference_map:
        generation = reference_map.generation
        manifest = Manifest.read(generation.manifest)
        extent = np.ptp(reference_map.centres, axis=0)
        cameras = {
            camera_id: f'{camera.model} {camera.width}x{camera.height} '
            + ' '.join(f'{value:g}' for value in camera.params)
            for camera_id, camera in reference_map.cameras.items()
        }
        keypoints = reference_map.num_keypoints()
        points = reference_map.points
        files = [file for file in generation.folder.rglob('*') if file.is_file()]
        size = sum(file.stat().st_size for file in files)
    return {
        'path': str(path),
        'map_id': manifest.map_id,
        'format_version': FORMAT_VERSION,
        'created': manifest.created,
        'source': manifest.source,
        'frame_id': manifest.frame_id,
        'units': manifest.units,
        'global_from_map': _global(manifest),
        'images': manifest.num_images,
        'keypoints': keypoints,
        'points': 'none' if points is None else len(points),
        'retrieval': _retrieval(manifest),
        **({'keyframes': dict(manifest.keyframes)} if manifest.keyframes else {}),
        'calibration': _calibrations(manifest),
        'cameras': cameras,
        'extent': [round(float(side), 3) for side in extent],
        'size_mb': round(size / 1e6, 1),
        'config': flatten(manifest.config),
    }


def _global(manifest: Manifest) -> str | dict[str, Any]:
    content = manifest.global_frame.content()
    similarity = content.get('global_from_map', {})
    described = {key: _short(value) for key, value in similarity.items()}
    described.update(content.get('geographic_origin', {}))
    return described or 'identity'


def _calibrations(manifest: Manifest) -> str | dict[str, str]:
    described = {}
    for each in manifest.calibrations:
        seen = f', camera scale {each.camera_scale:.3g}' if each.camera_scale else ''
        if each.point_agreement_std:
            spread = f'{each.point_agreement:.2f} ± {each.point_agreement_std:.2f}'
            seen += f', point agreement {spread}'
        stale = '' if each.map_id == manifest.map_id else '; the map was changed since'
        described[f'{each.localizer} {each.settings}'] = (
            f'scale {each.scale:.3g}, inliers to the power of {each.inlier_exponent:.2f}, '
            f'floors {each.position_floor:.3g} {manifest.units} and '
            f'{each.rotation_floor:.3g} rad, from {each.num_localized} of {each.num_tried} images '
            f'held out, median NEES {each.median_nees_before:.3g}, then '
            f'{each.median_nees_after:.3g}, coverage {each.coverage_before:.0%}, then '
            f'{each.coverage_after:.0%}{seen}, {each.created}{stale}'
        )
    return described or 'none'


def _short(value: float | list[float]) -> str:
    return ' '.join(f'{number:.9g}' for number in np.atleast_1d(value))


def _retrieval(manifest: Manifest) -> str:
    if manifest.retrieval_recall is None:
        return 'exact'
    return f'approximate, finds {manifest.retrieval_recall:.1%} of the 5 most similar images'


def check_map(path: Path) -> list[str]:
    """Read everything in a map and list what is wrong; an empty list means all is well."""
    try:
        with ReferenceMap.open(path) as reference_map:
            generation = reference_map.generation
            return [*_changed_content(generation), *_sparse_differences(generation)]
    except RellocError as error:
        return [str(error)]


def _changed_content(generation: Generation) -> Iterator[str]:
    manifest = Manifest.read(generation.manifest)
    checksums = content_checksums(generation, manifest.config)
    for kind, checksum in checksums.items():
        if manifest.checksums.get(kind) != checksum:
            yield f'{kind}: the content has changed since the build (checksum {checksum})'
    if manifest.map_id != make_map_id(checksums):
        yield f'map_id {manifest.map_id} does not belong to this content'


def _sparse_differences(generation: Generation) -> Iterator[str]:
    """Compare the COLMAP model with the index derived from it."""
    try:
        model = read_model(generation.sparse)
    except MapError as error:
        yield str(error)
        return
    cameras = {key: Camera.from_pycolmap(value) for key, value in model.cameras.items()}
    with closing(FeatureStore(generation.database)) as store:
        if cameras != store.cameras():
            yield 'sparse and database.db have different cameras'
    index = ImageIndex.read(generation)
    entries = index.entries
    points = MapPoints.read(generation.points, len(entries))
    if len(model.points3D) != (0 if points is None else len(points)):
        yield f'sparse has {len(model.points3D)} points, the points folder disagrees'
    if sorted(entry.image_id for entry in entries) != sorted(model.images):
        yield f'sparse has {len(model.images)} images, images.txt has {len(entries)}'
        return
    for entry, pose in zip(entries, index.poses, strict=True):
        image = model.images[entry.image_id]
        if (image.name, image.camera_id) != (entry.name, entry.camera_id):
            yield f'sparse calls image {entry.image_id} {image.name!r}, images.txt {entry.name!r}'
        stored = RigidTransform.from_matrix(image.cam_from_world().matrix())
        listed = RigidTransform.from_quat_wxyz(pose[:4], pose[4:])
        if max(pose_error(stored, listed)) > MAX_POSE_DIFFERENCE:
            yield f'sparse and poses.npy disagree about the pose of {entry.name!r}'
