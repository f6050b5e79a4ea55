# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a bag: calibration in force, extrinsics, true poses."""

from __future__ import annotations

from pathlib import Path

from bag_messages import (
    CAMERA,
    IMAGE,
    Kind,
    Message,
    S,
    image,
    info,
    odometry,
    pose,
    read,
    tf,
    write,
    x_of,
)
import numpy as np
import pytest

from relloc_ros.bags.messages import pose_message
from relloc_ros.bags.reader import BagReader
from relloc_ros.camera import Camera
from relloc_ros.frames import TransformError
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.image_decoding import camera_from_camera_info, decode_image
from relloc_ros.transform_history import TransformErrorKind


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
def test_frames_of_each_format(tmp_path: Path, kind: Kind) -> None:
    messages = [
        tf(1.0, 'base_link', 'mount', 0.5, static=True),
        tf(1.0, 'mount', 'cam', 0.25, static=True),
        info(1.0),
        pose(1.0, 10.0),
        image(1.25),
        pose(1.5, 12.0),
        image(1.5),
        image(9.0),
    ]
    path = write(tmp_path / 'bag', messages, kind)
    with BagReader(path) as reader:
        assert len(reader) == 3
        assert reader.image_topic == '/cam/image_raw'
        assert reader.camera_info_topic == '/cam/camera_info'
        assert reader.ground_truth_topic == '/ground_truth'
        frames = list(reader)
        assert len(list(reader)) == 3
    for frame in frames:
        camera = camera_from_camera_info(frame.camera_info_msg)
        assert camera == CAMERA
        query = decode_image(frame.image_msg, camera, frame.topic)
        np.testing.assert_array_equal(query.image, IMAGE)
        assert (query.stamp_ns, query.frame_id) == (frame.stamp_ns, 'cam')
        assert x_of(frame.base_from_cam) == pytest.approx(0.75)
    assert x_of(frames[0].truth) == pytest.approx(11.0)
    assert x_of(frames[1].truth) == pytest.approx(12.0)
    assert frames[2].truth is None


def test_camera_info_in_force(tmp_path: Path) -> None:
    zoomed = Camera('PINHOLE', 10, 6, (20.0, 20.0, 5.0, 3.0))
    messages = [image(1), info(2), image(3), image(4), info(5, camera=zoomed), image(6)]
    frames = read(write(tmp_path / 'bag', messages))
    assert frames[0].camera_info_msg is None
    focal_lengths = [frame.camera_info_msg.k[0] for frame in frames[1:]]
    assert focal_lengths == [9.0, 9.0, 20.0]


def test_camera_info_may_come_right_after_its_image(tmp_path: Path) -> None:
    frames = read(write(tmp_path / 'bag', [image(1), info(1), image(2), info(2)]))
    assert all(frame.camera_info_msg is not None for frame in frames)


def test_two_images_of_one_stamp(tmp_path: Path) -> None:
    frames = read(write(tmp_path / 'bag', [info(1), image(1), image(1)]))
    assert [frame.stamp_ns for frame in frames] == [S, S]


def test_static_transforms_may_come_late(tmp_path: Path) -> None:
    messages = [info(1), image(1), tf(5, 'base_link', 'cam', 2.0, static=True)]
    (frame,) = read(write(tmp_path / 'bag', messages))
    assert x_of(frame.base_from_cam) == 2.0


def test_moving_camera(tmp_path: Path) -> None:
    messages = [
        tf(0, 'base_link', 'cam', 0.0),
        info(1),
        image(1),
        tf(2, 'base_link', 'cam', 4.0),
        image(3),
    ]
    frames = read(write(tmp_path / 'bag', messages))
    assert x_of(frames[0].base_from_cam) == pytest.approx(2.0)
    assert isinstance(frames[1].base_from_cam, TransformError)
    assert frames[1].base_from_cam.kind is TransformErrorKind.IN_FUTURE


def test_missing_extrinsics_and_other_frames(tmp_path: Path) -> None:
    messages = [info(1), image(1), tf(1, 'robot', 'lens', 3.0, static=True)]
    path = write(tmp_path / 'bag', messages)
    (frame,) = read(path)
    assert isinstance(frame.base_from_cam, TransformError)
    assert frame.base_from_cam.kind is TransformErrorKind.UNKNOWN_FRAME
    assert frame.truth is None
    (frame,) = read(path, base_frame='robot', camera_frame='lens')
    assert x_of(frame.base_from_cam) == 3.0


