# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depths of scenes made of points at known places."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.scene_depth import scene_depths
from relloc_ros.vision.matching import unit_descriptors

CAMERA = Camera('SIMPLE_PINHOLE', 640, 480, (500.0, 320.0, 240.0))
NUM_POINTS = 300


def make_map(centres, depth, *, matching=True, scale=1.0):
    """A map of cameras that look along z at points about `depth` ahead of the origin."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.4, -0.3, 0.9], [0.4, 0.3, 1.1], size=(NUM_POINTS, 3)) * depth
    points[:, :2] *= points[:, 2:] / depth
    descriptors = rng.integers(0, 256, size=(NUM_POINTS, 128), dtype=np.uint8)
    poses = [
        RigidTransform(exp_so3(0.02 * rng.normal(size=3)), scale * np.array(c)).inverse()
        for c in centres
    ]

    def features(index):
        seen = poses[index].apply(scale * points)
        noise = rng.normal(size=(NUM_POINTS, 2)) * 0.3 / 500.0
        own = rng.integers(0, 256, size=(NUM_POINTS, 128), dtype=np.uint8)
        return SimpleNamespace(
            normalized=seen[:, :2] / seen[:, 2:] + noise,
            descriptors=descriptors if matching else own,
        )

    def retrieve(descriptor, k):
        distances = np.linalg.norm(np.array(centres) - descriptor, axis=1)
        order = np.argsort(distances, kind='stable')[:k]
        return order, -distances[order]

    return SimpleNamespace(
        num_images=len(centres),
        centres=scale * np.array(centres, dtype=float),
        camera=lambda index: CAMERA,
        cam_from_map=lambda index: poses[index],
        features=features,
        extractor=SimpleNamespace(unit_descriptors=unit_descriptors),
        global_descriptors=lambda indices: np.array(centres, dtype=float)[indices],
        retrieve=retrieve,
    )


LINE = [(x, 0.1 * x, 0.0) for x in np.linspace(-1.0, 1.0, 8)]


@pytest.mark.parametrize('scale', [1.0, 1e-2, 1e3])
def test_depths_are_those_of_the_points_in_the_unit_of_the_map(scale):
    low, middle, high = scene_depths(make_map(LINE, 5.0, scale=scale)) / scale
    assert middle == pytest.approx(5.0, rel=0.03)
    assert 4.5 < low < middle < high < 5.5


def test_video_whose_neighbours_hardly_move():
    centres = [(x, 0.0, 0.0) for x in np.linspace(0.0, 1.0, 200)]
    assert scene_depths(make_map(centres, 3.0))[1] == pytest.approx(3.0, rel=0.1)


def test_cameras_that_only_turn_see_far():
    assert scene_depths(make_map([(1e-4 * i, 0.0, 0.0) for i in range(6)], 5.0)).min() > 0.1


def test_without_matches_the_scene_is_as_far_as_the_map_is_wide():
    depths = scene_depths(make_map(LINE, 5.0, matching=False))
    np.testing.assert_allclose(depths, np.hypot(2.0, 0.2))


def test_a_single_image():
    assert (scene_depths(make_map([(0.0, 0.0, 0.0)], 5.0)) > 0).all()
