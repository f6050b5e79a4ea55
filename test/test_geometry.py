# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms and rotations with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from relloc_ros.errors import DataError
from relloc_ros.geometry import (
    RigidTransform,
    exp_so3,
    interpolate,
    log_so3,
    mean_rotation,
    nearest_rotation,
    pose_error,
    rotation_angle,
    skew,
)

QUARTER_TURN_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
HALF = np.sqrt(0.5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def random_transform(rng: np.random.Generator) -> RigidTransform:
    return RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))


def test_quaternion_orders() -> None:
    from_wxyz = RigidTransform.from_quat_wxyz((HALF, 0.0, 0.0, HALF), (1.0, 2.0, 3.0))
    from_xyzw = RigidTransform.from_quat_xyzw((0.0, 0.0, HALF, HALF), (1.0, 2.0, 3.0))
    for transform in (from_wxyz, from_xyzw):
        np.testing.assert_allclose(transform.rotation, QUARTER_TURN_Z, atol=1e-15)
        np.testing.assert_allclose(transform.quat_wxyz, (HALF, 0.0, 0.0, HALF), atol=1e-15)
        np.testing.assert_allclose(transform.quat_xyzw, (0.0, 0.0, HALF, HALF), atol=1e-15)


def test_quaternions_of_random_rotations(rng: np.random.Generator) -> None:
    for rotation in Rotation.random(50, rng=rng):
        transform = RigidTransform(rotation.as_matrix(), np.zeros(3))
        quat_xyzw = transform.quat_xyzw
        assert quat_xyzw[3] >= 0.0
        np.testing.assert_allclose(
            RigidTransform.from_quat_xyzw(quat_xyzw, np.zeros(3)).rotation, rotation.as_matrix()
        )
        np.testing.assert_allclose(quat_xyzw, rotation.as_quat(canonical=True), atol=1e-12)


def test_quaternions_are_normalized_when_nearly_so() -> None:
    transform = RigidTransform.from_quat_wxyz((1.005, 0.0, 0.0, 0.0), np.zeros(3))
    np.testing.assert_array_equal(transform.rotation, np.eye(3))


@pytest.mark.parametrize(
    ('quat_wxyz', 'translation', 'words'),
    [
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 'has length 0.0000 instead of 1'),
        ((1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0), 'length 1.4142'),
        ((np.nan, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), 'not finite'),
        ((1.0, 0.0, 0.0, 0.0), (0.0, np.inf, 0.0), 'not finite'),
    ],
)
def test_senseless_poses_are_refused(
    quat_wxyz: tuple[float, ...], translation: tuple[float, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        RigidTransform.from_quat_wxyz(quat_wxyz, translation)


def test_chain_inverse_and_points(rng: np.random.Generator) -> None:
    a_from_b, b_from_c = random_transform(rng), random_transform(rng)
    a_from_c = a_from_b @ b_from_c
    np.testing.assert_allclose(a_from_c.matrix, a_from_b.matrix @ b_from_c.matrix)
    points = rng.normal(size=(7, 3))
    expected = a_from_b.apply(b_from_c.apply(points))
    np.testing.assert_allclose(a_from_c.apply(points), expected)
    np.testing.assert_allclose((a_from_c.inverse() @ a_from_c).matrix, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(a_from_c.apply(np.zeros((1, 3)))[0], a_from_c.translation)
    np.testing.assert_array_equal((RigidTransform.identity() @ a_from_b).matrix, a_from_b.matrix)


@pytest.mark.parametrize('rows', [3, 4])
def test_from_matrix(rng: np.random.Generator, rows: int) -> None:
    transform = random_transform(rng)
    matrix = transform.matrix[:rows]
    read = RigidTransform.from_matrix(matrix)
    matrix[:] = 0.0
    np.testing.assert_array_equal(read.matrix, transform.matrix)


def test_skew_is_the_cross_product(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 3))
    np.testing.assert_allclose(skew(a) @ b, np.cross(a, b))


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-6, 0.3, 2.0, np.pi - 1e-6, np.pi])
def test_exponential_logarithm_and_angle(rng: np.random.Generator, angle: float) -> None:
    axis = rng.normal(size=3)
    vector = angle * axis / np.linalg.norm(axis)
    rotation = exp_so3(vector)
    np.testing.assert_allclose(exp_so3(log_so3(rotation)), rotation, atol=1e-9)
    assert np.linalg.norm(log_so3(rotation)) == pytest.approx(angle, abs=1e-9)
    assert rotation_angle(rotation) == pytest.approx(angle, abs=1e-9)


def test_small_angles_keep_their_digits() -> None:
    assert rotation_angle(exp_so3(np.array([3e-9, 0.0, 0.0]))) == pytest.approx(3e-9, rel=1e-6)


def test_mean_of_rotations_around_a_known_one(rng: np.random.Generator) -> None:
    centre = random_transform(rng).rotation
    offsets = 0.2 * rng.normal(size=(4, 3))
    rotations = np.array(
        [exp_so3(sign * offset) @ centre for offset in offsets for sign in (1, -1)]
    )
    np.testing.assert_allclose(mean_rotation(rotations), centre, atol=1e-12)


def test_nearest_rotation_is_one_whatever_the_matrix() -> None:
    rotation = exp_so3(np.array([0.4, -1.1, 2.0]))
    rounded = rotation.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(nearest_rotation(3.0 * rounded), rotation, atol=1e-6)
    for seed in range(20):
        nearest = nearest_rotation(np.random.default_rng(seed).normal(size=(3, 3)))
        np.testing.assert_allclose(nearest @ nearest.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(nearest) > 0


def test_weights_of_mean_rotation() -> None:
    rotations = np.array([np.eye(3), exp_so3(np.array([0.0, 0.0, 0.3]))])
    np.testing.assert_allclose(
        mean_rotation(rotations, np.array([1.0, 0.0])), np.eye(3), atol=1e-12
    )
    middle = exp_so3(np.array([0.0, 0.0, 0.15]))
    np.testing.assert_allclose(mean_rotation(rotations, np.ones(2)), middle, atol=1e-12)


def test_interpolation(rng: np.random.Generator) -> None:
    first, second = random_transform(rng), random_transform(rng)
    np.testing.assert_allclose(interpolate(first, second, 0.0).matrix, first.matrix)
    np.testing.assert_allclose(interpolate(first, second, 1.0).matrix, second.matrix)
    part = interpolate(first, second, 0.25)
    np.testing.assert_allclose(
        part.translation, 0.75 * first.translation + 0.25 * second.translation
    )
    _, whole_angle = pose_error(first, second)
    assert pose_error(first, part)[1] == pytest.approx(0.25 * whole_angle)
    assert pose_error(part, second)[1] == pytest.approx(0.75 * whole_angle)


def test_pose_error() -> None:
    truth = RigidTransform(QUARTER_TURN_Z, np.array([1.0, 1.0, 1.0]))
    estimate = RigidTransform(
        exp_so3(np.array([0.0, 0.02, 0.0])) @ QUARTER_TURN_Z, np.array([1.0, 4.0, 5.0])
    )
    assert pose_error(estimate, truth) == pytest.approx((5.0, 0.02))
