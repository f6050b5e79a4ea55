# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Essential matrices of scenes with known answers."""

import numpy as np
import pytest
from synthetic_scenes import FOCAL_LENGTH, essential_of, make_scene

from relloc_ros.geometry import RigidTransform, exp_so3, rotation_angle
from relloc_ros.vision.relative_pose import (
    MatchedPoints,
    decompose_essential,
    estimate_essential_5pt,
    has_baseline,
    in_front,
    sampson_errors,
)


@pytest.mark.parametrize('seed', range(5))
def test_decomposition_holds_the_true_rotation_and_direction(seed):
    scene = make_scene(seed)
    query_from_ref = scene.map_from_query.inverse() @ scene.maps_from_ref[0]
    essential = essential_of(scene.map_from_query, scene.maps_from_ref[0])
    for sign in (1.0, -3.0):
        rotations, translation = decompose_essential(sign * essential)
        np.testing.assert_allclose(np.linalg.det(rotations), 1.0)
        angles = [rotation_angle(rotation @ query_from_ref.rotation.T) for rotation in rotations]
        assert min(angles) < 1e-9
        true = query_from_ref.translation / np.linalg.norm(query_from_ref.translation)
        assert abs(translation @ true) > 1 - 1e-9
        # The other rotation is turned by 180 degrees about the baseline.
        assert rotation_angle(rotations[0] @ rotations[1].T) == pytest.approx(np.pi)


def test_five_point_ransac_finds_the_geometry_among_outliers():
    scene = make_scene(1)
    matches = scene.matches(0, noise_px=0.2, num_outliers=50)
    geometry = estimate_essential_5pt(matches, threshold_px=1.0, seed=3)
    assert geometry is not None
    assert geometry.inliers[50:].mean() > 0.9
    assert geometry.inliers[:50].mean() < 0.15
    rotations, translation = decompose_essential(geometry.essential)
    query_from_ref = scene.map_from_query.inverse() @ scene.maps_from_ref[0]
    error = min(rotation_angle(rotation @ query_from_ref.rotation.T) for rotation in rotations)
    assert error < np.deg2rad(0.5)
    true = query_from_ref.translation / np.linalg.norm(query_from_ref.translation)
    assert abs(translation @ true) > np.cos(np.deg2rad(3.0))
    assert geometry.has_baseline


def test_the_threshold_reaches_poselib():
    # PoseLib ignores option keys it does not know, without a word.
    matches = make_scene(2, num_points=300).matches(0, noise_px=1.0)
    counts = [
        estimate_essential_5pt(matches, threshold_px=threshold, seed=0).inliers.sum()
        for threshold in (0.5, 1.0, 4.0)
    ]
    assert counts[0] < counts[1] < counts[2]


