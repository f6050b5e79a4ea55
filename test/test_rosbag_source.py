# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as sources of maps: poses at the images' stamps, corrections, clocks, files that miss."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
import logging
from pathlib import Path
import pickle
from typing import Any

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
    shift,
    tf,
    write,
)
import numpy as np
import pytest

from relloc_ros.bags.messages import pose_message, transform_message
from relloc_ros.bags.writer import write_bag
from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, SourceOptions, read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
MOUNT = tf(0.0, 'base_link', 'cam', 0.5, static=True)


def read(path: Path, **options: Any) -> list[PosedImage]:
    return read_source(path, options=SourceOptions(**options))


def xs(posed: list[PosedImage]) -> list[float]:
    """Where the cameras are along x."""
    return [round(float(item.cam_from_map.inverse().translation[0]), 9) for item in posed]


def robot(times: list[float], *, speed: float = 1.0) -> list[Message]:
    """A camera on a robot whose odometry goes straight ahead at 10 Hz; no map yet."""
    ticks = [round(0.1 * i, 1) for i in range(10, 1 + round(10 * max(times)) + 2)]
    moves = [tf(tick, 'odom', 'base_link', speed * tick) for tick in ticks]
    images = [message for time in times for message in (info(time), image(time))]
    return sorted([MOUNT, *moves, *images], key=lambda message: message[1])


def at(message: Message, second: float) -> Message:
    """The same message, recorded at another time."""
    topic, _, content = message
    return topic, int(second * S), content


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
def test_poses_through_the_tree(tmp_path: Path, kind: Kind) -> None:
    messages = [tf(0.5, 'map', 'odom', 100.0, static=True), *robot([1.0, 1.25, 1.5])]
    posed = read(write(tmp_path / 'bag', messages, kind))
    assert xs(posed) == [101.5, 101.75, 102.0]
    assert [item.stamp_ns for item in posed] == [S, 5 * S // 4, 3 * S // 2]
    assert posed[1].name == 'cam/image_raw/1.250000000.png'
    assert all(item.camera == CAMERA for item in posed)
    for item in posed:
        np.testing.assert_array_equal(read_image(item), IMAGE)
        np.testing.assert_array_equal(read_image(pickle.loads(pickle.dumps(item))), IMAGE)


def test_rotations_are_interpolated_too(tmp_path: Path) -> None:
    def turned(second: float, angle: float) -> Message:
        turn = RigidTransform(exp_so3(np.array([0.0, 0.0, angle])), np.zeros(3))
        return '/tf', int(second * S), transform_message('map', 'cam', int(second * S), turn)

    messages = [info(1), turned(1.0, 0.0), image(1.05), turned(1.2, 0.4)]
    (item,) = read(write(tmp_path / 'bag', messages))
    rotation = item.cam_from_map.inverse().rotation
    np.testing.assert_allclose(log_so3(rotation), [0.0, 0.0, 0.1], atol=1e-12)


def test_corrections_are_taken_as_received(tmp_path: Path) -> None:
    corrections = [
        # Stamped ahead of time, as AMCL does; interpolated, 1.25 would get 105 and 1.5 105 too.
        at(tf(1.1, 'map', 'odom', 100.0), 1.0),
        at(tf(1.5, 'map', 'odom', 110.0), 1.4),
    ]
    messages = sorted([*corrections, *robot([1.25, 1.4, 1.5])], key=lambda item: item[1])
    assert xs(read(write(tmp_path / 'bag', messages))) == [101.75, 111.9, 112.0]


def test_odometry_may_have_another_name(tmp_path: Path) -> None:
    messages = [
        tf(1.0, 'map', 'robot1/wheels', 100.0),
        tf(1.0, 'robot1/wheels', 'cam', 0.0),
        info(1.1),
        image(1.1),
        tf(1.2, 'map', 'robot1/wheels', 110.0),
        tf(1.2, 'robot1/wheels', 'cam', 1.0),
    ]
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path)) == [105.5]
    assert xs(read(path, odom_frame='/robot1/wheels')) == [100.5]


