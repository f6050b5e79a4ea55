# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CameraInfo of both ROS versions, calibration files and text, against OpenCV's projection."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from relloc_ros.bags.messages import camera_info_message
from relloc_ros.camera import Camera
from relloc_ros.camera_info import (
    camera_from_camera_info,
    camera_from_text,
    camera_from_yaml,
    camera_info_fields,
)
from relloc_ros.errors import DataError

K = [500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0]
POINTS = np.array([[0.1, -0.2, 1.0], [-0.5, 0.3, 2.0], [0.0, 0.0, 1.0], [0.4, 0.35, 1.5]])

CALIBRATION = """
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix: {rows: 3, cols: 3, data: [500.0, 0, 319.5, 0, 510.0, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0.001, -0.002, 0.0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [450, 0, 320, 0, 0, 470, 240, 0, 0, 0, 1, 0]}
"""

ECHO = """
header: {stamp: {sec: 1, nanosec: 2}, frame_id: camera}
height: 480
width: 640
distortion_model: plumb_bob
d: [-0.3, 0.1, 0.001, -0.002, 0.0]
k: [500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0]
binning_x: 0
binning_y: 0
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
"""


def camera_info(model: str = 'plumb_bob', d: list[float] | None = None, **changes: Any) -> Any:
    region = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    fields: dict[str, Any] = {
        'width': 640,
        'height': 480,
        'distortion_model': model,
        'd': np.array(d or []),
        'k': np.array(K),
        'binning_x': 0,
        'binning_y': 0,
        'roi': region,
    }
    return SimpleNamespace(**{**fields, **changes})


