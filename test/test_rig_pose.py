# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of a body with several cameras from 2D-3D matches."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from synthetic_scenes import FOCAL_LENGTH, moved_pose

from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.vision.absolute_pose import estimate_absolute_pose
from relloc_ros.vision.covariance import pose_covariance
from relloc_ros.vision.rig_pose import CameraPoints, estimate_rig_pose, rig_residuals

AROUND = (0.0, 2.1, 4.2)
AHEAD = (0.0, 0.02, 0.04)
MAP_FROM_BODY = RigidTransform(exp_so3(np.array([0.4, -1.0, 0.7])), np.array([3.0, -2.0, 1.0]))


def make_rig(
    seed, yaws=AROUND, num_points=40, noise_px=0.5, num_outliers=0, offset=0.0, lever=0.3
):
    """Cameras that look in different directions, at 2 to 8 units; outliers come first."""
    rng = np.random.default_rng(seed)
    map_from_body = RigidTransform(MAP_FROM_BODY.rotation, MAP_FROM_BODY.translation + offset)
    cameras = []
    for index, yaw in enumerate(yaws):
        turn = exp_so3(np.array([0.0, yaw, 0.0])) @ exp_so3(rng.normal(size=3) * 0.05)
        body_from_cam = RigidTransform(turn, rng.normal(size=3) * lever)
        points2D = rng.uniform(-0.5, 0.5, size=(num_points, 2))
        rays = np.column_stack([points2D, np.ones(num_points)])
        local = rays * rng.uniform(2.0, 8.0, size=(num_points, 1))
        focal_length = FOCAL_LENGTH * (1.0 + 0.2 * index)
        points2D = points2D + rng.normal(size=points2D.shape) * noise_px / focal_length
        points2D[:num_outliers] = rng.uniform(-0.5, 0.5, size=(num_outliers, 2))
        points3D = (map_from_body @ body_from_cam).apply(local)
        cameras.append(CameraPoints(body_from_cam, points2D, points3D, focal_length))
    return map_from_body, cameras


def estimate(cameras, threshold_px=3.0, seed=0):
    return estimate_rig_pose(cameras, threshold_px=threshold_px, seed=seed)


@pytest.mark.parametrize('yaws', [AROUND, AHEAD], ids=['around', 'ahead'])
@pytest.mark.parametrize('seed', range(4))
def test_half_outliers_do_not_matter(yaws, seed):
    true, cameras = make_rig(seed, yaws, num_outliers=20)
    pose, inliers = estimate(cameras)
    distance, angle = pose_error(pose, true)
    assert distance < 0.02
    assert angle < np.deg2rad(0.3)
    for mask in inliers:
        assert mask[20:].mean() > 0.9
        assert mask[:20].sum() <= 3


def test_cameras_at_one_place_are_no_special_case():
    true, cameras = make_rig(1, AHEAD, num_outliers=15, lever=0.0)
    assert pose_error(estimate(cameras)[0], true)[0] < 0.02


def test_cameras_with_too_few_points_each_are_enough_together():
    true, cameras = make_rig(2, num_points=5, num_outliers=1, noise_px=0.2)
    pose, inliers = estimate(cameras)
    assert pose_error(pose, true)[0] < 0.02
    assert sum(int(mask.sum()) for mask in inliers) >= 12


def test_more_cameras_are_more_exact():
    errors = np.array(
        [
            [pose_error(estimate(cameras[:count])[0], true)[0] for count in (1, 2, 3)]
            for true, cameras in (make_rig(seed) for seed in range(20))
        ]
    )
    one, two, three = np.median(errors, axis=0)
    assert one > 1.3 * two
    assert two > 1.1 * three


def test_a_camera_alone_gives_what_it_gives_without_a_rig():
    _, cameras = make_rig(3, num_outliers=15)
    camera = cameras[1]
    pose, inliers = estimate([camera], seed=4)
    map_from_cam, own = estimate_absolute_pose(
        camera.points2D, camera.points3D, camera.focal_length, threshold_px=3.0, seed=4
    )
    np.testing.assert_allclose(
        (pose @ camera.body_from_cam).matrix, map_from_cam.matrix, atol=1e-12
    )
    np.testing.assert_array_equal(inliers[0], own)


