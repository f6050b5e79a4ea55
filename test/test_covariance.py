# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The covariance of a refined pose."""

import numpy as np
import pytest
from synthetic_scenes import FOCAL_LENGTH, make_scene

from relloc_ros.geometry import log_so3
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance, standard_deviations


def test_monte_carlo_of_independent_residuals():
    # As many images as residuals: then each residual counts for itself.
    squared, errors, covariances = [], [], []
    for seed in range(150):
        scene = make_scene(seed, num_points=60)
        points2D = scene.project(scene.map_from_query, noise_px=0.5)
        pose, _ = estimate_absolute_pose(
            points2D, scene.points, FOCAL_LENGTH, threshold_px=5.0, seed=0
        )
        residuals, jacobians = absolute_residuals(pose, points2D, scene.points, FOCAL_LENGTH)
        covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), 120)
        true = scene.map_from_query
        error = np.r_[
            true.translation - pose.translation, log_so3(true.rotation @ pose.rotation.T)
        ]
        squared.append(error @ np.linalg.solve(covariance, error))
        errors.append(error)
        covariances.append(covariance)
    assert 4.0 < np.mean(squared) < 9.0
    # Position and rotation errors go together, with the sign the convention gives them.
    sample, predicted = np.cov(np.transpose(errors)), np.mean(covariances, axis=0)
    assert np.sign(sample[0, 4]) == np.sign(predicted[0, 4])
    assert np.sign(sample[1, 3]) == np.sign(predicted[1, 3])
    np.testing.assert_allclose(np.diag(sample), np.diag(predicted), rtol=0.5)


def test_a_few_wrong_residuals_hardly_count():
    rng = np.random.default_rng(0)
    residuals, jacobians = rng.normal(size=200) * 0.3, rng.normal(size=(200, 6))
    clean = pose_covariance(residuals[20:], jacobians[20:], 180)
    residuals[:20] = 30.0
    ratio = np.diag(pose_covariance(residuals, jacobians, 200)) / np.diag(clean)
    assert (ratio > 1.0).all()
    assert (ratio < 3.0).all()


def test_residuals_of_few_images_count_for_less():
    rng = np.random.default_rng(0)
    residuals, jacobians = rng.normal(size=100), rng.normal(size=(100, 6))
    many, few = (pose_covariance(residuals, jacobians, images) for images in (100, 5))
    np.testing.assert_allclose(few, 20.0 * many)


def test_a_free_direction_is_none():
    rng = np.random.default_rng(0)
    jacobians = rng.normal(size=(50, 6))
    jacobians[:, 2] = 0.0
    assert pose_covariance(rng.normal(size=50), jacobians, 5) is None
    jacobians[:, 2] = jacobians[:, 0] - 2.0 * jacobians[:, 5]
    assert pose_covariance(rng.normal(size=50), jacobians, 5) is None


def test_perfect_residuals_are_not_zero_covariance():
    jacobians = np.random.default_rng(0).normal(size=(50, 6))
    covariance = pose_covariance(np.zeros(50), jacobians, 5)
    assert np.linalg.eigvalsh(covariance)[0] > 0


def test_standard_deviations_are_those_of_the_longest_axes():
    covariance = np.diag([1.0, 4.0, 9.0, 0.01, 0.04, 0.09])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    block = np.kron(np.eye(2), turn)
    assert standard_deviations(block @ covariance @ block.T) == pytest.approx((3.0, 0.3))
