# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which way is up in a map: level, pitched, rolled and one-way cameras, in several frames."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from relloc_ros.geometry import Array
from relloc_ros.map.upright import tilt_of_z

FORWARD = Rotation.from_matrix([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
"""A level camera that looks along x of a map whose z is up: cam_from_map."""


def cameras(headings: Array, pitch: float = 0.0, roll: float = 0.0, noise: float = 0.0) -> Array:
    """Rotations cam_from_map in a map whose z is up; degrees."""
    rng = np.random.default_rng(0)
    count = len(headings)
    angles = np.column_stack([np.full(count, roll), np.full(count, -pitch), headings])
    angles += noise * rng.standard_normal(angles.shape)
    map_from_body = Rotation.from_euler('xyz', angles, degrees=True)
    matrices: Array = (FORWARD * map_from_body.inv()).as_matrix()
    return matrices


def turned(rotations: Array, angle: float) -> Array:
    """The same cameras in a map whose z is tilted."""
    map_from_upright = Rotation.from_euler('y', angle, degrees=True)
    matrices: Array = (Rotation.from_matrix(rotations) * map_from_upright.inv()).as_matrix()
    return matrices


AROUND = np.linspace(0.0, 300.0, 12)
ONE_WAY = np.linspace(-3.0, 3.0, 12)


@pytest.mark.parametrize('pitch', [-40.0, 0.0, 40.0])
@pytest.mark.parametrize('headings', [AROUND, ONE_WAY, AROUND[:2]])
def test_z_is_up(headings: Array, pitch: float) -> None:
    assert tilt_of_z(cameras(headings, pitch, noise=2.0)) is None


@pytest.mark.parametrize('pitch', [-30.0, 0.0, 30.0])
@pytest.mark.parametrize('angle', [40.0, 90.0, 175.0])
def test_level_cameras_tell_the_tilt(pitch: float, angle: float) -> None:
    tilt = tilt_of_z(turned(cameras(AROUND, pitch, noise=2.0), angle))
    assert tilt is not None
    assert np.degrees(tilt) == pytest.approx(angle, abs=5.0)


@pytest.mark.parametrize('angle', [90.0, 175.0])
def test_one_way_is_enough_for_a_large_tilt(angle: float) -> None:
    tilt = tilt_of_z(turned(cameras(ONE_WAY, noise=5.0), angle))
    assert tilt is not None
    assert np.degrees(tilt) == pytest.approx(angle, abs=15.0)


def test_a_single_camera() -> None:
    one = cameras(np.zeros(1))
    assert tilt_of_z(one) is None
    assert tilt_of_z(turned(one, 90.0)) is not None


def test_cameras_that_look_down_say_nothing() -> None:
    assert tilt_of_z(cameras(AROUND, pitch=-88.0)) is None
    assert tilt_of_z(turned(cameras(AROUND, pitch=-88.0), 90.0)) is None
    assert tilt_of_z(Rotation.random(100, random_state=1).as_matrix()) is None
