# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refinement on the matches of all pairs."""

import numpy as np
from synthetic_scenes import make_scene

from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.vision.epipolar_refinement import (
    epipolar_residuals,
    pose_sampson_errors,
    refine_epipolar,
)


def disturbed(pose, rng):
    turn = exp_so3(rng.normal(size=3) * np.deg2rad(1.0))
    return RigidTransform(turn @ pose.rotation, pose.translation + rng.normal(size=3) * 0.05)


def test_exact_matches_lead_back_to_the_pose_and_its_scale():
    scene = make_scene(0)
    matches = [scene.matches(index) for index in range(5)]
    cams = [pose.inverse() for pose in scene.maps_from_ref]
    refined = refine_epipolar(disturbed(scene.map_from_query, scene.rng), matches, cams)
    distance, angle = pose_error(refined, scene.map_from_query)
    assert distance < 1e-4
    assert angle < 1e-4


def test_far_from_the_origin_of_the_map_it_converges_as_well():
    # Georeferenced maps have such coordinates.
    scene = make_scene(0).moved(np.array([5e5, 5.3e6, 300.0]))
    matches = [scene.matches(index) for index in range(5)]
    cams = [pose.inverse() for pose in scene.maps_from_ref]
    refined = refine_epipolar(disturbed(scene.map_from_query, scene.rng), matches, cams)
    distance, angle = pose_error(refined, scene.map_from_query)
    assert distance < 1e-4
    assert angle < 1e-4


def test_noise_and_outliers_leave_a_small_error():
    scene = make_scene(1, num_points=200)
    matches = [scene.matches(index, noise_px=0.5, num_outliers=40) for index in range(5)]
    cams = [pose.inverse() for pose in scene.maps_from_ref]
    initial = disturbed(scene.map_from_query, scene.rng)
    refined = refine_epipolar(initial, matches, cams)
    assert pose_error(refined, scene.map_from_query)[0] < 0.02
    assert pose_error(initial, scene.map_from_query)[0] > 0.04


def test_residuals_and_derivatives():
    scene = make_scene(2)
    matches = [scene.matches(index) for index in range(3)]
    cams = [pose.inverse() for pose in scene.maps_from_ref[:3]]
    residuals, jacobians = epipolar_residuals(scene.map_from_query, matches, cams, scale=1.0)
    assert residuals.shape == (360,)
    np.testing.assert_allclose(residuals, 0.0, atol=1e-8)
    delta = np.array([1e-4, -2e-4, 1e-4, 1e-4, 2e-4, -1e-4])
    moved = RigidTransform(
        exp_so3(delta[3:]) @ scene.map_from_query.rotation,
        scene.map_from_query.translation + delta[:3],
    )
    predicted = jacobians @ delta
    actual = pose_sampson_errors(moved, matches, cams)
    assert np.abs(actual).max() > 0.05
    np.testing.assert_allclose(actual, predicted, atol=2e-3)