def test_ground_truth_in_other_frames_goes_through_tf(tmp_path: Path) -> None:
    messages = [
        info(1),
        image(1),
        tf(1, 'map', 'world', 100.0, static=True),
        tf(1, 'marker', 'base_link', 0.5, static=True),
        odometry(1, 10.0, '/vicon/robot', 'world', 'marker'),
    ]
    (frame,) = read(write(tmp_path / 'bag', messages))
    assert x_of(frame.truth) == pytest.approx(110.5)


def test_unconnected_frame_of_ground_truth_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / 'bag', [info(1), image(1), pose(1, 3.0, frame='mocap')])
    (frame,) = read(path)
    assert x_of(frame.truth) == 3.0
    assert "poses on /ground_truth are in 'mocap': taken for 'map'" in caplog.text


def test_ground_truth_from_tf(tmp_path: Path) -> None:
    messages = [
        info(1),
        tf(1, 'map', 'odom', 10.0, static=True),
        tf(1, 'odom', 'base_link', 0.0),
        image(2),
        tf(3, 'odom', 'base_link', 2.0),
        image(4),
        pose(2, 77.0),
    ]
    path = write(tmp_path / 'with_pose', messages)
    assert x_of(read(path)[0].truth) == 77.0
    for frames in (
        read(path, ground_truth_topic='/tf'),
        read(write(tmp_path / 'without', messages[:-1])),
    ):
        assert x_of(frames[0].truth) == pytest.approx(11.0)
        assert frames[1].truth is None


def test_no_interpolation_over_gaps_of_ground_truth(tmp_path: Path) -> None:
    messages = [info(1), pose(1, 0.0), image(1.2), pose(1.4, 1.0), image(2), pose(3, 0.0)]
    frames = read(write(tmp_path / 'bag', messages))
    assert x_of(frames[0].truth) == pytest.approx(0.5)
    assert frames[1].truth is None


def test_rotations_of_ground_truth(tmp_path: Path) -> None:
    truth = RigidTransform(exp_so3(np.array([0.4, -1.2, 0.7])), np.array([1.0, 2.0, 3.0]))
    message = '/ground_truth', S, pose_message(truth, S, 'map')
    (frame,) = read(write(tmp_path / 'bag', [info(1), image(1), message]))
    assert frame.truth is not None
    np.testing.assert_allclose(frame.truth.matrix, truth.matrix, atol=1e-12)


def odometry_of(messages: list[Message], path: Path) -> tuple[list[float | None], bool]:
    """Give x of each frame's odometry, and whether there is any."""
    with BagReader(write(path / 'bag', [info(1.0), *messages, image(1.5), image(9.0)])) as reader:
        found = [frame.odom_from_base for frame in reader]
        return [None if pose is None else x_of(pose) for pose in found], reader.has_odometry


def test_odometry_is_that_of_messages_where_tf_has_none(tmp_path: Path) -> None:
    messages = [
        odometry(1.25, 3.0, '/odom', '/odom', 'base_link'),
        odometry(1.3, 90.0, '/other', 'odom', 'base_link'),
        odometry(1.4, 50.0, '/odom', 'odom', 'imu'),
        odometry(1.75, 4.0, '/odom', 'odom', '/base_link'),
    ]
    found, known = odometry_of(messages, tmp_path)
    assert found == [pytest.approx(3.5), None]
    assert known


def test_odometry_of_tf_comes_first(tmp_path: Path) -> None:
    messages = [
        tf(1.25, 'odom', 'base_link', 7.0),
        odometry(1.5, 3.0, '/odom', 'odom', 'base_link'),
        tf(1.75, 'odom', 'base_link', 8.0),
    ]
    found, known = odometry_of(messages, tmp_path)
    assert found[0] == pytest.approx(7.5)
    assert known


@pytest.mark.parametrize('name', ['/vicon/robot', '/odom'])
def test_true_poses_and_other_frames_are_no_odometry(tmp_path: Path, name: str) -> None:
    frame = 'odom' if name == '/vicon/robot' else 'somewhere'
    messages = [odometry(second, 3.0, name, frame, 'base_link') for second in (1.25, 1.75)]
    assert odometry_of(messages, tmp_path) == ([None, None], False)
