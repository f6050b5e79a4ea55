# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network for absolute poses made in a moment: random features, the last layer by least squares.

It tells poses of images near those that it was fitted to, as one trained for hours does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources.posed_image import read_pixels
from relloc_ros.networks.apr import (
    AbsolutePoseNet,
    TrainingEmbeddings,
    make_absolute_pose_net,
    save_trained,
    variant_config,
)
from relloc_ros.networks.preprocessing import crop_square, resize_shorter_side, to_tensor
from relloc_ros.networks.rigid_motion import quaternion_from_rotation

__all__ = ['write_pose_network']

SETTINGS = {
    'backbone': 'small',
    'last_stage': 3,
    'shorter_side': 96,
    'crop': 96,
    'embedding_size': 64,
}
RIDGE = 0.3


def write_pose_network(
    path: Path,
    map_path: Path,
    images: Path,
    variant: str = 'posenet',
    every: int = 4,
    **about: str,
) -> Path:
    """Fit a network to the images of a map, but for those held out, and write its file.

    Args:
        path: of the file.
        map_path: of the map.
        images: folder of the map's images.
        variant: of the network.
        every: one image in so many is held out.
        about: what the file says of the map, where that is not true.
    """
    with ReferenceMap.open(map_path) as reference_map:
        network = make_absolute_pose_net(variant_config(variant, SETTINGS))
        rows = np.arange(reference_map.num_images)
        is_held_out = rows % every == every // 2
        training, held_out = rows[~is_held_out], rows[is_held_out]
        seen = _seen(network, reference_map, images)
        poses = [reference_map.cam_from_map(index).inverse() for index in rows]
        positions = np.array([pose.translation for pose in poses])
        rotations = np.array([pose.rotation for pose in poses])
        network.fit_frame(positions[training], rotations[training])
        alphas = _fit(network, seen, training, positions, rotations)
        quats_wxyz = np.array([pose.quat_wxyz for pose in poses])

        def embeddings(chosen: np.ndarray) -> TrainingEmbeddings:
            names = tuple(reference_map.image_names[index] for index in chosen)
            return TrainingEmbeddings(alphas[chosen], positions[chosen], quats_wxyz[chosen], names)

        known = {
            'map_id': reference_map.map_id,
            'frame_id': reference_map.frame_id,
            'units': reference_map.units,
            **about,
        }
        save_trained(path, network, known, embeddings(training), embeddings(held_out))
    return path


def _seen(network: AbsolutePoseNet, reference_map: ReferenceMap, folder: Path) -> torch.Tensor:
    """All images of the map, as the network sees them."""
    config = network.config

    def prepare(index: int) -> torch.Tensor:
        image = read_pixels(folder / reference_map.image_names[index], reference_map.camera(index))
        resized, intrinsics = resize_shorter_side(image, np.eye(3), config.shorter_side)
        return to_tensor(crop_square(resized, intrinsics, config.crop)[0])

    return torch.stack([prepare(index) for index in range(reference_map.num_images)])


def _fit(
    network: AbsolutePoseNet,
    seen: torch.Tensor,
    training: Sequence[int] | np.ndarray,
    positions: np.ndarray,
    rotations: np.ndarray,
) -> np.ndarray:
    """Fit normalization and last layer; give the coefficients of all images."""
    with torch.no_grad():
        network.train()
        for _ in range(50):
            network.embed(seen[training])
        network.eval()
        alphas = network.embed(seen).double()
        scaled = (torch.as_tensor(positions) - network.centre) / network.scale
        quaternions = quaternion_from_rotation(torch.as_tensor(rotations))
        quaternions *= torch.where(quaternions @ quaternions[0] < 0, -1.0, 1.0)[:, None]
        for layer, numbers in (
            (network.projection.position, scaled),
            (network.projection.rotation, quaternions),
        ):
            own, wanted = alphas[training], numbers[training]
            own_mean, mean = own.mean(dim=0), wanted.mean(dim=0)
            centred = own - own_mean
            ridge = RIDGE * (centred**2).sum() / len(own)
            gram = centred @ centred.T + ridge * torch.eye(len(own), dtype=own.dtype)
            weight = (centred.T @ torch.linalg.solve(gram, wanted - mean)).T
            layer.weight.copy_(weight)
            layer.bias.copy_(mean - weight @ own_mean)
    return np.asarray(alphas.float().numpy())
