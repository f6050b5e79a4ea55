# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics are taken, and what is said where that is not clear."""

from __future__ import annotations

from pathlib import Path

from bag_messages import S, image, info, odometry, pose, read, write, x_of
import pytest

from relloc_ros.bags.messages import compressed_image_message
from relloc_ros.bags.reader import BagReader
from relloc_ros.errors import DataError


def test_raw_images_are_preferred_to_their_compressed_twin(tmp_path: Path) -> None:
    twin = compressed_image_message(b'', 'jpeg', S, 'cam')
    depth = compressed_image_message(b'', 'png', S, 'cam')
    messages = [
        info(1),
        ('/cam/image_raw/compressed', S, twin),
        ('/cam/image_raw/compressedDepth', S, depth),
    ]
    path = write(tmp_path / 'compressed', messages)
    with BagReader(path) as reader:
        assert reader.image_topic == '/cam/image_raw/compressed'
        assert reader.camera_info_topic == '/cam/camera_info'
    with BagReader(write(tmp_path / 'both', [*messages, image(1)])) as reader:
        assert reader.image_topic == '/cam/image_raw'


def test_choice_among_cameras(tmp_path: Path) -> None:
    messages = [
        info(1, '/left/camera_info'),
        info(1, '/right/camera_info'),
        image(1, '/left/image'),
        image(1, '/right/image'),
    ]
    path = write(tmp_path / 'bag', messages)
    with pytest.raises(DataError, match='2 image topics: name one of /left/image, /right/image'):
        BagReader(path)
    with BagReader(path, image_topic='right/image') as reader:
        assert reader.camera_info_topic == '/right/camera_info'
    with pytest.raises(DataError, match="did you mean '/right/image'"):
        BagReader(path, image_topic='/rigth/image')
    with pytest.raises(
        DataError, match="'/left/camera_info' is of type sensor_msgs/msg/CameraInfo"
    ):
        BagReader(path, image_topic='/left/camera_info')
    other = write(tmp_path / 'other', [*messages[:2], image(1, '/front/image')])
    with pytest.raises(DataError, match='2 camera_info topics'):
        BagReader(other)
    with BagReader(other, camera_info_topic='/left/camera_info') as reader:
        assert len(list(reader)) == 1


def test_choice_among_poses(tmp_path: Path) -> None:
    base = [info(1), image(1)]
    odom = odometry(1, 5.0, '/odom', 'odom', 'base_link')
    path = write(tmp_path / 'odometry', [*base, odom])
    with BagReader(path) as reader:
        assert reader.ground_truth_topic == ''
    (frame,) = read(path, ground_truth_topic='/odom')
    assert x_of(frame.truth) == 5.0
    path = write(tmp_path / 'estimate', [*base, odom, pose(1, 1.0, topic='/amcl'), pose(1, 2.0)])
    (frame,) = read(path)
    assert x_of(frame.truth) == 2.0
    path = write(tmp_path / 'two', [*base, pose(1, 1.0, topic='/a'), pose(1, 2.0, topic='/b')])
    with pytest.raises(DataError, match='2 ground-truth topics: name one of /a, /b'):
        BagReader(path)
    (frame,) = read(path, ground_truth_topic='/b')
    assert x_of(frame.truth) == 2.0


def test_bag_without_images_or_camera_info(tmp_path: Path) -> None:
    path = write(tmp_path / 'no_images', [info(1), pose(1, 0.0)])
    with pytest.raises(
        DataError, match=r'no images.*/cam/camera_info \(sensor_msgs/msg/CameraInfo'
    ):
        BagReader(path)
    path = write(tmp_path / 'no_info', [image(1)])
    with pytest.raises(DataError, match='no camera_info'):
        BagReader(path)
