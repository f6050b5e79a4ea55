# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline: the pose of the most similar map images, or what lies between them.

Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose Regression",
CVPR 2019, section 5. It looks at no keypoint, so nothing but `min_similarity` keeps it from
answering for another place, and its covariance is as wide as the neighbours are far apart: in most
maps wider than `max_position_std` and `max_orientation_std`, which a robot is right to insist on.
Evaluations of the baseline switch these off.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, exp_so3, log_so3
from relloc_ros.localizers.base import Localizer
from relloc_ros.localizers.reference_matching import images_allowed
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.structures import Localization, PoseEstimate, QueryImage, Status

__all__ = ['RetrievalLocalizer', 'interpolation_weights', 'mean_pose']

Interpolation = Literal['none', 'affine', 'equal', 'inverse_distance']

RIDGE = 1e-3
"""Added to the normal equations, in units of their mean diagonal: neighbours may be alike, and a
combination of large weights of both signs would fit the descriptor and nothing else."""
MIN_DISTANCE = 1e-6
MAX_ITERATIONS = 50
CONVERGED = 1e-10
WIDER_SPREAD = 0.5
"""Share of the distance to the retrieved images that goes into the standard deviation.

The neighbours in a video are frames of the same moment: they agree with each other whatever the
error. Only images further down the ranking show how far apart views as similar as this can be.
With half their distance the errors of a video are as large as the covariance says, or twice that,
those of single photos smaller.
"""
ROTATION_STD = 0.1
"""Radians: a view turned by this much is still the most similar, however alike the retrieved
rotations are, as those of a camera carried straight ahead."""
MIN_SPREAD = 1e-9
UNKNOWN_POSITION_STD = 1.0
"""Map units: a guess where the retrieved images were taken at one place, which tells no scale."""


class RetrievalLocalizer(Localizer):
    """Global descriptor, most similar map images, affine combination of their poses."""

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Give the pose of the most similar images; `seed` is not needed."""
        timer = StageTimer()
        with timer('retrieval'):
            descriptor = self.reference_map.describe(query.image)
            allowed = images_allowed(self.reference_map, query, self.config)
            indices, similarities = self.reference_map.retrieve(
                descriptor, self.config.top_k, allowed
            )
        if len(indices) == 0:
            reason = 'the image has no texture: it is blank, dark, blurred or covered'
            return self._answer(query, timer, Status.NO_FEATURES, reason)
        similar = indices[similarities >= self.config.min_similarity]
        if len(similar) == 0:
            reason = 'no map image is as similar as min_similarity: not a place of this map?'
            return self._answer(query, timer, Status.NO_RETRIEVAL, reason)
        with timer('interpolation'):
            pose = self._interpolate(descriptor, similar, indices)
        return self._answer(query, timer, Status.LOCALIZED, '', similar, pose)

    def _interpolate(
        self,
        descriptor: NDArray[np.float32],
        similar: NDArray[np.int64],
        retrieved: NDArray[np.int64],
    ) -> PoseEstimate:
        settings = self.config.retrieval
        neighbours = similar[: settings.num_neighbours]
        descriptors = self.reference_map.global_descriptors(neighbours)
        weights = interpolation_weights(descriptor, descriptors, settings.interpolation)
        poses = [self._map_from_cam(index) for index in neighbours]
        pose = mean_pose(poses, weights)
        others = [self._map_from_cam(index) for index in retrieved]
        return PoseEstimate(pose, _covariance(pose, others, len(neighbours)))

    def _map_from_cam(self, index: int) -> RigidTransform:
        return self.reference_map.cam_from_map(int(index)).inverse()

    def _answer(
        self,
        query: QueryImage,
        timer: StageTimer,
        status: Status,
        reason: str,
        retrieved: NDArray[np.int64] | tuple[int, ...] = (),
        pose: PoseEstimate | None = None,
    ) -> Localization:
        return Localization(
            status=status,
            reason=reason,
            stamp_ns=query.stamp_ns,
            localizer='retrieval',
            camera_pose=pose,
            retrieved=tuple(self.reference_map.image_names[index] for index in retrieved),
            timings_ms=timer.milliseconds,
        )


def interpolation_weights(
    descriptor: NDArray[np.float32],
    neighbours: NDArray[np.float32],
    interpolation: Interpolation,
) -> Array:
    """Weigh the retrieved images; the weights add up to 1.

    `affine` (Sattler et al., section 5): of all weights with this sum, those for which the
    weighted descriptors come closest to the query's. They can be negative: the query may lie
    beyond its neighbours.

    Args:
        descriptor: (D,) of the query.
        neighbours: (K, D) of the retrieved images, most similar first.
        interpolation: which weights; `none` takes the first image.

    Returns:
        (K,) float64.
    """
    count = len(neighbours)
    if interpolation == 'none':
        return np.eye(1, count)[0]
    if interpolation == 'equal':
        return np.full(count, 1.0 / count)
    differences = neighbours.astype(np.float64) - descriptor
    if interpolation == 'inverse_distance':
        weights = 1.0 / np.maximum(np.linalg.norm(differences, axis=1), MIN_DISTANCE)
        return weights / weights.sum()
    # With the sum of 1 inside, |d - sum a_i d_i|^2 = a^T G a; Lagrange: G a is a multiple of ones.
    gram = np.einsum('id,jd->ij', differences, differences)
    ridge = max(RIDGE * np.trace(gram) / count, MIN_DISTANCE**2)
    weights = np.linalg.solve(gram + ridge * np.eye(count), np.ones(count))
    return weights / weights.sum()


def mean_pose(poses: list[RigidTransform], weights: Array) -> RigidTransform:
    """Combine (K,) poses by weights that add up to 1 and may be negative.

    Centres are combined in space, rotations on SO(3): the mean is where the weighted rotation
    vectors to all of them cancel, found by steps from the first. Where the rotations are too far
    apart for that, the first one's is kept.

    Args:
        poses: map_from_cam.
        weights: (K,).
    """
    centre = weights @ np.array([pose.translation for pose in poses])
    mean = poses[0].rotation
    for _ in range(MAX_ITERATIONS):
        step = weights @ np.array([log_so3(pose.rotation @ mean.T) for pose in poses])
        mean = exp_so3(step) @ mean
        if np.linalg.norm(step) < CONVERGED:
            return RigidTransform(mean, centre)
    return RigidTransform(poses[0].rotation, centre)


def _covariance(pose: RigidTransform, retrieved: list[RigidTransform], num_used: int) -> Array:
    """Spread of the retrieved poses about the estimate, the same in all directions: (6, 6)."""
    centres = np.array([other.translation for other in retrieved]) - pose.translation
    turns = np.array([log_so3(other.rotation @ pose.rotation.T) for other in retrieved])
    position_variance = _spread(centres, num_used)
    if position_variance < MIN_SPREAD**2:
        position_variance = UNKNOWN_POSITION_STD**2
    rotation_variance = _spread(turns, num_used) + ROTATION_STD**2
    return np.diag(np.repeat([position_variance, rotation_variance], 3))


def _spread(offsets: Array, num_used: int) -> float:
    """Variance of one axis: of the images used, and a share of the median of all retrieved.

    Args:
        offsets: (K, 3) from the estimate, most similar image first.
        num_used: images the estimate is made of, or could have been.
    """
    squares = (offsets**2).sum(axis=1) / 3.0
    return float(squares[:num_used].mean() + WIDER_SPREAD**2 * np.median(squares))
