# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refinement on the matches of all pairs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from synthetic_scenes import make_scene, moved_pose

from relloc_ros.geometry import pose_error
from relloc_ros.vision.epipolar_refinement import (
    epipolar_residuals,
    pose_sampson_errors,
    refine_epipolar,
)


def disturbed(pose, rng):
    turn = rng.normal(size=3) * np.deg2rad(1.0)
    return moved_pose(pose, np.r_[rng.normal(size=3) * 0.05, turn])


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


@pytest.mark.parametrize(
    ('focal_lengths', 'tolerance'), [((500.0,) * 4, 1e-6), ((300.0, 500.0, 900.0, 1500.0), 2e-3)]
)
def test_it_minimizes_the_residuals_whose_covariance_is_taken(focal_lengths, tolerance):
    scene = make_scene(0)
    matches = [
        replace(scene.matches(index, noise_px=0.5, num_outliers=10), reference_focal_length=focal)
        for index, focal in enumerate(focal_lengths)
    ]
    cams = [pose.inverse() for pose in scene.maps_from_ref[:4]]
    refined = refine_epipolar(disturbed(scene.map_from_query, scene.rng), matches, cams)
    optimum = least_squares(
        lambda delta: pose_sampson_errors(moved_pose(refined, delta), matches, cams),
        np.zeros(6),
        loss='cauchy',
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    np.testing.assert_allclose(optimum.x, 0.0, atol=tolerance)


def test_residuals_and_derivatives():
    scene = make_scene(2)
    matches = [scene.matches(index) for index in range(3)]
    cams = [pose.inverse() for pose in scene.maps_from_ref[:3]]
    residuals, jacobians = epipolar_residuals(scene.map_from_query, matches, cams, scale=1.0)
    assert residuals.shape == (360,)
    np.testing.assert_allclose(residuals, 0.0, atol=1e-8)
    delta = np.array([1e-4, -2e-4, 1e-4, 1e-4, 2e-4, -1e-4])
    moved = moved_pose(scene.map_from_query, delta)
    predicted = jacobians @ delta
    actual = pose_sampson_errors(moved, matches, cams)
    assert np.abs(actual).max() > 0.05
    np.testing.assert_allclose(actual, predicted, atol=2e-3)