def test_nothing_before_the_first_correction_or_long_after_the_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [*robot([1.0, 2.0, 9.0]), at(tf(1.6, 'map', 'odom', 100.0), 1.5)]
    messages.sort(key=lambda item: item[1])
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path)) == [102.5]
    assert 'left out 2 of 3 images' in caplog.text
    assert '1 before the first pose' in caplog.text


def test_gaps_are_not_bridged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = [
        info(1),
        tf(1.0, 'map', 'cam', 0.0),
        tf(1.2, 'map', 'cam', 2.0),
        image(1.1),
        image(1.3),
        tf(1.6, 'map', 'cam', 6.0),
        image(1.7),
    ]
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path)) == [1.0]
    assert 'left out 2 of 3 images without a pose at their time' in caplog.text
    assert '1 where poses are further apart than --max-pose-gap (0.25 s)' in caplog.text
    assert '1 after the last pose' in caplog.text
    assert xs(read(path, max_pose_gap=0.5)) == [1.0, 3.0]


def test_a_pose_needs_the_name_of_its_body(tmp_path: Path) -> None:
    messages = [MOUNT, info(1), pose(1.0, 10.0), image(1.1), pose(1.2, 12.0)]
    path = write(tmp_path / 'bag', messages)
    with pytest.raises(DataError, match=r'/ground_truth do not say .* --pose-frame'):
        read(path)
    assert xs(read(path, pose_frame='base_link')) == [11.5]
    assert xs(read(path, pose_frame='/cam')) == [11.0]
    with pytest.raises(DataError, match=r"no transforms connect 'marker'.*with the camera 'cam'"):
        read(path, pose_frame='marker')
    extrinsics = RigidTransform(np.eye(3), np.array([0.25, 0.0, 0.0]))
    assert xs(read(path, pose_frame='marker', extrinsics=extrinsics)) == [11.25]


def test_odometry_says_whose_it_is_and_drifts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [
        MOUNT,
        info(1),
        odometry(1.0, 4.0, '/odom', 'odom', 'base_link'),
        image(1.1),
        odometry(1.2, 6.0, '/odom', 'odom', 'base_link'),
    ]
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path)) == [5.5]
    assert '/odom are odometry, which drifts' in caplog.text
    with pytest.raises(DataError, match="no transforms connect 'earth' with 'odom'"):
        read(path, map_frame='earth')
    caplog.clear()
    corrected = [*messages, at(tf(9.0, 'map', 'odom', 100.0), 1.0)]
    corrected.sort(key=lambda item: item[1])
    assert xs(read(write(tmp_path / 'corrected', corrected), pose_topic='odom')) == [105.5]
    assert 'drifts' not in caplog.text


def test_transforms_go_before_topics_unless_asked(tmp_path: Path) -> None:
    messages = [*robot([1.2]), tf(0.5, 'map', 'odom', 100.0, static=True), pose(1.2, 7.0)]
    messages.sort(key=lambda item: item[1])
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path)) == [101.7]
    assert xs(read(path, pose_topic='/tf')) == [101.7]
    assert xs(read(path, pose_topic='/ground_truth', pose_frame='base_link')) == [7.5]
    with pytest.raises(DataError, match=r"did you mean '/ground_truth'"):
        read(path, pose_topic='/ground_thruth')


def test_what_to_do_without_poses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = write(tmp_path / 'bare', [info(1), image(1)])
    with pytest.raises(DataError, match='has no poses: record /tf and /tf_static, or a topic'):
        read(bare)
    path = write(tmp_path / 'bag', robot([1.2]))
    with pytest.raises(DataError, match=r"the camera hangs below 'odom'.*--map-frame"):
        read(path)
    assert xs(read(path, map_frame='odom')) == [1.7]
    assert "poses in 'odom' are odometry, which drifts" in caplog.text
    with pytest.raises(DataError, match=r"camera 'lens', which they do not name"):
        read(path, camera_frame='lens')
    several = [MOUNT, info(1), image(1), pose(1, 0.0, topic='/a'), pose(1, 0.0, topic='/b')]
    with pytest.raises(DataError, match='2 pose topics: name one of /a, /b'):
        read(write(tmp_path / 'several', several), pose_frame='base_link')


