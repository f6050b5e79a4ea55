# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last poses of a robot and the odometry between them, optimized together: MapNet+PGO.

Brahmbhatt et al., "Geometry-Aware Learning of Maps for Camera Localization" (CVPR 2018), do it
with the poses of their network; here any localizer's will do. The solver is GTSAM.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import logging
from typing import Any

import numpy as np
from scipy.linalg import solveh_banded

from relloc_ros.config import TrackingConfig
from relloc_ros.errors import MissingDependencyError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.innovation import odometry_std
from relloc_ros.odometer import Drift
from relloc_ros.structures import PoseEstimate

__all__ = ['PoseGraph', 'map_from_tangent']

logger = logging.getLogger(__name__)

OUTLIER_THRESHOLD = 16.81
"""Squared Mahalanobis distance that one right pose in a hundred exceeds (chi-squared, 6 degrees of
freedom): from there on a pose counts the less, the further off it is."""
MAX_ITERATIONS = 20
BAND = 12
"""Diagonals of the information of a chain of poses, from the main one up."""


@dataclass(slots=True, eq=False)
class _Node:
    """A pose of the window.

    Attributes:
        absolute: noise model of the pose that the image gave.
        measured: that pose.
        estimate: where it is by now.
        motion: the way from the pose before, None for the first.
        motion_noise: its noise model.
    """

    absolute: Any
    measured: Any
    estimate: Any
    motion: Any = None
    motion_noise: Any = None


class PoseGraph:
    """A window of the last poses that were accepted.

    Each has a factor for what its image said and one for the odometry since the pose before. What
    leaves the window is forgotten altogether: nothing but the images says where in the map the
    window is, so that images that agree always prevail, and no error lasts for longer than the
    window. A pose far from what the others and odometry say (Agarwal et al., "Robust Map
    Optimization Using Dynamic Covariance Scaling", ICRA 2013) counts for next to nothing.
    """

    def __init__(self, config: TrackingConfig) -> None:
        """Start empty.

        Args:
            config: length of the window, noise of odometry.

        Raises:
            MissingDependencyError: GTSAM is not installed.
        """
        self._gtsam = _load_gtsam()
        self._config = config
        self._window: deque[_Node] = deque(maxlen=config.fusion_window)
        self._last: tuple[RigidTransform, Drift] | None = None

    def __len__(self) -> int:
        """Count the poses in the window."""
        return len(self._window)

    def clear(self) -> None:
        """Forget all poses."""
        self._window.clear()
        self._last = None

    def add(
        self, pose: PoseEstimate, odom_from_base: RigidTransform, travelled: Drift
    ) -> PoseEstimate:
        """Take a pose and say where the robot is by all of the window.

        Args:
            pose: map_from_base.
            odom_from_base: odometry at the same time.
            travelled: the way until then.

        Returns:
            map_from_base, with covariance: of this pose alone if the window was empty, or has no
            solution, in which case it is given up.
        """
        node = self._node(pose, odom_from_base, travelled)
        self._window.append(node)
        self._last = odom_from_base, travelled
        try:
            return self._solve()
        except RuntimeError as error:
            logger.warning('the pose graph has no solution and is given up: %s', error)
            self.clear()
            return pose

    def _node(self, pose: PoseEstimate, odom_from_base: RigidTransform, travelled: Drift) -> _Node:
        gtsam = self._gtsam
        measured = gtsam.Pose3(pose.map_from_body.matrix)
        jacobian = map_from_tangent(pose.map_from_body.rotation)
        gaussian = gtsam.noiseModel.Gaussian.Covariance(jacobian.T @ pose.covariance @ jacobian)
        robust = gtsam.noiseModel.mEstimator.DCS.Create(OUTLIER_THRESHOLD)
        absolute = gtsam.noiseModel.Robust.Create(robust, gaussian)
        if self._last is None:
            return _Node(absolute, measured, measured)
        before, travelled_before = self._last
        motion = gtsam.Pose3((before.inverse() @ odom_from_base).matrix)
        position_std, rotation_std = odometry_std(travelled - travelled_before, self._config)
        stds = np.repeat(
            [
                np.hypot(rotation_std, self._config.odometry_min_rotation_std),
                np.hypot(position_std, self._config.odometry_min_position_std),
            ],
            3,
        )
        noise = gtsam.noiseModel.Diagonal.Sigmas(stds)
        expected = self._window[-1].estimate.compose(motion)
        return _Node(absolute, measured, expected, motion, noise)

    def _solve(self) -> PoseEstimate:
        """Optimize the window.

        Raises:
            RuntimeError: GTSAM finds no solution.
        """
        gtsam = self._gtsam
        graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
        for key, node in enumerate(self._window):
            values.insert(key, node.estimate)
            graph.add(gtsam.PriorFactorPose3(key, node.measured, node.absolute))
            if key > 0:
                graph.add(gtsam.BetweenFactorPose3(key - 1, key, node.motion, node.motion_noise))
        parameters = gtsam.LevenbergMarquardtParams()
        parameters.setMaxIterations(MAX_ITERATIONS)
        values = gtsam.LevenbergMarquardtOptimizer(graph, values, parameters).optimize()
        for key, node in enumerate(self._window):
            node.estimate = values.atPose3(key)
        found = RigidTransform.from_matrix(self._window[-1].estimate.matrix())
        return PoseEstimate(found, self._covariance(graph, values))

    def _covariance(self, graph: Any, values: Any) -> Array:
        """Say how unsure the newest pose is, (6, 6) as in `PoseEstimate`.

        Images of one place err alike: by what is wrong with the map, or by the same similar image.
        What the images contribute is therefore added up as if they shared one error, and only
        errors of odometry as independent ones. No number of images makes surer than one.

        Raises:
            RuntimeError: the window leaves a pose open.
        """
        information, _ = graph.linearize(values).hessian()
        axes = [map_from_tangent(node.estimate.rotation().matrix()) for node in self._window]
        try:
            newest = _last_blocks(information)
            weights = np.stack([self._weight(key, values) for key in range(len(axes))])
            turns = np.stack(axes)
            roots = _square_roots(turns @ weights @ turns.transpose(0, 2, 1))
        except (np.linalg.LinAlgError, ValueError) as error:
            raise RuntimeError(str(error)) from error
        gains = axes[-1] @ newest @ turns.transpose(0, 2, 1) @ roots
        shared = gains.sum(axis=0)
        independent = axes[-1] @ newest[-1] @ axes[-1].T
        covariance = (
            independent - (gains @ gains.transpose(0, 2, 1)).sum(axis=0) + shared @ shared.T
        )
        if not np.isfinite(covariance).all():
            raise RuntimeError('its covariance is not finite')
        return 0.5 * (covariance + covariance.T)

    def _weight(self, key: int, values: Any) -> Array:
        """Give the information (6, 6) of what an image says, as the robust kernel leaves it."""
        node = self._window[key]
        factor = self._gtsam.PriorFactorPose3(key, node.measured, node.absolute)
        return np.asarray(factor.linearize(values).information())


