# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose regression: networks that know one map by heart.

Three stages (Sattler et al., CVPR 2019): features, embedding, projection. VARIANTS is the table of
compositions.
"""

from __future__ import annotations

from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.apr.losses import AbsolutePoseBatch
from relloc_ros.networks.apr.projection import BasePoses
from relloc_ros.networks.apr.regressor import PoseRegressor, RegressedPose
from relloc_ros.networks.apr.trained_file import (
    TrainedPoseNet,
    TrainingEmbeddings,
    load_trained,
    save_trained,
)
from relloc_ros.networks.apr.variants import (
    VARIANTS,
    Variant,
    make_absolute_pose_net,
    variant_config,
)

__all__ = [
    'VARIANTS',
    'AbsolutePoseBatch',
    'AbsolutePoseNet',
    'BasePoses',
    'PoseRegressor',
    'RegressedPose',
    'TrainedPoseNet',
    'TrainingEmbeddings',
    'Variant',
    'load_trained',
    'make_absolute_pose_net',
    'save_trained',
    'variant_config',
]