def test_static_transforms_of_the_first_file(tmp_path: Path) -> None:
    whole = write(tmp_path / 'whole', [MOUNT, *robot([1.2]), pose(1.2, 3.0)])
    later = write(tmp_path / 'later', [info(1), image(1.2), pose(1.2, 3.0)])
    split = next(later.glob('*.mcap'))
    alone = whole.parent / 'alone.mcap'
    alone.write_bytes(split.read_bytes())
    with pytest.raises(DataError, match='/tf_static may be in its first file'):
        read(alone, pose_frame='base_link')
    beside = whole / 'whole_1.mcap'
    beside.write_bytes(split.read_bytes())
    assert xs(read(beside, pose_frame='base_link')) == [3.5]


def test_clocks_are_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = [
        info(1),
        *(at(tf(0.1 * i, 'map', 'cam', float(i)), 0.1 * i + 0.01) for i in range(1, 30)),
        at(image(1.0), 1.51),
        at(image(1.5), 2.01),
    ]
    messages.sort(key=lambda item: item[1])
    path = write(tmp_path / 'bag', messages)
    with caplog.at_level(logging.INFO):
        assert xs(read(path)) == [10.0, 15.0]
    assert 'recorded 0.510 s after their stamps' in caplog.text
    assert '--time-offset 0.500 makes up for it' in caplog.text
    assert xs(read(path, time_offset=0.5)) == [15.0, 20.0]
    with pytest.raises(DataError, match=r'images are from 101\.000 s to 101\.500 s, poses from'):
        read(path, time_offset=100.0)


def test_calibration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    poses = [tf(0.1 * i, 'map', 'cam', float(i)) for i in range(5, 40)]
    zoomed = Camera('PINHOLE', 10, 6, (20.0, 20.0, 5.0, 3.0))
    messages = [*poses, image(1.0), image(1.5), info(1.5), info(2.0, camera=zoomed), image(2.5)]
    messages.sort(key=lambda item: item[1])
    path = write(tmp_path / 'bag', messages)
    assert [item.camera for item in read(path)] == [CAMERA, zoomed]
    assert 'left out 1 images from before the first camera_info' in caplog.text
    given = replace(CAMERA, params=(8.0, 8.0, 5.0, 3.0))
    assert [item.camera for item in read(path, camera=given)] == 3 * [given]
    no_info = write(tmp_path / 'no_info', [*poses, image(1.0)])
    with pytest.raises(DataError, match='give a calibration with --camera'):
        read(no_info)
    assert len(read(no_info, camera=given)) == 1
    with pytest.raises(DataError, match='size 10x6 differs from the camera, 20x12'):
        read(no_info, camera=Camera('PINHOLE', 20, 12, (8.0, 8.0, 5.0, 3.0)))


def test_images_that_cannot_be_told_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poses = [tf(0.1 * i, 'map', 'cam', float(i)) for i in range(5, 40)]
    twice = write(tmp_path / 'twice', [*poses, info(1), image(1.0), at(image(1.0), 1.01)])
    assert len(read(twice)) == 1
    assert 'left out 1 images with the stamp of another' in caplog.text
    cameras = [*poses, info(1), image(1.0), image(1.0, '/other/image_raw')]
    path = write(tmp_path / 'cameras', cameras)
    with pytest.raises(DataError, match=r'2 image topics: name one of .*--image-topic'):
        read(path)
    assert len(read(path, image_topic='/cam/image_raw')) == 1
    frames = write(tmp_path / 'frames', [*poses, info(1), image(1.0), image(1.2, frame='c')])
    with pytest.raises(DataError, match=r"frame_id 'c' and 'cam': name .* --camera-frame"):
        read(frames)


