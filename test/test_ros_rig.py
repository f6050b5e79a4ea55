# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of several cameras, and of one that moves: where each image was taken, what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rig_stub import COVARIANCE, RigStub

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, NodeConfig, TrackingConfig, make_config
from relloc_ros.errors import ConfigError
from relloc_ros.frames import TransformBuffer, base_pose
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.ros.debug_image import _draw, _Sight
from relloc_ros.ros.frame_processor import Frame, FrameProcessor, FrameResult
from relloc_ros.ros.map_loading import load_map
from relloc_ros.ros.rig import check_rig
from relloc_ros.structures import PoseEstimate, SearchArea, Status

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
CAMERA = Camera('PINHOLE', 8, 6, (5.0, 5.0, 4.0, 3.0))
NS = 1_000_000_000
BASE_FROM = {
    'front': RigidTransform(exp_so3(np.array([0.1, 0.2, 0.3])), np.array([0.3, 0.0, 0.2])),
    'back': RigidTransform(exp_so3(np.array([0.0, 0.0, 3.0])), np.array([-0.3, 0.0, 0.2])),
}


def odometry(second: float) -> RigidTransform:
    """Half a metre a second, turning."""
    turn = exp_so3(np.array([0.0, 0.0, 0.2 * second]))
    return RigidTransform(turn, np.array([0.5 * second, 0.0, 0.0]))


def transforms(*cameras: str, moving: bool = True) -> TransformBuffer:
    buffer = TransformBuffer()
    for name in cameras:
        buffer.set_transform('base_link', name, 0, BASE_FROM[name], static=True)
    for tenth in range(100 if moving else 0):
        pose = odometry(0.1 * tenth)
        buffer.set_transform('odom', 'base_link', tenth * NS // 10, pose, static=False)
    return buffer


def image(second: float, frame_id: str = 'front', **changes: Any) -> Frame:
    sec, nanosec = divmod(round(second * NS), NS)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)
    fields = {
        'header': header,
        'width': 8,
        'height': 6,
        'encoding': 'mono8',
        'is_bigendian': 0,
        'step': 8,
        'data': bytes(48),
    }
    message = SimpleNamespace(**{**fields, **changes})
    return Frame(message, CAMERA, f'/{frame_id}/image', time.monotonic())


def together(newest: Frame, *others: Frame) -> Frame:
    return Frame(newest.message, newest.camera, newest.topic, newest.received_s, others)


def make(stub: RigStub, buffer: TransformBuffer, **settings: Any) -> FrameProcessor:
    settings = {'transform_timeout': 0.0, **settings}
    return FrameProcessor(stub, buffer, make_config(NodeConfig, settings), TrackingConfig())


def process(processor: FrameProcessor, frame: Frame) -> FrameResult:
    result = processor(frame)
    assert result is not None
    return result


