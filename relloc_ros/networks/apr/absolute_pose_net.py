# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose regression: a network that gives the pose of an image in the map it has learned.

Three stages stay visible, as in Sattler et al. (CVPR 2019, section 3): `features`, `embed` and
`project`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array
from relloc_ros.networks.apr.dropout import FeatureDropout, leaving_out
from relloc_ros.networks.apr.embeddings import EMBEDDINGS
from relloc_ros.networks.apr.features import HourglassDecoder, beside_previous
from relloc_ros.networks.apr.gaussian_process import GaussianProcess
from relloc_ros.networks.apr.losses import (
    AbsolutePoseBatch,
    Truth,
    gaussian_error,
    pose_errors,
    relative_errors,
    reprojection_error,
)
from relloc_ros.networks.apr.projection import (
    NUM_ROTATION,
    BasePoses,
    Projection,
    mean_numbers,
    nearest_numbers,
    rotation_from_numbers,
)
from relloc_ros.networks.backbones import make_backbone
from relloc_ros.networks.base import Network, Prediction, check_images
from relloc_ros.networks.losses import LearnedWeights
from relloc_ros.networks.network_config import AbsolutePoseConfig, NetworkConfig

__all__ = ['AbsolutePoseNet']

INITIAL_LOG_VARIANCES = (0.0, -3.0)
"""Of position and rotation (Kendall and Cipolla, CVPR 2017)."""
LEAST_SCALE = 1e-6
NUM_SAMPLES = 64
"""Of Monte Carlo dropout."""


