# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags written from posed images: complete, lossless, playable, or not there at all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
import yaml

from relloc_ros.bags.reader import BagReader
from relloc_ros.bags.writer import BASE_FROM_CAMERA, Storage, write_bag
from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.image_decoding import camera_from_camera_info, decode_image
from relloc_ros.map.sources import PosedImage, read_image

CAMERA = Camera('OPENCV', 50, 38, (40.0, 41.0, 25.3, 18.9, -0.1, 0.02, 0.001, -0.002))
S = 1_000_000_000


def make_images(
    folder: Path, *, count: int = 4, suffix: str = '.png', camera: Camera = CAMERA
) -> list[PosedImage]:
    """Write random images with random poses, a second apart, last one first."""
    rng = np.random.default_rng(count)
    images = []
    for i in reversed(range(count)):
        path = folder / f'image {i}{suffix}'
        pixels = rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
        cv2.imwrite(str(path), pixels)
        pose = RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))
        images.append(PosedImage(path.name, path, camera, pose, (i + 1) * S + 7))
    return images


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(
    ('compressed', 'suffix'), [(False, '.jpg'), (True, '.jpg'), (True, '.png'), (True, '.ppm')]
)
def test_round_trip_loses_nothing(
    tmp_path: Path, storage: Storage, compressed: bool, suffix: str
) -> None:
    images = make_images(tmp_path, suffix=suffix)
    by_stamp = {image.stamp_ns: image for image in images}
    calls: list[tuple[int, int, str]] = []
    write_bag(
        images,
        tmp_path / 'bag',
        storage=storage,
        compressed=compressed,
        progress=lambda done, total, name: calls.append((done, total, name)),
    )
    with BagReader(tmp_path / 'bag') as reader:
        frames = list(reader)
        assert len(reader) == 4
    assert [frame.stamp_ns for frame in frames] == sorted(by_stamp)
    assert calls == [(i + 1, 4, f'image {i}{suffix}') for i in range(4)]
    for frame in frames:
        posed = by_stamp[frame.stamp_ns]
        camera = camera_from_camera_info(frame.camera_info_msg)
        assert camera.model == CAMERA.model
        np.testing.assert_allclose(camera.params, CAMERA.params, atol=1e-12)
        query = decode_image(frame.image_msg, camera, frame.topic)
        np.testing.assert_array_equal(query.image, read_image(posed))
        assert query.stamp_ns == posed.stamp_ns
        assert isinstance(frame.base_from_cam, RigidTransform)
        assert frame.truth is not None
        cam_from_map = (frame.truth @ frame.base_from_cam).inverse()
        np.testing.assert_allclose(cam_from_map.matrix, posed.cam_from_map.matrix, atol=1e-12)