def _last_blocks(information: Array) -> Array:
    """Give the last row of blocks (N, 6, 6) of the inverse of a chain's information (6N, 6N).

    Raises:
        LinAlgError: not positive definite.
        ValueError: a number is not finite.
    """
    size = len(information)
    upper = np.zeros((min(BAND, size), size))
    for k in range(len(upper)):
        upper[-1 - k, k:] = np.diagonal(information, k)
    last = solveh_banded(upper, np.eye(size)[:, -6:])
    return last.reshape(-1, 6, 6).transpose(0, 2, 1)


def _square_roots(matrices: Array) -> Array:
    """Give the symmetric square roots of (N, 6, 6) positive definite matrices."""
    values, vectors = np.linalg.eigh(matrices)
    scaled = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return scaled @ vectors.transpose(0, 2, 1)


def map_from_tangent(rotation: Array) -> Array:
    """Take errors in GTSAM's tangent space to ours.

    GTSAM's are (rotation, translation) in the body's frame, ``T_true = T @ Exp(error)``; ours
    (position, rotation vector) along and about the map's axes, see `PoseEstimate`.

    Args:
        rotation: (3, 3) map_from_body.

    Returns:
        (6, 6) orthonormal J: ``ours = J @ theirs``, and for covariances ``J @ C @ J.T``.
    """
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = rotation
    jacobian[3:, :3] = rotation
    return jacobian


def _load_gtsam() -> Any:
    try:
        import gtsam  # noqa: PLC0415  optional
    except ImportError as error:
        raise MissingDependencyError(
            f"fusion 'pgo' needs {error.name}: pip install gtsam, or 'relloc_ros[fusion]'"
        ) from error
    return gtsam
