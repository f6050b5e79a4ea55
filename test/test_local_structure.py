# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Triangulation of query keypoints from posed map images."""

import numpy as np
import pytest
from synthetic_scenes import FOCAL_LENGTH, make_scene

from relloc_ros.vision.local_structure import (
    point_residuals,
    reprojection_errors,
    triangulate_tracks,
)

MIN_ANGLE = np.deg2rad(1.0)


def triangulate(scene, observations, seen, threshold_px=2.0, min_angle=MIN_ANGLE):
    index = np.arange(len(observations))
    return triangulate_tracks(
        index, observations, seen, scene.views(), threshold_px=threshold_px, min_angle=min_angle
    )


def test_exact_observations_give_exact_points():
    scene = make_scene(0)
    observations = scene.observations()
    tracks = triangulate(scene, observations, np.ones(observations.shape[:2], dtype=bool))
    assert len(tracks) == len(scene.points)
    np.testing.assert_allclose(tracks.points, scene.points[tracks.keypoint_index], atol=1e-6)
    assert tracks.seen.all()
    assert reprojection_errors(tracks.points, observations, scene.views()).max() < 1e-6


def test_refined_points_are_better_than_two_views():
    scene = make_scene(1, num_refs=6)
    observations = scene.observations(noise_px=0.5)
    seen = np.ones(observations.shape[:2], dtype=bool)
    two = seen.copy()
    two[:, 2:] = False
    many = triangulate(scene, observations, seen)
    few = triangulate(scene, observations, two)

    def error(tracks):
        difference = tracks.points - scene.points[tracks.keypoint_index]
        return np.median(np.linalg.norm(difference, axis=1))

    assert error(many) < 0.9 * error(few)


def test_one_wrong_observation_of_three_is_dropped():
    scene = make_scene(2, num_refs=3)
    observations = scene.observations()
    observations[:, 1] += 30.0 / FOCAL_LENGTH
    tracks = triangulate(scene, observations, np.ones(observations.shape[:2], dtype=bool))
    kept = tracks.seen.sum(axis=1) == 2
    assert kept.mean() > 0.9
    right = kept & ~tracks.seen[:, 1]
    assert right.mean() > 0.8
    np.testing.assert_allclose(
        tracks.points[right], scene.points[tracks.keypoint_index[right]], atol=1e-6
    )


@pytest.mark.parametrize('value', [np.nan, None])
def test_unseen_observations_are_not_looked_at(value):
    scene = make_scene(3)
    observations = scene.observations()
    seen = scene.rng.random(observations.shape[:2]) < 0.5
    if value is not None:
        observations[~seen] = value
    tracks = triangulate(scene, observations, seen)
    assert len(tracks) > 0.6 * len(scene.points)
    assert not (tracks.seen & ~seen[tracks.keypoint_index]).any()
    np.testing.assert_allclose(tracks.points, scene.points[tracks.keypoint_index], atol=1e-6)


def test_one_observation_gives_no_point():
    scene = make_scene(0)
    observations = scene.observations()
    seen = np.zeros(observations.shape[:2], dtype=bool)
    seen[:, 0] = True
    assert len(triangulate(scene, observations, seen)) == 0


def test_small_angles_give_no_point():
    near = [(0.0, 0.0, 0.0), (0.02, 0.0, 0.0), (0.0, 0.02, 0.0)]
    scene = make_scene(0, centres=near)
    observations = scene.observations()
    seen = np.ones(observations.shape[:2], dtype=bool)
    assert len(triangulate(scene, observations, seen)) == 0
    assert len(triangulate(scene, observations, seen, min_angle=0.0)) == len(scene.points)


def test_only_rays_that_see_a_point_make_its_angle():
    scene = make_scene(0, centres=[(0.0, 0.0, 0.0), (0.02, 0.0, 0.0), (2.0, 0.0, 0.0)])
    seen = np.ones((120, 3), dtype=bool)
    seen[:, 2] = False
    assert len(triangulate(scene, scene.observations(), seen)) == 0


def test_points_behind_every_camera_are_refused():
    scene = make_scene(0)
    scene.points *= -1.0
    observations = scene.observations()
    seen = np.ones(observations.shape[:2], dtype=bool)
    assert len(triangulate(scene, observations, seen)) == 0
    assert np.isinf(reprojection_errors(scene.points, observations, scene.views())).all()


def test_points_behind_the_cameras_are_refused():
    scene = make_scene(0, num_refs=2)
    # Exchanging the images of two cameras makes most rays meet behind them.
    swapped = scene.observations()[:, ::-1].copy()
    tracks = triangulate(scene, swapped, np.ones(swapped.shape[:2], dtype=bool))
    local = np.einsum('pij,kj->kpi', scene.views().rotations, tracks.points)
    assert (local[..., 2] + scene.views().translations[:, 2] > 0).all()
    assert len(tracks) < 0.2 * len(scene.points)


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e9])
def test_observations_that_are_no_numbers_cost_no_point(value):
    scene = make_scene(0, num_refs=4)
    observations = scene.observations()
    observations[:60, 1] = value
    with np.errstate(invalid='ignore'):
        tracks = triangulate(scene, observations, np.ones(observations.shape[:2], dtype=bool))
    assert len(tracks) == len(scene.points)
    assert not tracks.seen[:60, 1].any()
    assert tracks.seen[60:].all()
    np.testing.assert_allclose(tracks.points, scene.points, atol=1e-6)


def test_a_map_of_one_image_gives_no_point():
    scene = make_scene(0, num_refs=1)
    observations = scene.observations()
    assert len(triangulate(scene, observations, np.ones((120, 1), dtype=bool))) == 0


@pytest.mark.parametrize('noise_px', [0.0, 0.5])
def test_images_from_one_place_give_no_point(noise_px):
    scene = make_scene(0, centres=[(0.2, 0.0, 0.0)] * 4)
    observations = scene.observations(noise_px)
    assert len(triangulate(scene, observations, np.ones((120, 4), dtype=bool))) == 0


def test_an_image_twice_is_no_second_view():
    scene = make_scene(0, centres=[(-0.5, 0.0, 0.0), (-0.5, 0.0, 0.0), (0.5, 0.0, 0.0)])
    seen = np.ones((120, 3), dtype=bool)
    assert len(triangulate(scene, scene.observations(), seen)) == 120
    seen[:, 2] = False
    assert len(triangulate(scene, scene.observations(), seen)) == 0


def test_the_derivatives_of_the_residuals():
    scene = make_scene(0, num_refs=3)
    observations = scene.observations()
    seen = scene.rng.random(observations.shape[:2]) < 0.7
    residuals, jacobians = point_residuals(scene.points, observations, seen, scene.views())
    np.testing.assert_allclose(residuals, 0.0, atol=1e-9)
    for axis, step in enumerate(1e-6 * np.eye(3)):
        moved, _ = point_residuals(scene.points + step, observations, seen, scene.views())
        np.testing.assert_allclose(jacobians[..., axis], moved / 1e-6, rtol=1e-3, atol=1e-2)
    errors = reprojection_errors(scene.points + step, observations, scene.views())
    np.testing.assert_allclose(np.linalg.norm(moved, axis=2)[seen], errors[seen])
    assert not residuals[~seen].any()
    assert not jacobians[~seen].any()


def test_no_tracks_are_no_error():
    scene = make_scene(0, num_refs=3)
    empty = triangulate(scene, np.empty((0, 3, 2)), np.empty((0, 3), dtype=bool))
    assert len(empty) == 0
    assert empty.points.shape == (0, 3)