def test_odometry_is_smooth_between_images_and_exact_at_them(tmp_path: Path) -> None:
    write_bag(make_images(tmp_path), tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        frames = list(reader)
        transforms = reader.transforms
    map_from_odom = [
        frame.truth @ transforms.lookup('base_link', 'odom', frame.stamp_ns)
        for frame in frames
        if frame.truth is not None
    ]
    # Without drift one constant transform leads from odom to map, and it is not the identity.
    for transform in map_from_odom:
        assert max(pose_error(transform, map_from_odom[0])) < 1e-9
    assert min(pose_error(map_from_odom[0], RigidTransform.identity())) > 0.1
    steps = [
        pose_error(*(transforms.lookup('odom', 'base_link', t + dt) for dt in (0, S // 50)))
        for t in range(frames[0].stamp_ns, frames[-1].stamp_ns, S // 50)
    ]
    assert np.max(steps, axis=0)[0] < 0.1
    assert np.max(steps, axis=0)[1] < np.pi / 50 + 1e-6
    # The robot stands before the first image, so that listeners have time to connect.
    early = transforms.lookup('odom', 'base_link', frames[0].stamp_ns - S // 3)
    at_first = transforms.lookup('odom', 'base_link', frames[0].stamp_ns)
    assert max(pose_error(early, at_first)) < 1e-9


@pytest.mark.parametrize(
    ('kidnap', 'shown'), [((1, 3), [0, 1, 3]), ((2, 0), [0, 1, 2, 0, 1, 2, 3])]
)
@pytest.mark.parametrize('drift', [0.0, 0.05])
def test_odometry_does_not_notice_that_the_robot_is_carried(
    tmp_path: Path, kidnap: tuple[int, int], shown: list[int], drift: float
) -> None:
    images = sorted(make_images(tmp_path), key=lambda image: image.stamp_ns)
    write_bag(images, tmp_path / 'bag', odom_drift=drift, kidnap=kidnap)
    with BagReader(tmp_path / 'bag') as reader:
        frames = list(reader)
        lookup = reader.transforms.lookup
        odometry = [lookup('odom', 'base_link', frame.stamp_ns) for frame in frames]
    assert [frame.stamp_ns for frame in frames] == [(i + 1) * S + 7 for i in range(len(shown))]
    for frame, index in zip(frames, shown, strict=True):
        camera = camera_from_camera_info(frame.camera_info_msg)
        pixels = decode_image(frame.image_msg, camera, frame.topic).image
        np.testing.assert_array_equal(pixels, read_image(images[index]))
        assert frame.truth is not None
        assert isinstance(frame.base_from_cam, RigidTransform)
        cam_from_map = (frame.truth @ frame.base_from_cam).inverse()
        np.testing.assert_allclose(
            cam_from_map.matrix, images[index].cam_from_map.matrix, atol=1e-12
        )
    truth = [frame.truth for frame in frames if frame.truth is not None]
    for i in range(1, len(frames)):
        by_odometry = odometry[i - 1].inverse() @ odometry[i]
        really = truth[i - 1].inverse() @ truth[i]
        if i == kidnap[0] + 1:
            assert max(pose_error(by_odometry, RigidTransform.identity())) < 1e-9
            assert pose_error(really, RigidTransform.identity())[0] > 0.1
        else:
            way = np.linalg.norm(really.translation)
            assert pose_error(by_odometry, really)[0] < 2.0 * drift * way + 1e-9


@pytest.mark.parametrize('kidnap', [(1, 1), (1, 2), (-1, 2), (1, 4), (4, 1)])
def test_a_robot_is_carried_between_images_that_are_there(
    tmp_path: Path, kidnap: tuple[int, int]
) -> None:
    with pytest.raises(DataError, match='cannot be carried'):
        write_bag(make_images(tmp_path), tmp_path / 'bag', kidnap=kidnap)
    assert not (tmp_path / 'bag').exists()


def test_drift_grows_with_the_way(tmp_path: Path) -> None:
    write_bag(make_images(tmp_path), tmp_path / 'bag', odom_drift=0.1)
    with BagReader(tmp_path / 'bag') as reader:
        frames = list(reader)
        odometry = [reader.transforms.lookup('odom', 'base_link', f.stamp_ns) for f in frames]
    truth = [frame.truth for frame in frames if frame.truth is not None]
    map_from_odom = [a @ b.inverse() for a, b in zip(truth, odometry, strict=True)]
    way = np.cumsum([np.linalg.norm(b.translation - a.translation) for a, b in pairwise(truth)])
    first_from_later = [map_from_odom[0].inverse() @ later for later in map_from_odom[1:]]
    yaw = [pose_error(transform, RigidTransform.identity())[1] for transform in first_from_later]
    np.testing.assert_allclose(yaw, 0.01 * way, rtol=1e-6)
    moved = [np.linalg.norm(transform.inverse().translation) for transform in first_from_later]
    np.testing.assert_allclose(moved, 0.1 * way, rtol=1e-6)


def test_topics_and_offered_qos(tmp_path: Path) -> None:
    write_bag(make_images(tmp_path), tmp_path / 'bag')
    with Reader(tmp_path / 'bag') as reader:
        qos = {item.topic: item.ext.offered_qos_profiles for item in reader.connections}  # type: ignore[union-attr]
        types = {item.topic: item.msgtype for item in reader.connections}
    assert types == {
        '/camera/image_raw': 'sensor_msgs/msg/Image',
        '/camera/camera_info': 'sensor_msgs/msg/CameraInfo',
        '/ground_truth/pose': 'geometry_msgs/msg/PoseStamped',
        '/tf': 'tf2_msgs/msg/TFMessage',
        '/tf_static': 'tf2_msgs/msg/TFMessage',
    }
    for topic, profiles in qos.items():
        (profile,) = profiles
        latched = profile.durability is QosDurability.TRANSIENT_LOCAL
        assert latched == (topic == '/tf_static')
        assert profile.reliability is QosReliability.RELIABLE
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    assert metadata['rosbag2_bagfile_information']['version'] == 8
    assert metadata['rosbag2_bagfile_information']['relative_file_paths'] == ['bag.mcap']


def test_camera_looks_ahead() -> None:
    ahead = BASE_FROM_CAMERA.rotation @ [0.0, 0.0, 1.0]
    np.testing.assert_array_equal(ahead, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(BASE_FROM_CAMERA.rotation @ [0.0, 1.0, 0.0], [0.0, 0.0, -1.0])


def test_single_image(tmp_path: Path) -> None:
    write_bag(make_images(tmp_path, count=1), tmp_path / 'deeper' / 'bag')
    with BagReader(tmp_path / 'deeper' / 'bag') as reader:
        assert len(list(reader)) == 1


def test_existing_output_is_kept(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    output = tmp_path / 'bag'
    output.mkdir()
    with pytest.raises(DataError, match='exists: remove it or choose another name'):
        write_bag(images, output)
    assert list(output.iterdir()) == []


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    images[0].path.write_bytes(b'no image')
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match='cannot decode image'):
        write_bag(images, tmp_path / 'bag')
    assert sorted(tmp_path.iterdir()) == before


def test_senseless_input(tmp_path: Path) -> None:
    images = make_images(tmp_path)
    with pytest.raises(DataError, match='no images'):
        write_bag([], tmp_path / 'bag')
    with pytest.raises(DataError, match='same stamp'):
        write_bag([*images, images[0]], tmp_path / 'bag')
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='cannot write bag'):
        write_bag(images, tmp_path / 'file' / 'bag')


def test_camera_unknown_to_ros(tmp_path: Path) -> None:
    camera = Camera('FOV', 50, 38, (40.0, 41.0, 25.0, 19.0, 0.9))
    images = make_images(tmp_path, camera=camera)
    with pytest.raises(DataError, match=r"'image 0.png' cannot go into a bag.*FOV"):
        write_bag(images, tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()
