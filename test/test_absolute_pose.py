# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose from 2D-3D matches."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from synthetic_scenes import FOCAL_LENGTH, make_scene, moved_pose

from relloc_ros.geometry import pose_error
from relloc_ros.vision.absolute_pose import absolute_residuals, estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance, standard_deviations


def estimate(points2D, points3D, threshold_px=2.0, seed=0):
    return estimate_absolute_pose(
        points2D, points3D, FOCAL_LENGTH, threshold_px=threshold_px, seed=seed
    )


def test_half_outliers_do_not_matter():
    scene = make_scene(0)
    points2D = scene.project(scene.map_from_query, noise_px=0.3)
    points2D[:60] = scene.rng.uniform(-0.5, 0.5, size=(60, 2))
    pose, inliers = estimate(points2D, scene.points)
    distance, angle = pose_error(pose, scene.map_from_query)
    assert distance < 0.01
    assert angle < np.deg2rad(0.2)
    assert inliers[60:].all()
    assert inliers[:60].sum() < 5


def test_the_threshold_reaches_poselib_in_pixels():
    scene = make_scene(1, num_points=400)
    points2D = scene.project(scene.map_from_query, noise_px=1.0)
    counts = [estimate(points2D, scene.points, threshold)[1].mean() for threshold in (0.5, 1, 3)]
    # Of a two-dimensional normal error, 12, 39 and 99 % lie within 0.5, 1 and 3 deviations.
    np.testing.assert_allclose(counts, [0.12, 0.39, 0.99], atol=0.07)


def test_poselib_minimizes_the_cauchy_loss_of_one_pixel():
    # It ignores option keys it does not know, without a word.
    scene = make_scene(0)
    points2D = scene.project(scene.map_from_query, noise_px=0.5)
    points2D[:40] += np.array([2.0, 1.0]) / FOCAL_LENGTH
    pose, inliers = estimate(points2D, scene.points, threshold_px=5.0)

    def distances(delta):
        moved = moved_pose(pose, delta)
        residuals, _ = absolute_residuals(
            moved, points2D[inliers], scene.points[inliers], FOCAL_LENGTH
        )
        return np.linalg.norm(residuals, axis=1)

    tolerances = {'xtol': 1e-12, 'ftol': 1e-12, 'gtol': 1e-12}
    optimum = least_squares(distances, np.zeros(6), loss='cauchy', **tolerances)
    np.testing.assert_allclose(optimum.x, 0.0, atol=1e-6)
    squares = least_squares(distances, np.zeros(6), **tolerances)
    assert np.abs(squares.x).max() > 1e-4


def test_the_same_seed_gives_the_same_pose():
    scene = make_scene(2)
    points2D = scene.project(scene.map_from_query, noise_px=1.0)
    points2D[:80] = scene.rng.uniform(-0.5, 0.5, size=(80, 2))
    first, second, *others = (
        estimate(points2D, scene.points, seed=seed)[0].matrix for seed in (7, 7, 8, 9, 10)
    )
    np.testing.assert_array_equal(first, second)
    assert any((first != other).any() for other in others)


def test_far_from_the_origin_of_the_map_it_is_as_exact():
    # Georeferenced maps have such coordinates.
    offset = np.array([5e5, 5.3e6, 300.0])
    scene = make_scene(2)
    points2D = scene.project(scene.map_from_query, noise_px=1.0)
    near, _ = estimate(points2D, scene.points, threshold_px=5.0)
    far, _ = estimate(points2D, scene.moved(offset).points, threshold_px=5.0)
    np.testing.assert_allclose(far.translation - offset, near.translation, atol=1e-6)
    np.testing.assert_allclose(far.rotation, near.rotation, atol=1e-6)


@pytest.mark.parametrize('count', [1, 2, 5])
def test_few_points_are_no_exception(count):
    scene = make_scene(0, num_points=count)
    _, inliers = estimate(scene.project(scene.map_from_query), scene.points)
    assert inliers.shape == (count,)
    assert inliers.all() == (count >= 3)


def test_points_on_one_line_leave_the_pose_free():
    scene = make_scene(0)
    scene.points[:, 1:] = (0.1, 6.0)
    points2D = scene.project(scene.map_from_query, noise_px=0.5)
    residuals, jacobians = absolute_residuals(
        scene.map_from_query, points2D, scene.points, FOCAL_LENGTH
    )
    covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), 5)
    assert covariance is None or standard_deviations(covariance)[0] > 100.0


def test_residuals_are_zero_at_the_truth_and_their_derivatives_right():
    scene = make_scene(3)
    points2D = scene.project(scene.map_from_query)
    residuals, jacobians = absolute_residuals(
        scene.map_from_query, points2D, scene.points, FOCAL_LENGTH
    )
    np.testing.assert_allclose(residuals, 0.0, atol=1e-9)
    step = 1e-6
    for axis in range(6):
        delta = np.zeros(6)
        delta[axis] = step
        moved = moved_pose(scene.map_from_query, delta)
        shifted, _ = absolute_residuals(moved, points2D, scene.points, FOCAL_LENGTH)
        np.testing.assert_allclose(jacobians[..., axis], shifted / step, rtol=1e-3, atol=1e-2)