class TestCameras:
    """Images of several cameras."""

    @pytest.fixture
    def stub(self) -> RigStub:
        return RigStub(enough=2)

    def run(self, stub: RigStub, buffer: TransformBuffer, frame: Frame) -> FrameResult:
        return process(make(stub, buffer, cameras='front,back', tf_mode='none'), frame)

    def test_pose_is_that_of_the_base(self, stub: RigStub) -> None:
        frame = together(image(5.0), image(5.0, 'back'))
        result = self.run(stub, transforms('front', 'back', moving=False), frame)
        expected = base_pose(PoseEstimate(stub.map_from_cam, COVARIANCE), BASE_FROM['front'])
        assert result.pose is not None
        np.testing.assert_allclose(result.pose.map_from_body.matrix, expected.map_from_body.matrix)
        np.testing.assert_allclose(result.pose.covariance, expected.covariance)
        front, back = stub.places()
        np.testing.assert_allclose(front.matrix, np.eye(4), atol=1e-12)
        front_from_back = BASE_FROM['front'].inverse() @ BASE_FROM['back']
        np.testing.assert_allclose(back.matrix, front_from_back.matrix, atol=1e-12)
        assert result.localization.timings_ms['features'] == 6.0
        assert result.localization.timings_ms['total'] > 0.0

    def test_motion_between_the_stamps_is_odometrys(self, stub: RigStub) -> None:
        frame = together(image(5.0), image(4.9, 'back'))
        self.run(stub, transforms('front', 'back'), frame)
        base_from_base = odometry(5.0).inverse() @ odometry(4.9)
        expected = BASE_FROM['front'].inverse() @ base_from_base @ BASE_FROM['back']
        np.testing.assert_allclose(stub.places()[1].matrix, expected.matrix, atol=1e-9)

    def test_without_odometry_the_robot_is_taken_to_stand(self, stub: RigStub) -> None:
        frame = together(image(5.0), image(4.9, 'back'))
        result = self.run(stub, transforms('front', 'back', moving=False), frame)
        assert result.pose is not None
        expected = BASE_FROM['front'].inverse() @ BASE_FROM['back']
        np.testing.assert_allclose(stub.places()[1].matrix, expected.matrix, atol=1e-12)

    @pytest.mark.parametrize(('known', 'unknown'), [('front', 'back'), ('back', 'front')])
    def test_a_camera_whose_place_is_not_known_contributes_nothing(
        self, stub: RigStub, known: str, unknown: str
    ) -> None:
        stub.enough = 1
        frame = together(image(5.0), image(4.9, 'back'))
        result = self.run(stub, transforms(known), frame)
        assert [view.sighting.features is not None for view in stub.views[-1]] == [
            name == known for name in ('front', 'back')
        ]
        assert result.localization.stamp_ns == 5 * NS
        assert result.pose is not None
        expected = base_pose(PoseEstimate(stub.map_from_cam, COVARIANCE), BASE_FROM[known])
        np.testing.assert_allclose(result.pose.map_from_body.matrix, expected.map_from_body.matrix)
        (problem,) = result.image_problems
        assert unknown in problem
        # The one that remains is where it was when it took its image.
        base_from_base = odometry(5.0).inverse() @ odometry(5.0 if known == 'front' else 4.9)
        place = stub.places()[('front', 'back').index(known)]
        moved = BASE_FROM[known].inverse() @ base_from_base @ BASE_FROM[known]
        np.testing.assert_allclose(place.matrix, moved.matrix, atol=1e-9)

    def test_no_place_known_at_all(self, stub: RigStub) -> None:
        frame = together(image(5.0), image(5.0, 'back'))
        result = self.run(stub, transforms(), frame)
        assert result.pose is None
        assert result.localization.status is Status.ERROR
        assert 'where the camera sits is not known' in result.localization.reason

    def test_an_unusable_image_is_told_of(self, stub: RigStub) -> None:
        stub.enough = 1
        frame = together(image(5.0), image(5.0, 'back', encoding='nonsense'))
        result = self.run(stub, transforms('front', 'back'), frame)
        assert result.pose is not None
        (problem,) = result.image_problems
        assert problem.startswith('/back/image: ')
        assert 'nonsense' in problem

    def test_each_camera_searches_around_its_own_place(self, stub: RigStub) -> None:
        buffer = transforms('front', 'back')
        processor = make(stub, buffer, cameras='front,back', tf_mode='none')
        processor.search_area = lambda odom_from_base: SearchArea(np.ones(3), 2.0)
        process(processor, together(image(5.0), image(5.0, 'back')))
        radii = [area.radius for area in stub.search_areas if area is not None]
        levers = [np.linalg.norm(BASE_FROM[name].translation) for name in ('front', 'back')]
        np.testing.assert_allclose(radii, np.add(2.0, levers))

    def test_a_camera_alone_is_enough(self, stub: RigStub) -> None:
        stub.enough = 1
        assert self.run(stub, transforms('front', 'back'), image(5.0)).pose is not None


