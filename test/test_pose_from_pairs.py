# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose from essential matrices alone."""

import numpy as np
import pytest
from synthetic_scenes import essential_of, make_scene

from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.vision.covariance import standard_deviations
from relloc_ros.vision.pose_from_pairs import estimate_pose_from_pairs

MAX_ANGLE = np.deg2rad(15.0)


def essentials(scene, noise=0.0):
    """Essential matrices with random sign and scale, of relative poses disturbed by `noise`."""
    result = []
    for map_from_ref in scene.maps_from_ref:
        turn = exp_so3(scene.rng.normal(size=3) * noise)
        tilt = exp_so3(scene.rng.normal(size=3) * noise)
        offset = scene.map_from_query.translation - map_from_ref.translation
        query = RigidTransform(
            turn @ scene.map_from_query.rotation, map_from_ref.translation + tilt @ offset
        )
        result.append(essential_of(query, map_from_ref) * scene.rng.choice([-2.0, 1.0]))
    return result


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('num_refs', [2, 3, 6])
def test_exact_essential_matrices_give_the_exact_pose(seed, num_refs):
    scene = make_scene(seed, num_refs=num_refs)
    result = estimate_pose_from_pairs(essentials(scene), scene.maps_from_ref, max_angle=MAX_ANGLE)
    assert result is not None
    distance, angle = pose_error(result.map_from_body, scene.map_from_query)
    assert distance < 1e-6
    assert angle < 1e-6
    assert result.inliers.all()


def with_wrong_rotation(pose, map_from_ref):
    turn = exp_so3(np.array([0.0, 0.4, 0.2]))
    return essential_of(RigidTransform(turn @ pose.rotation, pose.translation), map_from_ref)


def with_wrong_direction(pose, map_from_ref):
    offset = pose.translation - map_from_ref.translation
    across = np.cross(offset, (0.3, 0.5, 0.8))
    return essential_of(RigidTransform(pose.rotation, pose.translation + across), map_from_ref)


@pytest.mark.parametrize('spoil', [with_wrong_rotation, with_wrong_direction])
@pytest.mark.parametrize('seed', range(5))
def test_outlier_pairs_are_found(seed, spoil):
    scene = make_scene(seed, num_refs=8)
    matrices = essentials(scene, noise=np.deg2rad(0.5))
    for index in (1, 4, 6):
        matrices[index] = spoil(scene.map_from_query, scene.maps_from_ref[index])
    result = estimate_pose_from_pairs(matrices, scene.maps_from_ref, max_angle=np.deg2rad(5.0))
    assert result is not None
    assert not result.inliers[[1, 4, 6]].any()
    assert result.inliers.sum() >= 4
    distance, angle = pose_error(result.map_from_body, scene.map_from_query)
    assert distance < 0.05
    assert angle < np.deg2rad(1.0)


def test_centres_on_one_line_fix_no_position():
    line = [(-1.0, 0.0, 0.0), (-0.3, 0.0, 0.0), (0.4, 0.0, 0.0), (1.0, 0.0, 0.0)]
    scene = make_scene(0, centres=line, query_centre=(0.1, 0.0, 0.0))
    assert estimate_pose_from_pairs(essentials(scene), scene.maps_from_ref, max_angle=0.2) is None


def test_one_pair_fixes_no_position():
    scene = make_scene(0, num_refs=1)
    assert estimate_pose_from_pairs(essentials(scene), scene.maps_from_ref, max_angle=0.2) is None
    assert estimate_pose_from_pairs([], [], max_angle=0.2) is None


def test_two_pairs_that_disagree_give_no_pose():
    scene = make_scene(0, num_refs=2)
    matrices = essentials(scene)
    matrices[1] = with_wrong_rotation(scene.map_from_query, scene.maps_from_ref[1])
    narrow = np.deg2rad(5.0)
    assert estimate_pose_from_pairs(matrices, scene.maps_from_ref, max_angle=narrow) is None


def test_near_images_weigh_more_than_far_ones():
    near = np.array([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-0.8, -0.5, 0.3)])
    far = 30.0 * np.array([(1, 1, 0), (-1, 1, 0.2), (0, -1, 1), (1, 0, -1), (-1, -0.2, 0.5)])
    errors = []
    for seed in range(20):
        scene = make_scene(seed, centres=np.concatenate([near, far]))
        matrices = essentials(scene, noise=np.deg2rad(1.0))
        result = estimate_pose_from_pairs(matrices, scene.maps_from_ref, max_angle=MAX_ANGLE)
        errors.append(pose_error(result.map_from_body, scene.map_from_query)[0])
    # A degree is 2 cm at the near ones, and half a unit at the far ones.
    assert np.median(errors) < 0.04


@pytest.mark.parametrize('distance', [1.0, 5.0])
def test_the_covariance_has_the_size_of_the_errors(distance):
    squared = []
    for seed in range(150):
        directions = np.random.default_rng(seed).normal(size=(6, 3))
        centres = distance * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        scene = make_scene(seed, centres=centres)
        matrices = essentials(scene, noise=np.deg2rad(1.0))
        result = estimate_pose_from_pairs(matrices, scene.maps_from_ref, max_angle=MAX_ANGLE)
        true, estimated = scene.map_from_query, result.map_from_body
        position = true.translation - estimated.translation
        rotation = log_so3(true.rotation @ estimated.rotation.T)
        squared.append(
            (
                position @ np.linalg.solve(result.covariance[:3, :3], position),
                rotation @ np.linalg.solve(result.covariance[3:, 3:], rotation),
            )
        )
    # Three degrees of freedom: 2.4 is the median of chi square.
    assert (np.median(squared, axis=0) > 1.5).all()
    assert (np.median(squared, axis=0) < 3.6).all()


def test_two_exact_pairs_are_not_believed_blindly():
    scene = make_scene(0, num_refs=2)
    result = estimate_pose_from_pairs(essentials(scene), scene.maps_from_ref, max_angle=MAX_ANGLE)
    position_std, rotation_std = standard_deviations(result.covariance)
    assert position_std > 0.005
    assert rotation_std > np.deg2rad(0.2)


def test_the_covariance_is_long_where_the_rays_run():
    far = [(0.0, -0.2, -8.0), (0.0, 0.2, -8.0), (0.3, 0.0, -9.0)]
    scene = make_scene(0, centres=far, query_centre=(0.0, 0.0, 0.0))
    matrices = essentials(scene, noise=np.deg2rad(0.1))
    result = estimate_pose_from_pairs(matrices, scene.maps_from_ref, max_angle=MAX_ANGLE)
    assert result is not None
    assert result.covariance[2, 2] > 50 * max(result.covariance[0, 0], result.covariance[1, 1])