class AbsolutePoseNet(Network):
    """Backbone; an embedding, or one for position and one for rotation; linear layers to a pose.

    Attributes:
        centre: (3,) mean of the training positions, map units.
        scale: () their root mean square distance from it, map units.
        num_training: () how many training images there are.
    """

    name: ClassVar[str] = 'apr'
    config_class: ClassVar[type[NetworkConfig]] = AbsolutePoseConfig
    config: AbsolutePoseConfig
    centre: Tensor
    scale: Tensor
    num_training: Tensor

    def __init__(self, config: AbsolutePoseConfig) -> None:
        super().__init__(config)
        self.backbone = make_backbone(config.backbone, config.last_stage)
        self.decoder = None
        channels = self.backbone.channels
        if config.embedding == 'hourglass':
            self.decoder = HourglassDecoder(self.backbone.stage_channels)
            channels = self.decoder.channels
        if self.sees_previous:
            channels *= 2
        embedding = EMBEDDINGS[config.embedding]
        self.embedding = embedding(channels, config)
        self.rotation_embedding = embedding(channels, config) if config.rotation_branch else None
        self.process = None
        size = config.embedding_size
        if config.head == 'gaussian_process':
            self.process = GaussianProcess(size, config.inducing_points)
            size = config.inducing_points
        self.projection = Projection(
            size, NUM_ROTATION[config.rotation], is_shared=not config.rotation_branch
        )
        self.weights = LearnedWeights(INITIAL_LOG_VARIANCES) if config.loss == 'learned' else None
        self.register_buffer('centre', torch.zeros(3, dtype=torch.float64))
        self.register_buffer('scale', torch.ones((), dtype=torch.float64))
        self.register_buffer('num_training', torch.ones((), dtype=torch.float64))

    @property
    def sees_previous(self) -> bool:
        """Whether the network looks at the image before, too."""
        return self.config.embedding == 'fusion'

    @property
    def num_position(self) -> int:
        """Number of coefficients of the position: all, or those before the rotation's own."""
        return self.projection.num_position

    def fit_frame(self, positions: Array, rotations: Array) -> None:
        """Take frame and scale of the training poses; to be called once before training.

        Args:
            positions: (M, 3) camera centres, map frame and units.
            rotations: (M, 3, 3) map_from_cam.

        Raises:
            DataError: no poses.
        """
        if len(positions) == 0:
            raise DataError('no poses to train on: give a map with images')
        centre = np.mean(positions, axis=0)
        spread = float(np.sqrt(np.mean(np.sum((positions - centre) ** 2, axis=1))))
        mean = mean_numbers(torch.as_tensor(rotations), self.config.rotation)
        with torch.no_grad():
            self.centre.copy_(torch.as_tensor(centre))
            self.scale.fill_(max(spread, LEAST_SCALE))
            self.num_training.fill_(len(positions))
            self.projection.rotation.bias.copy_(mean)

    def forward(self, image: Tensor, previous: Tensor | None = None) -> Prediction:
        """Predict the poses of B images.

        Args:
            image: (B, 3, H, W) floating point, prepared by `preprocessing`.
            previous: likewise, the image before each; None if there is none, or the network does
                not look at it.

        Returns:
            As `project`.

        Raises:
            DataError: shape or dtype of an image are not those the network takes.
        """
        return self.project(self.embed(image, previous))

    def features(self, image: Tensor, previous: Tensor | None = None) -> Tensor:
        """Stage 1: features (B, C, H', W') of B images (B, 3, H, W).

        Args:
            image: as `forward` takes it.
            previous: likewise.
        """
        own = self._features(image)
        if not self.sees_previous:
            return own
        return torch.cat([own, own if previous is None else self._features(previous)], dim=1)

    def embed(self, image: Tensor, previous: Tensor | None = None) -> Tensor:
        """Stages 1 and 2: coefficients (B, N), those of the position before the rotation's own."""
        return self.embed_features(self.features(image, previous))

    def embed_features(self, features: Tensor) -> Tensor:
        """Stage 2: coefficients (B, N) of features.

        With features left out in training they are, in use, the mean over such samples (Kendall
        and Cipolla, ICRA 2016): of all features at once they would not be, after the ReLU.
        """
        if self.config.feature_dropout and not self.training:
            return self.sample(features, ends=False).mean(dim=0)
        return self._embed(features)

    def sample(self, features: Tensor, *, ends: bool = True) -> Tensor:
        """Coefficients (S, B, N), in each sample with other parts left out; always the same.

        Args:
            features: (B, C, H', W').
            ends: whether parts of the coefficients are left out, too.
        """
        several = features.expand(NUM_SAMPLES, *features.shape).flatten(0, 1)
        with leaving_out(self, nn.Dropout if ends else FeatureDropout):
            return self._embed(several).unflatten(0, (NUM_SAMPLES, -1))

    def _embed(self, features: Tensor) -> Tensor:
        alpha: Tensor = self.embedding(features)
        if self.process is not None:
            alpha = self.process(alpha)
        if self.rotation_embedding is None:
            return alpha
        return torch.cat([alpha, self.rotation_embedding(features)], dim=1)

    def project(self, alpha: Tensor) -> Prediction:
        """Stage 3: poses of coefficients (B, N).

        Returns:
            `position` (B, 3) camera centres in the map, map units; `rotation` (B, 3, 3)
            map_from_cam; and as the network gives them: `position_numbers` (B, 3), centred and
            scaled, and `rotation_numbers` (B, R), see NUM_ROTATION. A Gaussian process adds
            `variances` (B, 2) of each of the numbers of positions and rotations.
        """
        # Mixed precision ends here: a bfloat16 tells 256 places of a room apart.
        with torch.autocast(alpha.device.type, enabled=False):
            alpha = alpha.to(self.projection.position.weight.dtype)
            position, rotation = self.projection(alpha)
            result = {
                'position': (self.centre + self.scale * position.double()).to(position.dtype),
                'rotation': rotation_from_numbers(rotation, self.config.rotation),
                'position_numbers': position,
                'rotation_numbers': rotation,
            }
            if self.process is not None:
                result['variances'] = self.process.variances(alpha)
        return result

    def predict(self, batch: AbsolutePoseBatch) -> Prediction:
        """Predict the poses of a batch, for `loss`.

        Raises:
            DataError: as `forward`, or the batch is not made of whole windows.
        """
        window = self.config.window
        if len(batch.image) % window:
            raise DataError(f'a batch of {len(batch.image)} images: give windows of {window}')
        features = self._features(batch.image)
        if self.sees_previous:
            features = beside_previous(features, window)
        return self.project(self.embed_features(features))

    def loss(self, prediction: Prediction, batch: AbsolutePoseBatch) -> dict[str, Tensor]:
        """Compare with the truth.

        Returns:
            Scalars by name: `loss`, which is to be minimized, and its parts `position`, map units,
            and `rotation`, in the numbers of the representation: about half the angle, radians.

        Raises:
            DataError: the loss takes points, and the batch has none.
        """
        truth = self._truth(prediction, batch)
        position, rotation = pose_errors(prediction, truth)
        parts = {'position': position * self.scale.to(position.dtype), 'rotation': rotation}
        if self.process is not None:
            return {'loss': self._evidence(prediction, truth), **parts}
        if self.config.loss == 'geometric':
            parts['reprojection'] = reprojection_error(prediction, truth)
            return {'loss': parts['reprojection'], **parts}
        if self.config.relative_weight:
            relative = relative_errors(prediction, truth, self.config.window)
            parts['relative_position'] = relative[0] * self.scale.to(position.dtype)
            parts['relative_rotation'] = relative[1]
            # Means, so that learned variances are those of a pose.
            share = self.config.relative_weight / (1 + self.config.relative_weight)
            position = torch.lerp(position, relative[0], share)
            rotation = torch.lerp(rotation, relative[1], share)
        if self.weights is not None:
            return {'loss': self.weights(torch.stack([position, rotation])), **parts}
        return {'loss': position + self.config.rotation_weight * rotation, **parts}

    def _truth(self, prediction: Prediction, batch: AbsolutePoseBatch) -> Truth:
        numbers = prediction['rotation_numbers']
        labelled = batch.is_labelled
        if self.config.loss == 'geometric' and batch.points is None:
            raise DataError(
                f'the loss of {self.config.variant} takes points that each image sees, and the '
                'batch has none'
            )
        return Truth(
            self._scaled(batch.position, numbers.dtype),
            batch.rotation,
            nearest_numbers(batch.rotation, numbers, self.config.rotation),
            torch.ones(len(numbers), dtype=torch.bool, device=numbers.device)
            if labelled is None
            else labelled,
            # Near the origin, where single precision is exact.
            None if batch.points is None else self._scaled(batch.points, numbers.dtype),
        )

    def _evidence(self, prediction: Prediction, truth: Truth) -> Tensor:
        """Negative lower bound of the log evidence, for each training image."""
        assert self.process is not None
        weights = self.projection.position.weight, self.projection.rotation.weight
        divergence = self.process.divergence(weights) / self.num_training
        return gaussian_error(prediction, truth) + divergence.to(truth.position.dtype)

    def _features(self, image: Tensor) -> Tensor:
        check_images(image, 'image', next(self.parameters()).dtype, self.config.crop)
        stages = self.backbone.stages(image)
        features: Tensor = stages[-1] if self.decoder is None else self.decoder(stages)
        return features

    def _scaled(self, position: Tensor, dtype: torch.dtype) -> Tensor:
        return ((position.double() - self.centre) / self.scale).to(dtype)

    def base_poses(self) -> BasePoses:
        """Read off what all predictions are combinations of."""
        positions, rotations = (each.double().cpu() for each in self.projection.matrices())
        centre, scale = self.centre.cpu(), self.scale.cpu()
        offset = self.projection.position.bias.detach().double().cpu()
        return BasePoses(
            (centre + scale * offset).numpy(),
            (scale * positions).numpy(),
            self.projection.rotation.bias.detach().double().cpu().numpy(),
            rotations.numpy(),
            self.config.rotation,
        )
