# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a network was trained on a map: its poses mean nothing in another one.

A map that has got points or further images since is the same, as long as the training images are
where they were. One that was aligned, refined or built anew may not be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, pose_error
from relloc_ros.map.reference_map import ReferenceMap

if TYPE_CHECKING:
    from relloc_ros.networks.apr import TrainedPoseNet, TrainingEmbeddings

__all__ = ['learned_images']

LEAST_SHARE = 0.5
"""Of the training images in a map that others were removed from."""
SAME_PLACE, SAME_ROTATION = 1e-3, 1e-3
"""In units of the spread of the training positions, and radians: less than any network tells."""


def learned_images(
    reference_map: ReferenceMap, trained: TrainedPoseNet, file: Path
) -> NDArray[np.bool_]:
    """Tell which images of a map (N,) a network has learned from.

    Args:
        reference_map: the map.
        trained: the network, and the images it was trained on.
        file: of the network, for messages.

    Raises:
        DataError: it was trained on another map, or on this one in another frame or scale.
    """
    about = trained.about
    here = f'map {reference_map.path} ({reference_map.map_id})'
    there = f'{file} was trained on map {about.get("map_id")}'
    remedy = 'give the network of this map, or train one with `relloc train apr`'
    known = {'frame': about.get('frame_id'), 'unit': about.get('units')}
    for what, value in (('frame', reference_map.frame_id), ('unit', reference_map.units)):
        if known[what] != value:
            raise DataError(
                f'{there}, of {what} {known[what]!r}; {here} has {what} {value!r}: {remedy}'
            )
    images = trained.embeddings
    if images is None:
        raise DataError(f'{file} does not name its training images: train again')
    found = [reference_map.index_of(name) for name in images.names]
    present = [(row, index) for row, index in enumerate(found) if index is not None]
    if len(present) < LEAST_SHARE * len(found):
        raise DataError(
            f'{there}; {here} has {len(present)} of its {len(found)} training images: {remedy}'
        )
    scale = float(trained.network.scale)
    for row, index in present:
        own = reference_map.cam_from_map(index).inverse()
        distance, angle = pose_error(_pose(images, row), own)
        if distance > SAME_PLACE * scale or angle > SAME_ROTATION:
            raise DataError(
                f'{there}, in which image {images.names[row]!r} is elsewhere: in {here} by '
                f'{distance:.3g} {reference_map.units} and {np.rad2deg(angle):.3g} degrees; frame '
                f'or scale have changed, or the poses: {remedy}'
            )
    result = np.zeros(reference_map.num_images, dtype=bool)
    result[[index for _, index in present]] = True
    return result


def _pose(images: TrainingEmbeddings, row: int) -> RigidTransform:
    return RigidTransform.from_quat_wxyz(images.quats_wxyz[row], images.positions[row])
