# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trained pose regression as localization uses it: numpy in and out, the same answer every time.

It answers whatever the image shows; who asks compares the coefficients with those of the training
images, and decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform, log_so3, nearest_rotation
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.base import Prediction
from relloc_ros.networks.preprocessing import crop_square, resize_shorter_side, to_tensor
from relloc_ros.vision.pretrained import inference

__all__ = ['PoseRegressor', 'RegressedPose']

MEAN_LENGTH = 2.0 * np.sqrt(2.0 / np.pi)
"""Of a vector of three normally distributed numbers of variance one."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class RegressedPose:
    """What a network says of an image.

    Attributes:
        alpha: (N,) float32 coefficients of the base poses.
        map_from_cam: the pose.
        covariance: (6, 6) float64, order (position, rotation), errors along and about the map's
            axes, map units and radians.
    """

    alpha: NDArray[np.float32]
    map_from_cam: RigidTransform
    covariance: Array


class PoseRegressor:
    """A network for absolute poses."""

    def __init__(self, network: AbsolutePoseNet) -> None:
        """Take a trained network."""
        self._network = network.eval()

    def describe(self, image: Image, previous: Image | None = None) -> NDArray[np.float32]:
        """Coefficients (N,) of a grey or BGR uint8 image.

        Args:
            image: the image.
            previous: the one before it; ignored by networks that do not look at it.

        Raises:
            DataError: no such image.
        """
        with inference():
            return np.asarray(self._network.embed_features(self._features(image, previous))[0])

    def pose(self, alpha: NDArray[np.float32]) -> RigidTransform:
        """Pose map_from_cam of coefficients (N,); the translation is the camera's centre.

        Raises:
            DataError: it is not finite.
        """
        return self._poses(torch.from_numpy(np.asarray(alpha, np.float32))[None])[0]

    def regress(self, image: Image, previous: Image | None = None) -> RegressedPose:
        """Coefficients, pose and covariance of an image.

        Raises:
            DataError: no such image, or weights that are damaged.
        """
        with inference():
            features = self._features(image, previous)
            alpha = self._network.embed_features(features)
        pose = self._poses(alpha)[0]
        uncertainty = self._network.config.uncertainty
        if uncertainty == 'learned':
            covariance = self._learned_covariance()
        elif uncertainty == 'gaussian_process':
            covariance = self._process_covariance(alpha)
        else:
            covariance = self._dropout_covariance(features, pose)
        return RegressedPose(np.asarray(alpha[0]), pose, covariance)

    def _features(self, image: Image, previous: Image | None) -> Tensor:
        before = None if previous is None else self._prepared(previous)
        return self._network.features(self._prepared(image), before)

    def _prepared(self, image: Image) -> Tensor:
        config = self._network.config
        resized, intrinsics = resize_shorter_side(image, np.eye(3), config.shorter_side)
        return to_tensor(crop_square(resized, intrinsics, config.crop)[0])[None]

    def _poses(self, alpha: Tensor) -> list[RigidTransform]:
        with inference():
            # Single precision is not orthonormal enough, nor exact far from the map's origin.
            predicted = self._network.project(alpha)
        self._check(predicted)
        scale, centre = float(self._network.scale), self._network.centre.numpy()
        positions = centre + scale * predicted['position_numbers'].double().numpy()
        rotations = predicted['rotation'].double().numpy()
        return [
            RigidTransform(nearest_rotation(rotation), np.asarray(position))
            for rotation, position in zip(rotations, positions, strict=True)
        ]

    def _check(self, predicted: Prediction) -> None:
        for name, tensor in predicted.items():
            if not torch.isfinite(tensor).all():
                raise DataError(
                    f'network {self._network.name} gives a {name} that is not finite: its weights '
                    'are damaged, or its training has diverged'
                )

    def _learned_covariance(self) -> Array:
        """Variances that the loss has learned, the same for all images.

        Where the loss is least, exp(s) is the mean length of the error.
        """
        weights = self._network.weights
        if weights is None:
            raise DataError('the network has learned no variances: its weights are damaged')
        lengths = weights.log_variances.detach().double().exp().numpy()
        return self._isotropic((lengths / MEAN_LENGTH) ** 2)

    def _process_covariance(self, alpha: Tensor) -> Array:
        """Predictive variances of a Gaussian process, which grow away from the training images."""
        with inference():
            variances = self._network.project(alpha)['variances'][0]
        return self._isotropic(variances.double().numpy())

    def _isotropic(self, variances: Array) -> Array:
        """Covariance of equal variances of all numbers of the position, and of the rotation."""
        # Both representations of a rotation measure half the angle.
        factors = np.array([float(self._network.scale), 2.0])
        return np.diag(np.repeat(variances * factors**2, 3))

    def _dropout_covariance(self, features: Tensor, pose: RigidTransform) -> Array:
        """Spread of the poses with parts of features and embedding left out."""
        with inference():
            alphas = self._network.sample(features)[:, 0]
        errors = np.array(
            [
                np.concatenate(
                    [
                        each.translation - pose.translation,
                        log_so3(each.rotation @ pose.rotation.T),
                    ]
                )
                for each in self._poses(alphas)
            ]
        )
        covariance: Array = errors.T @ errors / len(errors)
        return covariance
