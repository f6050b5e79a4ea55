# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images share view: by hand, in any unit."""

from __future__ import annotations

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.view_overlap import ViewOverlap

CAMERA = Camera('SIMPLE_PINHOLE', 640, 480, (500.0, 320.0, 240.0))
TELE = Camera('SIMPLE_PINHOLE', 640, 480, (2000.0, 320.0, 240.0))
DEPTHS = np.array([8.0, 10.0, 12.0])


def pose(x=0.0, y=0.0, z=0.0, turn=0.0):
    """map_from_cam, turned to the right by degrees."""
    return RigidTransform(exp_so3(np.array([0.0, np.deg2rad(turn), 0.0])), np.array([x, y, z]))


def shared(query, image, *, scale=1.0, query_camera=CAMERA, camera=CAMERA):
    poses = [RigidTransform(p.rotation, scale * p.translation) for p in (query, image)]
    overlap = ViewOverlap([poses[1].inverse()], [camera], scale * DEPTHS)
    return overlap.shared(poses[0], query_camera)[0]


def test_the_same_view_is_shared():
    assert shared(pose(), pose()) == 1.0


def test_views_share_less_the_further_apart_they_are():
    # The view is 12.8 wide at depth 10.
    values = [shared(pose(), pose(x=x)) for x in (0.0, 3.0, 6.0, 9.0, 30.0)]
    assert values == sorted(values, reverse=True)
    assert values[1] == pytest.approx(1 - 3.0 / 12.8, abs=0.1)
    assert values[-1] == 0.0


@pytest.mark.parametrize('turn', [90.0, 180.0, -120.0])
def test_other_directions_share_nothing(turn):
    assert shared(pose(), pose(turn=turn)) == 0.0


def test_turning_is_not_moving():
    # The view is 65 degrees wide.
    assert shared(pose(), pose(turn=20.0)) == pytest.approx(1 - 20 / 65, abs=0.15)


def test_the_unit_does_not_matter():
    query, image = pose(x=1.0, turn=10.0), pose(x=-2.0, y=1.0, z=2.0)
    expected = shared(query, image)
    assert 0.2 < expected < 1.0
    for scale in (1e-3, 0.37, 1e4):
        assert shared(query, image, scale=scale) == pytest.approx(expected)


def test_sharing_goes_both_ways():
    query, image = pose(x=1.0, turn=10.0), pose(x=-2.0, y=1.0, z=2.0)
    assert shared(query, image) == shared(image, query)
    close_up = shared(pose(), pose(), query_camera=TELE)
    assert close_up == shared(pose(), pose(), camera=TELE) == 1.0


def test_the_other_side_of_the_same_place_is_not_shared():
    # Both look at the point ten ahead, from 60 and from 30 degrees apart.
    def around(angle):
        angle = np.deg2rad(angle)
        return pose(x=10 * np.sin(-angle), z=10 - 10 * np.cos(angle), turn=np.rad2deg(angle))

    assert shared(pose(), around(60.0)) < 0.3
    assert shared(pose(), around(30.0)) > 0.5


def test_images_behind_see_more_than_those_beside():
    assert shared(pose(), pose(z=-2.0)) > 0.95
    assert shared(pose(), pose(z=30.0)) == 0.0


def test_each_image_is_judged_by_its_own_pose_and_camera():
    poses = [pose(), pose(turn=180.0), pose(x=2.0), pose(turn=25.0)]
    cameras = [CAMERA, CAMERA, CAMERA, TELE]
    overlap = ViewOverlap([each.inverse() for each in poses], cameras, DEPTHS)
    values = overlap.shared(pose(x=0.5), CAMERA)
    for value, image, camera in zip(values, poses, cameras, strict=True):
        assert value == pytest.approx(shared(pose(x=0.5), image, camera=camera))
    assert overlap.sharing(pose(x=0.5), CAMERA).tolist() == [True, False, True, True]


def test_strong_distortion_does_not_matter():
    fisheye = Camera('OPENCV', 640, 480, (300.0, 300.0, 320.0, 240.0, -0.4, 0.1, 0.0, 0.0))
    value = shared(pose(), pose(x=0.1), query_camera=fisheye, camera=fisheye)
    assert 0.7 < value <= 1.0
