# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn of cameras, covariances and errors."""

import numpy as np
import pytest
from scipy.stats import chi2

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.scene_shapes import (
    camera_size,
    ellipsoids,
    evenly,
    frustum_lines,
    neighbour_distance,
    thin_out,
)

CAMERA = Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0))
POSE = RigidTransform(exp_so3(np.array([0.3, -1.0, 0.5])), np.array([1.0, -2.0, 3.0]))


def test_a_frustum_starts_at_the_camera_and_looks_ahead():
    lines = frustum_lines([POSE, RigidTransform.identity()], CAMERA, 0.5)
    assert lines.shape == (20, 2, 3)
    np.testing.assert_allclose(lines[0, 0], POSE.translation)
    corners = POSE.inverse().apply(lines[:4, 1])
    assert (corners[:, 2] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(corners[:, :2], axis=1), 0.5)
    # A pixel in the corner of the image is in the corner of the frustum.
    np.testing.assert_allclose(
        corners[0, :2] / corners[0, 2], CAMERA.normalize(np.array([[0.0, 0.0]]))[0]
    )


def test_the_tip_is_above_the_image():
    tip = frustum_lines([RigidTransform.identity()], CAMERA, 1.0)[-1, 0]
    assert tip[1] < frustum_lines([RigidTransform.identity()], CAMERA, 1.0)[:, :, 1].max()
    assert tip[1] == frustum_lines([RigidTransform.identity()], CAMERA, 1.0)[:, :, 1].min()


def test_a_long_lens_is_no_needle():
    telephoto = Camera('PINHOLE', 640, 480, (50000.0, 50000.0, 320.0, 240.0))
    lines = frustum_lines([RigidTransform.identity()], telephoto, 1.0)
    assert lines[:, :, 2].max() == pytest.approx(2.0)


def test_95_percent_of_positions_are_in_an_ellipsoid():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(3, 3))
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = root @ root.T
    shape = ellipsoids([np.eye(6), covariance])
    np.testing.assert_allclose(shape.half_axes[0], np.sqrt(chi2.ppf(0.95, 3)))
    rotation = RigidTransform.from_quat_wxyz(shape.quat_wxyz[1], np.zeros(3)).rotation
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    samples = rng.multivariate_normal(np.zeros(3), covariance[:3, :3], size=20_000)
    inside = np.linalg.norm(samples @ rotation / shape.half_axes[1], axis=1) <= 1.0
    assert inside.mean() == pytest.approx(0.95, abs=0.005)


def test_camera_size_follows_the_extent():
    centres = np.random.default_rng(1).normal(size=(50, 3))
    size = camera_size(centres)
    assert 0 < size < 0.3
    assert camera_size(10 * centres + 1000) == pytest.approx(10 * size)
    assert camera_size(np.ones((4, 3))) == 1.0


def test_thinned_cameras_keep_their_distance():
    centres = np.column_stack([np.arange(10.0), np.zeros(10), np.zeros(10)])
    assert thin_out(centres, 2.5) == [0, 3, 6, 9]
    assert thin_out(centres, 0.5) == list(range(10))
    assert thin_out(centres[:1], 5.0) == [0]


def test_distance_to_the_next_camera():
    rows = np.column_stack([[0.0, 1.0, 3.0, 3.5, 10.0], np.zeros(5), np.zeros(5)])
    assert neighbour_distance(rows) == pytest.approx(1.0)
    assert neighbour_distance(rows[:1]) == 0.0
    assert neighbour_distance(rows[:0]) == 0.0
    assert neighbour_distance(np.ones((4, 3))) == 0.0


def test_evenly_chosen():
    assert evenly(5, 10) == [0, 1, 2, 3, 4]
    assert evenly(9, 3) == [0, 4, 8]
    assert evenly(1, 3) == [0]
    assert evenly(0, 3) == []
    many = evenly(12_345, 1000)
    assert len(set(many)) == 1000
    assert (many[0], many[-1]) == (0, 12_344)
    assert set(np.diff(many)) == {12, 13}
