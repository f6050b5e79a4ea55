# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a map into another frame and scale, or note where it lies in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
import shutil

import numpy as np
import pycolmap

from relloc_ros.map.alignment import METRES, Alignment, Cameras, Reference, align
from relloc_ros.map.checksums import content_checksums, make_map_id
from relloc_ros.map.editing import MapState, changing
from relloc_ros.map.format import Generation, Manifest
from relloc_ros.map.points import MapPoints
from relloc_ros.map.sources import PosedImage
from relloc_ros.map.sparse_files import read_model
from relloc_ros.map.triangulation import copy_unchanged
from relloc_ros.similarity import Similarity

__all__ = ['Placed', 'align_map', 'align_posed']


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """What has become of a map.

    Attributes:
        alignment: to the reference.
        rewritten: whether the poses are in the frame of the reference now; else only map.yaml
            says where the map lies.
        units: of the map now.
    """

    alignment: Alignment
    rewritten: bool
    units: str


def align_posed(
    posed: Sequence[PosedImage], reference: Reference
) -> tuple[list[PosedImage], Alignment]:
    """Bring posed images into the frame of a reference.

    Raises:
        DataError: as `align`.
    """
    cameras = Cameras(
        [image.name for image in posed],
        [image.stamp_ns for image in posed],
        [image.cam_from_map for image in posed],
    )
    alignment = align(cameras, reference)
    moved = [
        replace(image, cam_from_map=alignment.similarity.apply_to_pose(image.cam_from_map))
        for image in posed
    ]
    return moved, alignment


def align_map(
    path: Path, reference: Reference, *, apply: bool = False, wait: float = 0.0
) -> Placed:
    """Find where a map lies in the frame of a reference, and bring it there or note it.

    A map without metric units is rewritten: poses and 3D points are in the frame and the units of
    the reference then. A metric map keeps its poses, and map.yaml says where it lies.

    Args:
        path: folder of the map, which stays as it is until all is done.
        reference: to align to.
        apply: rewrite a metric map, too.
        wait: seconds to wait for another process that changes the map.

    Raises:
        MapError: no map, damaged, being changed, or cannot be written.
        DataError: as `align`.
    """
    with changing(path, wait) as (state, new):
        reference_map = state.reference_map
        poses = [reference_map.cam_from_map(row) for row in range(len(state.names))]
        stamps_ns = [entry.stamp_ns for entry in state.index.entries]
        alignment = align(Cameras(state.names, stamps_ns, poses), reference)
        rewritten = apply or state.manifest.units != METRES
        copy_unchanged(state.generation, new)
        if rewritten:
            manifest = _rewrite(state, new, alignment)
        else:
            shutil.copytree(state.generation.sparse, new.sparse)
            if state.generation.points.is_dir():
                shutil.copytree(state.generation.points, new.points)
            frame = alignment.frame.seen_from(alignment.similarity)
            manifest = replace(state.manifest, global_frame=frame)
        checksums = content_checksums(new, manifest.config)
        manifest = replace(manifest, map_id=make_map_id(checksums), checksums=checksums)
        manifest.write(new.manifest)
    return Placed(alignment, rewritten, manifest.units)


def _rewrite(state: MapState, new: Generation, alignment: Alignment) -> Manifest:
    similarity = alignment.similarity
    moved = [
        similarity.apply_to_pose(state.reference_map.cam_from_map(row))
        for row in range(len(state.names))
    ]
    np.save(new.poses, np.array([[*pose.quat_wxyz, *pose.translation] for pose in moved]))
    model = read_model(state.generation.sparse)
    model.transform(_sim3(similarity))
    new.sparse.mkdir()
    model.write_binary(new.sparse)
    points = MapPoints.read(state.generation.points, len(state.names))
    if points is not None:
        replace(points, positions=similarity.apply(points.positions)).write(new.points)
    # The floors of calibrations are in the old units.
    return replace(
        state.manifest, units=alignment.units, global_frame=alignment.frame, calibrations=()
    )


def _sim3(similarity: Similarity) -> pycolmap.Sim3d:
    rotation = pycolmap.Rotation3d(similarity.rotation)
    return pycolmap.Sim3d(similarity.scale, rotation, similarity.translation)