@pytest.mark.parametrize(
    ('model', 'd', 'expected'),
    [
        ('plumb_bob', [], 'PINHOLE'),
        ('', [], 'PINHOLE'),
        ('', [0.0] * 5, 'PINHOLE'),
        ('plumb_bob', [0.0] * 5, 'PINHOLE'),
        ('plumb_bob', [-0.3, 0.1, 0.001, -0.002], 'OPENCV'),
        ('plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.0], 'OPENCV'),
        ('plumb_bob', [-0.3, 0.1, 0.001, -0.002, 0.05], 'FULL_OPENCV'),
        ('rational_polynomial', [0.2, -0.1, 0.001, 0.002, 0.05, 0.3, -0.1, 0.02], 'FULL_OPENCV'),
        (
            'rational_polynomial',
            [0.2, -0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, *[0.0] * 6],
            'FULL_OPENCV',
        ),
    ],
)
def test_distortion_as_in_opencv(model: str, d: list[float], expected: str) -> None:
    camera = camera_from_camera_info(camera_info(model, d))
    assert camera.model == expected
    pixels = cv2.projectPoints(
        POINTS, np.zeros(3), np.zeros(3), np.reshape(K, (3, 3)), np.array(d)
    )
    np.testing.assert_allclose(camera.project(POINTS), pixels[0][:, 0] + 0.5, atol=1e-9)


def test_equidistant_as_in_opencv() -> None:
    d = [0.05, -0.01, 0.002, -0.001]
    camera = camera_from_camera_info(camera_info('equidistant', d))
    assert camera.model == 'OPENCV_FISHEYE'
    matrix = np.reshape(K, (3, 3))
    pixels = cv2.fisheye.projectPoints(
        POINTS[:, None], np.zeros(3), np.zeros(3), matrix, np.array(d)
    )
    np.testing.assert_allclose(camera.project(POINTS), pixels[0][:, 0] + 0.5, atol=1e-9)


def test_capital_letters_of_ros1() -> None:
    info = camera_info()
    info.K, info.D = info.k, info.d
    del info.k, info.d
    assert camera_from_camera_info(info) == camera_from_camera_info(camera_info())


def test_binning_combines_pixels() -> None:
    full = camera_from_camera_info(camera_info())
    binned = camera_from_camera_info(camera_info(binning_x=2, binning_y=4))
    assert (binned.width, binned.height) == (320, 120)
    # A resize by s moves x to s x: the centre of the first 2x4 pixels is that of the first pixel.
    np.testing.assert_allclose(binned.project(POINTS), full.project(POINTS) / (2, 4), atol=1e-9)


def test_region_of_interest_with_binning() -> None:
    full = camera_from_camera_info(camera_info())
    region = SimpleNamespace(x_offset=40, y_offset=100, width=400, height=301)
    cropped = camera_from_camera_info(camera_info(roi=region, binning_x=2, binning_y=2))
    assert (cropped.width, cropped.height) == (200, 150)
    expected = (full.project(POINTS) - (40, 100)) / 2
    np.testing.assert_allclose(cropped.project(POINTS), expected, atol=1e-9)


@pytest.mark.parametrize(
    ('info', 'words'),
    [
        (camera_info(k=[0.0] * 9), 'uncalibrated.*calibrate the camera'),
        (camera_info(k=[np.nan, *K[1:]]), 'not finite'),
        (camera_info(k=K[:8]), '8 numbers instead of 9'),
        (camera_info(k=[500.0, 1.0, *K[2:]]), 'skew'),
        (camera_info('plum_bob', [0.1, 0, 0, 0, 0]), "did you mean 'plumb_bob'"),
        (camera_info('', [0.1, 0, 0, 0, 0]), 'unknown distortion model'),
        (camera_info('rational_polynomial', [*[0.0] * 8, 0.1]), 'thin-prism'),
        (camera_info('equidistant', [0.1] * 5), 'more than 4'),
        (camera_info(width=0), 'not positive'),
        (
            camera_info(roi=SimpleNamespace(x_offset=600, y_offset=0, width=100, height=10)),
            'region of interest 100x10 at \\(600, 0\\)',
        ),
        (camera_info(width=1280, height=960), 'of another resolution'),
        (camera_info(width=480, height=360), 'of another resolution'),
        (camera_info(width=320, height=240), r'\(319.5, 239.5\) of 320x240'),
        (camera_info(width=640, height=1000), 'give its width and height, and the part as roi'),
    ],
)
def test_unusable_camera_info(info: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        camera_from_camera_info(info)


@pytest.mark.parametrize(('x', 'y'), [(0.62, 0.38), (0.3, 0.5), (0.59, 0.75), (0.5, 0.4)])
def test_lenses_that_sit_askew_are_usable(x: float, y: float) -> None:
    k = [*K[:2], 640 * x - 0.5, *K[3:5], 480 * y - 0.5, *K[6:]]
    assert camera_from_camera_info(camera_info(k=k)).params[2:] == pytest.approx(
        (640 * x, 480 * y)
    )


def test_a_part_may_lie_anywhere_in_its_image() -> None:
    region = SimpleNamespace(x_offset=400, y_offset=300, width=240, height=180)
    corner = camera_from_camera_info(camera_info(roi=region))
    assert corner.params[2:] == (-80.0, -60.0)


@pytest.mark.parametrize(
    ('model', 'params'),
    [
        ('SIMPLE_PINHOLE', (500.0, 320.0, 240.0)),
        ('PINHOLE', (500.0, 510.0, 320.0, 240.0)),
        ('SIMPLE_RADIAL', (500.0, 320.0, 240.0, -0.1)),
        ('RADIAL', (500.0, 320.0, 240.0, -0.1, 0.02)),
        ('OPENCV', (500.0, 510.0, 320.0, 240.0, -0.1, 0.02, 0.001, -0.002)),
        (
            'FULL_OPENCV',
            (500.0, 510.0, 320.0, 240.0, -0.1, 0.02, 0.001, -0.002, 0.01, 0.1, 0.02, 0.03),
        ),
        ('FISHEYE', (500.0, 510.0, 320.0, 240.0)),
        ('SIMPLE_RADIAL_FISHEYE', (500.0, 320.0, 240.0, -0.1)),
        ('RADIAL_FISHEYE', (500.0, 320.0, 240.0, -0.1, 0.02)),
        ('OPENCV_FISHEYE', (500.0, 510.0, 320.0, 240.0, -0.1, 0.02, 0.001, -0.002)),
    ],
)
def test_written_camera_info_is_the_same_camera(model: str, params: tuple[float, ...]) -> None:
    camera = Camera(model, 640, 480, params)
    fields = camera_info_fields(camera)
    assert fields['k'][2] == 319.5
    assert fields['k'][0] == fields['p'][0] == 500.0
    message = camera_info_message(camera, 5, 'camera')
    read = camera_from_camera_info(message)
    np.testing.assert_allclose(read.project(POINTS), camera.project(POINTS), atol=1e-9)
    assert (read.width, read.height) == (640, 480)


def test_camera_without_counterpart_in_ros() -> None:
    camera = Camera('FOV', 640, 480, (500.0, 510.0, 320.0, 240.0, 0.9))
    with pytest.raises(DataError, match='COLMAP camera model FOV'):
        camera_info_fields(camera)


@pytest.mark.parametrize(
    'content', [CALIBRATION, ECHO, ECHO.replace('d:', 'D:').replace('k:', 'K:')]
)
def test_camera_from_yaml(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'camera.yaml'
    path.write_text(content)
    assert camera_from_yaml(path) == Camera(
        'OPENCV', 640, 480, (500.0, 510.0, 320.0, 240.0, -0.3, 0.1, 0.001, -0.002)
    )


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('', 'no camera calibration'),
        ('[1, 2', 'not YAML'),
        ('- 1', 'no camera calibration'),
        ('image_width: 640', 'no camera calibration'),
        (CALIBRATION.replace('640', 'wide'), 'no camera calibration'),
        (CALIBRATION.replace('[500.0', '[0'), 'uncalibrated'),
        (CALIBRATION.replace('plumb_bob', 'cubic'), 'unknown distortion model'),
    ],
)
def test_unusable_yaml(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / 'camera.yaml'
    path.write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        camera_from_yaml(path)
    assert 'camera.yaml' in str(caught.value)


def test_missing_yaml(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='cannot read calibration'):
        camera_from_yaml(tmp_path / 'none.yaml')


def test_camera_from_text() -> None:
    camera = camera_from_text('PINHOLE, 640,480, 535.4,539.2,320.6,248.1')
    assert camera == Camera('PINHOLE', 640, 480, (535.4, 539.2, 320.6, 248.1))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'is not MODEL'),
        ('PINHOLE', 'is not MODEL'),
        ('PINHOLE,640,480,a', 'is not MODEL'),
        ('PINHOLE,640,480,500', 'takes 4 parameters'),
        ('PIN,640,480,500', "unknown camera model 'PIN'"),
    ],
)
def test_unusable_text(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        camera_from_text(text)