def test_the_seed_decides():
    matches = make_scene(1).matches(0, noise_px=0.5, num_outliers=60)
    first, again, *others = (
        estimate_essential_5pt(matches, threshold_px=0.5, seed=seed).essential
        for seed in (1, 1, 2, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert any((first != other).any() for other in others)


@pytest.mark.parametrize(('count', 'repeats'), [(80, 20), (1500, 4)])
def test_chance_matches_have_no_geometry(count, repeats):
    # Of 1500, more than MIN_INLIERS agree by chance.
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        query, reference = rng.uniform(-0.5, 0.5, size=(2, count, 2))
        matches = MatchedPoints(query, reference, FOCAL_LENGTH, FOCAL_LENGTH)
        assert estimate_essential_5pt(matches, threshold_px=0.5, seed=0) is None


def test_few_matches_have_no_geometry():
    matches = make_scene(0, num_points=10).matches(0)
    assert estimate_essential_5pt(matches, threshold_px=0.5, seed=0) is None


def test_a_rotation_has_no_baseline():
    scene = make_scene(4)
    turned = exp_so3(np.array([0.05, -0.1, 0.02])) @ scene.map_from_query.rotation
    scene.maps_from_ref[0] = RigidTransform(turned, scene.map_from_query.translation)
    geometry = estimate_essential_5pt(scene.matches(0, noise_px=0.2), threshold_px=0.5, seed=0)
    assert geometry is not None
    assert not geometry.has_baseline


@pytest.mark.parametrize(('near', 'expected'), [(10, False), (40, True)])
def test_a_few_near_points_are_no_baseline(near, expected):
    scene = make_scene(4, num_points=100)
    scene.points[near:] *= 1000.0
    query_from_ref = scene.map_from_query.inverse() @ scene.maps_from_ref[0]
    inliers = np.ones(100, dtype=bool)
    matches = scene.matches(0, noise_px=0.2)
    assert has_baseline(matches, inliers, query_from_ref.rotation, 0.5) is expected


def test_the_unsteady_rotation_of_a_pair_without_baseline_shows_no_parallax():
    scene = make_scene(4)
    scene.points *= 1000.0
    query_from_ref = scene.map_from_query.inverse() @ scene.maps_from_ref[0]
    rotation = exp_so3(np.array([0.0, 0.02, 0.0])) @ query_from_ref.rotation
    matches = scene.matches(0, noise_px=0.2)
    assert not has_baseline(matches, np.ones(120, dtype=bool), rotation, 0.5)


def test_points_lie_in_front_of_the_true_pose_and_behind_the_twisted_one():
    scene = make_scene(6)
    matches = scene.matches(0)
    query_from_ref = scene.map_from_query.inverse() @ scene.maps_from_ref[0]
    assert in_front(query_from_ref, matches).all()
    rotations, _ = decompose_essential(essential_of(scene.map_from_query, scene.maps_from_ref[0]))
    for rotation in rotations:
        for sign in (1.0, -1.0):
            pose = RigidTransform(rotation, sign * query_from_ref.translation)
            same = rotation_angle(rotation @ query_from_ref.rotation.T) < 1e-6
            assert in_front(pose, matches).mean() == (1.0 if same and sign > 0 else 0.0)


def test_the_error_falls_to_the_camera_with_the_large_pixels():
    scene = make_scene(5)
    matches = scene.matches(0)
    essential = essential_of(scene.map_from_query, scene.maps_from_ref[0])
    lines = np.column_stack([matches.reference, np.ones(120)]) @ essential.T
    query = matches.query + pixel_across(lines)
    moved = MatchedPoints(query, matches.reference, FOCAL_LENGTH, 1e6)
    np.testing.assert_allclose(np.abs(sampson_errors(essential, moved)), 1.0, rtol=1e-3)
    lines = np.column_stack([matches.query, np.ones(120)]) @ essential
    reference = matches.reference + pixel_across(lines)
    moved = MatchedPoints(matches.query, reference, 1e6, FOCAL_LENGTH)
    np.testing.assert_allclose(np.abs(sampson_errors(essential, moved)), 1.0, rtol=1e-3)


def pixel_across(lines):
    """One pixel perpendicular to each line."""
    return lines[:, :2] / np.linalg.norm(lines[:, :2], axis=1, keepdims=True) / FOCAL_LENGTH


def test_sampson_errors_are_pixels():
    scene = make_scene(5)
    matches = scene.matches(0)
    essential = essential_of(scene.map_from_query, scene.maps_from_ref[0])
    np.testing.assert_allclose(sampson_errors(essential, matches), 0.0, atol=1e-9)
    # Move each query point by one pixel across its epipolar line: both images share the error.
    lines = np.column_stack([matches.reference, np.ones(120)]) @ essential.T
    query = matches.query + pixel_across(lines)
    moved = MatchedPoints(query, matches.reference, FOCAL_LENGTH, FOCAL_LENGTH)
    errors = np.abs(sampson_errors(essential, moved))
    assert (errors < 1.0).all()
    assert np.median(errors) == pytest.approx(np.sqrt(0.5), rel=0.1)
