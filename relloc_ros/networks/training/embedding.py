# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of the map as the trained network sees them, kept in its file.

With them localization refuses images unlike all that the network has learned from.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch

from relloc_ros.config import TrainingConfig
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.apr.trained_file import TrainingEmbeddings, load_trained, save_trained
from relloc_ros.networks.training.launching import launch
from relloc_ros.networks.training.pose_data import PoseData
from relloc_ros.networks.training.pose_examples import PoseExamples, PoseObjective
from relloc_ros.networks.training.stepping import read_batches

__all__ = ['keep_embeddings']


def keep_embeddings(path: Path, data: PoseData, config: TrainingConfig) -> None:
    """Add embeddings, poses and names of training and validation images to a file of weights.

    Args:
        path: `best.safetensors` of a run that has ended.
        data: what it has learned from.
        config: of the run; one device does it.

    Raises:
        DataError: the file is damaged, or an image is not readable.
    """
    trained = load_trained(path)
    training, held_out = (
        _embeddings(trained.network, data, config, validation=part) for part in (False, True)
    )
    save_trained(path, trained.network.cpu(), trained.about, training, held_out)


def _embeddings(
    network: AbsolutePoseNet, data: PoseData, config: TrainingConfig, *, validation: bool
) -> TrainingEmbeddings:
    examples = data.as_seen(network.config, validation=validation)
    one_device = replace(config, devices=1, batch_size=min(config.batch_size, len(examples)))
    objective = PoseObjective(network)
    alphas = launch(one_device, len(examples), _embed, objective, examples, one_device)
    images = data.images_for(validation=validation)
    poses = [image.posed.cam_from_map.inverse() for image in images]
    return TrainingEmbeddings(
        alphas,
        np.array([each.translation for each in poses]),
        np.array([each.quat_wxyz for each in poses]),
        tuple(image.posed.name for image in images),
    )


def _embed(
    fabric: Any, objective: PoseObjective, examples: PoseExamples, config: TrainingConfig
) -> NDArray[np.float32]:
    """Give the coefficients (M, N) of the last image of each window."""
    network = fabric.to_device(objective.network).eval()
    order = np.arange(len(examples))
    chunks = np.array_split(order, -(-len(order) // config.batch_size))
    found = []
    with torch.no_grad():
        for batch in read_batches(fabric, config.reading_threads, examples, chunks, None):
            image = batch.tensors['image']
            previous = image[:, -2] if image.shape[1] > 1 else None
            found.append(network.embed(image[:, -1], previous).float().cpu().numpy())
    return np.concatenate(found)
