# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras: the pixel convention, distortion both ways, and parameters that make no sense."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import Array

FOCAL_LENGTHS = (500.0, 510.0)
CENTRE = (321.0, 239.0)

DISTORTED = [
    Camera('SIMPLE_PINHOLE', 640, 480, (500.0, *CENTRE)),
    Camera('PINHOLE', 640, 480, (*FOCAL_LENGTHS, *CENTRE)),
    Camera('SIMPLE_RADIAL', 640, 480, (500.0, *CENTRE, -0.1)),
    Camera('RADIAL', 640, 480, (500.0, *CENTRE, -0.1, 0.02)),
    Camera('OPENCV', 640, 480, (*FOCAL_LENGTHS, *CENTRE, -0.1, 0.02, 0.001, -0.002)),
    Camera(
        'FULL_OPENCV',
        640,
        480,
        (*FOCAL_LENGTHS, *CENTRE, -0.1, 0.02, 0.001, -0.002, 0.01, 0.05, 0.01, 0.0),
    ),
    Camera('OPENCV_FISHEYE', 640, 480, (*FOCAL_LENGTHS, *CENTRE, -0.02, 0.01, 0.001, -0.002)),
    Camera('SIMPLE_RADIAL_FISHEYE', 640, 480, (500.0, *CENTRE, -0.02)),
    Camera('RADIAL_FISHEYE', 640, 480, (500.0, *CENTRE, -0.02, 0.01)),
    Camera('FOV', 640, 480, (*FOCAL_LENGTHS, *CENTRE, 0.8)),
    Camera(
        'THIN_PRISM_FISHEYE',
        640,
        480,
        (*FOCAL_LENGTHS, *CENTRE, -0.02, 0.01, 0.001, -0.002, 0.001, 0.0, 0.001, -0.001),
    ),
]


def grid(camera: Camera) -> Array:
    y, x = np.mgrid[0 : camera.height : 7j, 0 : camera.width : 9j]
    return np.column_stack([x.ravel(), y.ravel()])


def homogeneous(points: Array) -> Array:
    return np.column_stack([points, np.ones(len(points))])


@pytest.mark.parametrize('camera', DISTORTED, ids=lambda camera: camera.model)
def test_undistortion_is_the_inverse_of_projection(camera: Camera) -> None:
    pixels = grid(camera)
    points = camera.normalize(pixels)
    assert points.shape == (63, 2)
    np.testing.assert_allclose(camera.project(homogeneous(points)), pixels, atol=1e-6)


def test_pinhole_by_hand() -> None:
    camera = Camera('PINHOLE', 640, 480, (*FOCAL_LENGTHS, *CENTRE))
    points = camera.normalize(np.array([[321.0, 239.0], [821.0, 749.0]]))
    np.testing.assert_allclose(points, [[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(camera.project(np.array([[2.0, 0.0, 4.0]])), [[571.0, 239.0]])
    assert camera.mean_focal_length == 505.0


def test_distortion_as_in_opencv_half_a_pixel_on() -> None:
    camera = DISTORTED[4]
    points = np.random.default_rng(1).uniform(-0.4, 0.4, (20, 3)) + np.array([0, 0, 1])
    fx, fy, cx, cy, *distortion = camera.params
    # OpenCV counts from the centre of the first pixel.
    matrix = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
    pixels, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array(distortion))
    np.testing.assert_allclose(camera.project(points), pixels[:, 0] + 0.5, atol=1e-9)


@pytest.mark.parametrize('camera', DISTORTED, ids=lambda camera: camera.model)
def test_resize_scales_lengths(camera: Camera) -> None:
    lengths = camera.params.index(CENTRE[1]) + 1
    scaled = (*(0.5 * value for value in camera.params[:lengths]), *camera.params[lengths:])
    half = camera.scaled(320, 240)
    assert half == Camera(camera.model, 320, 240, scaled)
    np.testing.assert_allclose(
        half.normalize(0.5 * grid(camera)), camera.normalize(grid(camera)), atol=1e-9
    )


@pytest.mark.parametrize('size', [(320, 240), (1280, 960), (213, 160), (214, 160), (100, 75)])
def test_resize_moves_pixels_as_opencv_does(size: tuple[int, int]) -> None:
    camera = DISTORTED[1]
    y, x = np.mgrid[:480, :640].astype(np.float32) + np.float32(0.5)
    places = cv2.resize(np.dstack([x, y]), size)
    row, column = size[1] // 3, size[0] // 4
    centre = np.array([[column + 0.5, row + 0.5]])
    np.testing.assert_allclose(
        camera.scaled(*size).normalize(centre),
        camera.normalize(places[row, column][None]),
        atol=1e-6,
    )


@pytest.mark.parametrize('size', [(320, 242), (480, 640), (640, 400), (1280, 958), (0, 0)])
def test_another_shape_is_no_resize(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r'another shape|not positive'):
        DISTORTED[1].scaled(*size)


def test_points_behind_the_camera_have_no_pixel() -> None:
    camera = DISTORTED[1]
    pixels = camera.project(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert np.isnan(pixels[:2]).all()
    np.testing.assert_allclose(pixels[2], CENTRE)


def test_pixels_outside_the_model_have_no_ray() -> None:
    # Radial distortion this strong folds back: no ray reaches the corners.
    camera = Camera('SIMPLE_RADIAL', 640, 480, (300.0, *CENTRE, -0.4))
    points = camera.normalize(np.array([[321.0, 239.0], [0.0, 0.0], [640.0, 480.0]]))
    np.testing.assert_allclose(points[0], 0.0, atol=1e-12)
    assert np.isnan(points[1:]).all()


def test_no_points() -> None:
    for camera in DISTORTED:
        assert camera.normalize(np.empty((0, 2))).shape == (0, 2)
        assert camera.project(np.empty((0, 3))).shape == (0, 2)


def test_pycolmap_round_trip() -> None:
    for camera in DISTORTED:
        copied = camera.to_pycolmap(7)
        assert copied.camera_id == 7
        assert Camera.from_pycolmap(copied) == camera


@pytest.mark.parametrize(
    ('model', 'width', 'height', 'params', 'words'),
    [
        ('PINHOLE', 0, 480, (500.0, 500.0, 1.0, 1.0), 'camera size 0x480 is not positive'),
        ('PINHOLE', 640, -1, (500.0, 500.0, 1.0, 1.0), 'not positive'),
        ('PINHOLE', 640, 480, (500.0, 1.0, 1.0), 'PINHOLE takes 4 parameters .* got 3'),
        ('PINHOLE', 640, 480, (np.nan, 500.0, 1.0, 1.0), 'finite numbers'),
        ('PINHOLE', 640, 480, (0.0, 0.0, 1.0, 1.0), 'positive focal length'),
        ('SIMPLE_PINHOLE', 640, 480, (-500.0, 1.0, 1.0), 'positive focal length'),
        ('GUESSED', 640, 480, (1.0,), "unknown camera model 'GUESSED'; known: .*OPENCV"),
        ('INVALID', 640, 480, (), 'unknown camera model'),
    ],
)
def test_senseless_cameras_are_refused(
    model: str, width: int, height: int, params: tuple[float, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        Camera(model, width, height, params)