class TestMovingCamera:
    """The last images of one camera."""

    def test_images_before_help_with_the_odometry_between_them(self) -> None:
        stub = RigStub(enough=3)
        processor = make(stub, transforms('front'), virtual_rig_size=3)
        results = [process(processor, image(second)) for second in (1.0, 2.0, 3.0)]
        assert [result.pose is not None for result in results] == [False, False, True]
        odom_from_cam = [odometry(second) @ BASE_FROM['front'] for second in (3.0, 1.0, 2.0)]
        for place, then in zip(stub.places(), odom_from_cam, strict=True):
            expected = odom_from_cam[0].inverse() @ then
            np.testing.assert_allclose(place.matrix, expected.matrix, atol=1e-9)
        expected = base_pose(PoseEstimate(stub.map_from_cam, COVARIANCE), BASE_FROM['front'])
        pose = results[-1].pose
        assert pose is not None
        np.testing.assert_allclose(pose.map_from_body.matrix, expected.map_from_body.matrix)
        # No image was looked at twice.
        assert stub.stamps == [1 * NS, 2 * NS, 3 * NS]
        assert results[-1].localization.timings_ms['features'] == 3.0

    def test_hints_and_images_are_forgotten(self) -> None:
        stub = RigStub(enough=2)
        processor = make(stub, transforms('front'), virtual_rig_size=3)
        process(processor, image(1.0))
        processor.forget()
        assert process(processor, image(2.0)).pose is None
        assert process(processor, image(3.0)).pose is not None

    @pytest.mark.parametrize('lacking', ['odometry', 'extrinsics'])
    def test_each_image_stands_alone_without(self, lacking: str) -> None:
        buffer = transforms(moving=False) if lacking == 'odometry' else transforms()
        if lacking == 'odometry':
            buffer = transforms('front', moving=False)
        stub = RigStub(enough=2)
        processor = make(stub, buffer, virtual_rig_size=3, tf_mode='none')
        results = [process(processor, image(second)) for second in (1.0, 2.0, 3.0)]
        assert not any(result.pose for result in results)
        assert {len(views) for views in stub.views} == {1}
        stub.enough = 1
        last = process(processor, image(4.0))
        assert (last.pose is None) == (lacking == 'extrinsics')

    def test_the_robot_does_not_wait_for_odometry_that_does_not_exist(self) -> None:
        buffer = transforms('front', moving=False)
        stub = RigStub(enough=2)
        processor = make(stub, buffer, virtual_rig_size=3, tf_mode='none', transform_timeout=5.0)
        start_s = time.monotonic()
        process(processor, image(1.0))
        assert time.monotonic() - start_s < 2.0

    def test_real_images(self, office_map: Path) -> None:
        settings = {'max_keypoints': 300, 'min_inliers': 130}
        relocalizer = Relocalizer(
            ReferenceMap.open(office_map), make_config(LocalizationConfig, settings)
        )
        posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
        buffer = TransformBuffer(cache_ns=None)
        buffer.set_transform('base_link', 'front', 0, BASE_FROM['front'], static=True)
        for one in posed:
            base = one.cam_from_map.inverse() @ BASE_FROM['front'].inverse()
            buffer.set_transform('odom', 'base_link', one.stamp_ns, base, static=False)
        results = []
        for size in (1, 3):
            config = make_config(NodeConfig, {'virtual_rig_size': size, 'transform_timeout': 0.0})
            processor = FrameProcessor(relocalizer, buffer, config)
            results.append([process(processor, _jpeg(one)) for one in posed])
        alone, virtual = results
        assert not alone[-1].localization.localized
        pose = virtual[-1].pose
        assert pose is not None, virtual[-1].localization.reason
        truth = posed[-1].cam_from_map.inverse() @ BASE_FROM['front'].inverse()
        assert pose_error(pose.map_from_body, truth)[0] < 0.05
        for one, other in zip(alone[:-1], virtual[:-1], strict=True):
            assert one.pose is not None
            assert other.pose is not None
            np.testing.assert_array_equal(
                one.pose.map_from_body.matrix, other.pose.map_from_body.matrix
            )


def _jpeg(posed: Any) -> Frame:
    sec, nanosec = divmod(posed.stamp_ns, NS)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id='front')
    message = SimpleNamespace(header=header, format='jpeg', data=posed.path.read_bytes())
    return Frame(message, posed.camera, 'image', time.monotonic())


def test_the_debug_image_shows_the_camera_that_sees_most() -> None:
    stub = RigStub(enough=2)
    processor = make(stub, transforms('front', 'back'), cameras='front,back')
    white = bytes([255] * 48)
    result = process(processor, together(image(5.0), image(5.0, 'back', data=white)))

    def left_half(view: int) -> np.ndarray:
        pairs = tuple(replace(pair, view=view) for pair in result.localization.pairs)
        shown = replace(result, localization=replace(result.localization, pairs=pairs))
        message = _draw(_Sight(shown, None, False))
        assert message is not None
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        return pixels[message.height // 2, : message.width // 4]

    assert left_half(0).mean() < 10
    assert left_half(1).mean() > 245
    # Images before, of a virtual rig, are not kept.
    assert left_half(2).mean() < 10


class TestSettings:
    """What is refused at configure, and why."""

    @pytest.mark.parametrize(
        ('settings', 'reason'),
        [
            ({'cameras': 'a,b,a'}, 'each needs a name of its own'),
            ({'cameras': 'a,b', 'camera_frame': 'optical'}, "camera_frame 'optical'"),
            ({'cameras': 'a,b', 'virtual_rig_size': 3}, 'virtual_rig_size 3 is for one camera'),
        ],
    )
    def test_settings_that_do_not_go_together(self, settings: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            check_rig(make_config(NodeConfig, settings))

    @pytest.mark.parametrize('settings', [{}, {'cameras': 'a'}, {'virtual_rig_size': 5}])
    def test_settings_that_do(self, settings: dict[str, Any]) -> None:
        check_rig(make_config(NodeConfig, {'camera_frame': 'optical', **settings}))

    @pytest.mark.parametrize('settings', [{'cameras': 'a,b'}, {'virtual_rig_size': 2}])
    def test_a_localizer_of_single_images(
        self, office_map: Path, settings: dict[str, Any]
    ) -> None:
        config = make_config(NodeConfig, {'map_path': str(office_map), **settings})
        with pytest.raises(ConfigError, match='set localizer to one of essential, structure'):
            load_map(config, LocalizationConfig(localizer='retrieval'))
        load_map(config, LocalizationConfig()).close()
