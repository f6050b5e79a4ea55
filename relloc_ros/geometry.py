# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms and rotations.

Names read ``target_from_source``: ``map_from_cam`` takes a point from the camera frame to the
map frame, and its translation is the camera's centre in the map.
Angles are radians, quaternions appear only where their order stands in the name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from transforms3d import quaternions

from relloc_ros.errors import DataError

__all__ = [
    'MAX_COORDINATE',
    'RigidTransform',
    'exp_so3',
    'interpolate',
    'log_so3',
    'mean_rotation',
    'nearest_rotation',
    'pose_error',
    'rotation_angle',
    'skew',
]

Array = NDArray[np.float64]

MAX_QUATERNION_NORM_ERROR = 1e-2
"""A quaternion further than this from unit length is an error, nearer ones are normalized."""

MAX_COORDINATE = 1e12
"""In any unit: the Earth's diameter in millimetres is 1e10. Beyond, squares lose what matters."""


@dataclass(frozen=True, slots=True, eq=False)
class RigidTransform:
    """A rotation followed by a translation: ``x_target = rotation @ x_source + translation``.

    Attributes:
        rotation: (3, 3) float64, orthonormal with determinant 1.
        translation: (3,) float64, in the map's units (metres for a metric map).
    """

    rotation: Array
    translation: Array

    @classmethod
    def identity(cls) -> RigidTransform:
        """Return the transform that moves nothing."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_quat_xyzw(cls, quat_xyzw: ArrayLike, translation: ArrayLike) -> RigidTransform:
        """Build from a quaternion in ROS order (x, y, z, w) and a (3,) translation.

        Raises:
            DataError: the quaternion is not of unit length, or a number is not finite.
        """
        x, y, z, w = np.asarray(quat_xyzw, dtype=np.float64)
        return cls.from_quat_wxyz((w, x, y, z), translation)

    @classmethod
    def from_quat_wxyz(cls, quat_wxyz: ArrayLike, translation: ArrayLike) -> RigidTransform:
        """Build from a quaternion in COLMAP order (w, x, y, z) and a (3,) translation.

        Raises:
            DataError: the quaternion is not of unit length, or a number is not finite.
        """
        quat = np.array(quat_wxyz, dtype=np.float64)
        position = np.array(translation, dtype=np.float64)
        if not (np.isfinite(quat).all() and np.isfinite(position).all()):
            raise DataError(f'pose has a number that is not finite: {quat}, {position}')
        with np.errstate(over='ignore'):
            norm = float(np.linalg.norm(quat))
        if abs(norm - 1.0) > MAX_QUATERNION_NORM_ERROR:
            raise DataError(f'quaternion {quat} (w, x, y, z) has length {norm:.4f} instead of 1')
        return cls(quaternions.quat2mat(quat / norm), position)

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> RigidTransform:
        """Build from a (3, 4) or (4, 4) matrix."""
        values = np.array(matrix, dtype=np.float64)
        return cls(values[:3, :3].copy(), values[:3, 3].copy())

    @property
    def quat_xyzw(self) -> Array:
        """(4,) unit quaternion in ROS order, w not negative."""
        w, x, y, z = self.quat_wxyz
        return np.array([x, y, z, w])

    @property
    def quat_wxyz(self) -> Array:
        """(4,) unit quaternion in COLMAP order, w not negative."""
        quat: Array = quaternions.mat2quat(self.rotation)
        return quat / np.linalg.norm(quat)

    @property
    def matrix(self) -> Array:
        """(4, 4) homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def inverse(self) -> RigidTransform:
        """Return ``source_from_target``."""
        rotation = self.rotation.T
        return RigidTransform(rotation, -rotation @ self.translation)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """Chain: ``a_from_b @ b_from_c`` is ``a_from_c``."""
        return RigidTransform(
            self.rotation @ other.rotation,
            self.rotation @ other.translation + self.translation,
        )

    def apply(self, points: Array) -> Array:
        """Transform (N, 3) points."""
        return points @ self.rotation.T + self.translation


def skew(vector: Array) -> Array:
    """Return the (3, 3) matrix S with ``S @ x == cross(vector, x)``."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def exp_so3(rotation_vector: Array) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,) in radians."""
    matrix: Array = Rotation.from_rotvec(rotation_vector).as_matrix()
    return matrix


def log_so3(rotation: Array) -> Array:
    """Rotation vector (3,) in radians, length at most pi, of a rotation matrix (3, 3)."""
    vector: Array = Rotation.from_matrix(rotation).as_rotvec()
    return vector


def rotation_angle(rotation: Array) -> float:
    """Angle in [0, pi] radians of a rotation matrix (3, 3), accurate near 0 and near pi."""
    antisymmetric = rotation - rotation.T
    sine = 0.5 * np.sqrt(
        antisymmetric[2, 1] ** 2 + antisymmetric[0, 2] ** 2 + antisymmetric[1, 0] ** 2
    )
    cosine = 0.5 * (np.trace(rotation) - 1.0)
    return float(np.arctan2(sine, cosine))


def mean_rotation(rotations: Array, weights: Array | None = None) -> Array:
    """Mean of (N, 3, 3) rotations on SO(3), with optional (N,) weights.

    The chordal mean: the rotation with the least sum of squared Frobenius distances (Hartley et
    al., "Rotation Averaging", IJCV 2013, section 5.3). Indifferent to quaternion signs.
    """
    mean: Array = Rotation.from_matrix(rotations).mean(weights).as_matrix()
    return mean


def nearest_rotation(matrix: Array) -> Array:
    """Rotation with the least Frobenius distance from a (3, 3) matrix; never a reflection."""
    u, _, vt = np.linalg.svd(matrix)
    rotation: Array = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return rotation


def interpolate(first: RigidTransform, second: RigidTransform, fraction: float) -> RigidTransform:
    """Go from ``first`` (fraction 0) to ``second`` (1): straight line and shortest rotation."""
    step = fraction * log_so3(second.rotation @ first.rotation.T)
    translation = (1.0 - fraction) * first.translation + fraction * second.translation
    return RigidTransform(exp_so3(step) @ first.rotation, translation)


def pose_error(estimate: RigidTransform, truth: RigidTransform) -> tuple[float, float]:
    """Distance of the origins (map units) and angle between the rotations (radians)."""
    distance = float(np.linalg.norm(estimate.translation - truth.translation))
    return distance, rotation_angle(estimate.rotation @ truth.rotation.T)