def test_the_result_minimizes_the_cauchy_loss_of_one_pixel():
    _, cameras = make_rig(4, num_outliers=10)
    pose, inliers = estimate(cameras)
    seen = [camera.select(mask) for camera, mask in zip(cameras, inliers, strict=True)]

    def distances(delta):
        return np.linalg.norm(rig_residuals(moved_pose(pose, delta), seen)[0], axis=1)

    optimum = least_squares(distances, np.zeros(6), loss='cauchy', xtol=1e-12, ftol=1e-12)
    np.testing.assert_allclose(optimum.x, 0.0, atol=1e-5)


def test_the_same_seed_gives_the_same_pose():
    _, cameras = make_rig(5, num_outliers=25)
    results = [estimate(cameras, seed=seed) for seed in (7, 8, 7, 9)]
    np.testing.assert_array_equal(results[0][0].matrix, results[2][0].matrix)
    np.testing.assert_array_equal(results[0][1], results[2][1])


def test_far_from_the_origin_of_the_map_it_is_as_exact():
    offset = np.array([5e5, 5.3e6, 300.0])
    near, _ = estimate(make_rig(6)[1], threshold_px=8.0)
    far, _ = estimate(make_rig(6, offset=offset)[1], threshold_px=8.0)
    np.testing.assert_allclose(far.translation - offset, near.translation, atol=1e-6)
    np.testing.assert_allclose(far.rotation, near.rotation, atol=1e-6)


@pytest.mark.parametrize('counts', [(1, 1), (2, 1), (3, 0), (1, 1, 1)])
def test_few_points_are_no_exception(counts):
    _, cameras = make_rig(7)
    few = [
        camera.select(np.arange(len(camera)) < count)
        for camera, count in zip(cameras, counts, strict=False)
    ]
    _, inliers = estimate(few)
    assert [len(mask) for mask in inliers] == list(counts)


def test_wrong_points_give_no_inliers_worth_the_name():
    _, cameras = make_rig(8, num_outliers=40)
    assert sum(int(mask.sum()) for mask in estimate(cameras)[1]) < 15


def test_residuals_are_zero_at_the_truth_and_their_derivatives_right():
    true, cameras = make_rig(9, noise_px=0.0)
    residuals, jacobians = rig_residuals(true, cameras)
    assert residuals.shape == (120, 2)
    np.testing.assert_allclose(residuals, 0.0, atol=1e-9)
    step = 1e-6
    for axis in range(6):
        delta = np.zeros(6)
        delta[axis] = step
        shifted, _ = rig_residuals(moved_pose(true, delta), cameras)
        np.testing.assert_allclose(jacobians[..., axis], shifted / step, rtol=1e-3, atol=1e-2)


def test_covariance_is_as_large_as_the_errors():
    distances = []
    for seed in range(60):
        true, cameras = make_rig(seed, num_points=30)
        pose, inliers = estimate(cameras, threshold_px=5.0)
        seen = [camera.select(mask) for camera, mask in zip(cameras, inliers, strict=True)]
        residuals, jacobians = rig_residuals(pose, seen)
        # Independent noise: each residual counts for itself.
        covariance = pose_covariance(residuals.ravel(), jacobians.reshape(-1, 6), residuals.size)
        turn = log_so3(true.rotation @ pose.rotation.T)
        error = np.concatenate([true.translation - pose.translation, turn])
        distances.append(error @ np.linalg.solve(covariance, error))
    # Of chi-squared with 6 degrees of freedom the mean is 6.
    assert 3.5 < np.mean(distances) < 11.0


def test_a_camera_that_sees_nothing_changes_nothing():
    true, cameras = make_rig(10)
    empty = replace(cameras[2], points2D=np.empty((0, 2)), points3D=np.empty((0, 3)))
    pose, inliers = estimate([*cameras[:2], empty])
    assert pose_error(pose, true)[0] < 0.02
    assert len(inliers[2]) == 0