def test_poses_that_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(second: float, x: float) -> Message:
        message = pose_message(shift(x), int(second * S), 'map')
        message.pose.orientation.w = 3.0
        return '/pose', int(second * S), message

    good = [pose(time, 5.0, topic='/pose') for time in (1.0, 1.2)]
    messages = [info(1), image(1.1), *good, broken(1.05, 9.0), pose(1.07, np.nan, topic='/pose')]
    messages.sort(key=lambda item: item[1])
    path = write(tmp_path / 'bag', messages)
    assert xs(read(path, pose_frame='cam')) == [5.0]
    assert '2 poses on /pose are left out: ' in caplog.text
    only = write(tmp_path / 'only', [info(1), image(1.1), broken(1.05, 9.0), broken(1.15, 9.0)])
    with pytest.raises(DataError, match='it has no poses'):
        read(only, pose_frame='cam')


def test_an_image_that_went_missing(tmp_path: Path) -> None:
    poses = [tf(0.1 * i, 'map', 'cam', float(i)) for i in range(5, 40)]
    path = write(tmp_path / 'bag', [*poses, info(1), image(1.0)])
    (item,) = read(path)
    assert item.pixels is not None
    path.rename(tmp_path / 'moved')
    again = pickle.loads(pickle.dumps(item))
    with pytest.raises(DataError, match='does not exist'):
        read_image(again)


@pytest.mark.parametrize('option', [{'sensor': 'cam0'}, {'split': 'train'}])
def test_options_of_other_formats(tmp_path: Path, option: dict[str, Any]) -> None:
    path = write(tmp_path / 'bag', [info(1), image(1.0)])
    with pytest.raises(DataError, match=r'--sensor is for kitti|has no train split'):
        read(path, **option)
    with pytest.raises(DataError, match=r'--images is for files'):
        read(path, images=tmp_path)


def test_a_map_from_a_bag_is_the_map_from_images(tmp_path: Path) -> None:
    map_images = read_source(OFFICE, list_file=OFFICE / 'map.txt')[:8]
    write_bag(map_images, tmp_path / 'bag')
    from_bag = read(tmp_path / 'bag', pose_frame='base_link')
    for one, other in zip(from_bag, map_images, strict=True):
        assert max(pose_error(one.cam_from_map, other.cam_from_map)) < 1e-9
        assert (one.camera, one.stamp_ns) == (other.camera, other.stamp_ns)
    query = read_source(OFFICE, list_file=OFFICE / 'query.txt')[1]
    poses = []
    for name, posed in (('images', map_images), ('bag', from_bag)):
        build_map(posed, tmp_path / f'map_{name}')
        with ReferenceMap.open(tmp_path / f'map_{name}') as reference_map:
            relocalizer = Relocalizer(reference_map)
            answer = relocalizer.process(
                QueryImage(read_image(query), query.camera, query.stamp_ns)
            )
        assert answer.camera_pose is not None
        poses.append(answer.camera_pose.map_from_body)
    assert max(pose_error(*poses)) < 1e-9
    assert pose_error(poses[0], query.cam_from_map.inverse())[0] < 0.05


@pytest.mark.parametrize('kind', ['mcap', 'sqlite3', 'ros1'])
def test_images_in_any_order(tmp_path: Path, kind: Kind) -> None:
    def numbered(number: int) -> Message:
        topic, _, message = image(1.0 + 0.01 * number)
        message.data = np.full_like(message.data, number)
        # Two at a time have one time of recording.
        return topic, S + number // 2, message

    messages = [info(0.5), tf(0.5, 'map', 'cam', 0.0, static=True), *map(numbered, range(120))]
    posed = read(write(tmp_path / 'bag', messages, kind))
    assert len(posed) == 120
    shuffled = np.random.default_rng(0).permutation(120)
    for order in (range(120), range(119, -1, -1), shuffled, [0, 119, 1, 118, 60, 61, 10]):
        for number in order:
            np.testing.assert_array_equal(read_image(posed[number]), number)
    with ThreadPoolExecutor(4) as pool:
        for number, pixels in enumerate(pool.map(read_image, posed)):
            np.testing.assert_array_equal(pixels, number)
