# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames to poses of the base: extrinsics, odometry, and what is said when they are missing."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.config import NodeConfig, make_config
from relloc_ros.frames import TransformBuffer, base_pose
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.frame_processor import Frame, FrameProcessor, FrameResult
from relloc_ros.structures import Localization, PoseEstimate, SearchArea, Status

CAMERA = Camera('PINHOLE', 8, 6, (5.0, 5.0, 4.0, 3.0))
NS = 1_000_000_000
BASE_FROM_CAM = RigidTransform(exp_so3(np.array([0.1, 0.2, 0.3])), np.array([0.1, 0.0, 0.2]))
POSE = PoseEstimate(
    RigidTransform(exp_so3(np.array([1.0, 0.2, -0.3])), np.array([4.0, 5.0, 6.0])),
    np.diag([1.0, 2.0, 3.0, 0.1, 0.2, 0.3]),
)


class FixedLocalizer:
    def __init__(self, answer: Localization | Exception) -> None:
        self.answer = answer
        self.search_area: SearchArea | None = None

    def process_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Localization:
        self.search_area = search_area
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def localized(stamp_ns: int = 5 * NS) -> Localization:
    return Localization(Status.LOCALIZED, '', stamp_ns, 'fixed', POSE)


def transforms() -> TransformBuffer:
    buffer = TransformBuffer()
    buffer.set_transform('base_link', 'cam', 0, BASE_FROM_CAM, static=True)
    for second in range(4, 7):
        moved = RigidTransform(np.eye(3), np.array([float(second), 0.0, 0.0]))
        buffer.set_transform('odom', 'base_link', second * NS, moved, static=False)
    return buffer


def run(
    answer: Localization | Exception,
    buffer: TransformBuffer | None = None,
    *,
    stamp_ns: int = 5 * NS,
    frame_id: str = 'cam',
    **settings: Any,
) -> FrameResult:
    config = make_config(NodeConfig, {'transform_timeout': 0.0, **settings})
    processor = FrameProcessor(
        FixedLocalizer(answer), transforms() if buffer is None else buffer, config
    )
    result = processor(frame(stamp_ns, frame_id))
    assert result is not None
    return result


def frame(stamp_ns: int = 5 * NS, frame_id: str = 'cam') -> Frame:
    sec, nanosec = divmod(stamp_ns, NS)
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    message = SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id=frame_id))
    return Frame(message, CAMERA, 'image', time.monotonic())


def test_pose_is_that_of_the_base() -> None:
    result = run(localized())
    expected = base_pose(POSE, BASE_FROM_CAM)
    assert result.pose is not None
    assert np.allclose(result.pose.map_from_body.matrix, expected.map_from_body.matrix)
    assert np.allclose(result.pose.covariance, expected.covariance)


def test_odometry_is_that_of_the_stamp_of_the_image() -> None:
    result = run(localized(5 * NS + NS // 2), stamp_ns=5 * NS + NS // 2)
    assert result.odom_from_base is not None
    assert np.allclose(result.odom_from_base.translation, [5.5, 0.0, 0.0])
    assert result.odom_problem == ''


@pytest.mark.parametrize(
    'settings', [{'tf_mode': 'map_to_base'}, {'tf_mode': 'none'}, {'tf_broadcast': False}]
)
def test_odometry_is_not_asked_for_without_need(settings: dict[str, Any]) -> None:
    buffer = TransformBuffer()
    buffer.set_transform('base_link', 'cam', 0, BASE_FROM_CAM, static=True)
    start_s = time.monotonic()
    result = run(localized(), buffer, transform_timeout=5.0, **settings)
    assert time.monotonic() - start_s < 2.0
    assert result.odom_from_base is None
    assert result.odom_problem == ''
    assert result.pose is not None
    assert run(localized(), **settings).odom_from_base is not None


@pytest.mark.parametrize('second', [1, 9])
def test_pose_without_odometry_at_the_time(second: int) -> None:
    result = run(localized(second * NS), stamp_ns=second * NS)
    assert result.pose is not None
    assert result.odom_from_base is None
    assert 'odom TF missing, odom <- base_link' in result.odom_problem


@pytest.mark.parametrize('frame_id', ['other_cam', ''])
def test_no_pose_without_extrinsics(frame_id: str) -> None:
    result = run(localized(), frame_id=frame_id)
    assert result.pose is None
    assert result.localization.status is Status.ERROR
    assert result.localization.camera_pose is None
    assert ('other_cam' if frame_id else 'camera_frame') in result.localization.reason


def test_camera_frame_from_the_configuration() -> None:
    assert run(localized(), frame_id='wrong', camera_frame='cam').pose is not None


def test_camera_in_the_base_frame_needs_no_transform() -> None:
    result = run(localized(), TransformBuffer(), frame_id='base_link', tf_mode='none')
    assert result.pose is not None
    assert np.allclose(result.pose.map_from_body.matrix, POSE.map_from_body.matrix)


def test_not_localized_stays_so() -> None:
    answer = Localization(Status.GATED, 'unsure', 5 * NS, 'fixed')
    result = run(answer, TransformBuffer())
    assert result.localization is answer
    assert result.pose is None
    assert result.odom_problem == ''


def test_a_defect_becomes_an_error_of_the_frame() -> None:
    result = run(ZeroDivisionError('oops'))
    assert result.localization.status is Status.ERROR
    assert 'ZeroDivisionError: oops' in result.localization.reason
    assert result.localization.stamp_ns == 5 * NS


def test_waits_for_late_transforms() -> None:
    start_s = time.monotonic()
    run(localized(9 * NS), stamp_ns=9 * NS, transform_timeout=0.2)
    assert 0.19 < time.monotonic() - start_s < 1.0


@pytest.mark.parametrize('frame_id', ['cam', 'other_cam'])
def test_the_search_area_is_that_of_the_camera_when_the_image_was_taken(frame_id: str) -> None:
    localizer = FixedLocalizer(localized())
    config = make_config(NodeConfig, {'transform_timeout': 0.0})
    processor = FrameProcessor(localizer, transforms(), config)
    processor(frame(frame_id=frame_id))
    assert localizer.search_area is None
    seen: list[RigidTransform | None] = []

    def area_around(odom_from_base: RigidTransform | None) -> SearchArea:
        seen.append(odom_from_base)
        return SearchArea(np.ones(3), 2.0)

    processor.search_area = area_around
    processor(frame(frame_id=frame_id))
    assert seen[0] is not None
    np.testing.assert_allclose(seen[0].translation, [5.0, 0.0, 0.0])
    assert localizer.search_area is not None
    lever = np.linalg.norm(BASE_FROM_CAM.translation) if frame_id == 'cam' else 0.0
    assert localizer.search_area.radius == pytest.approx(2.0 + lever)
    processor(frame(9 * NS))
    assert seen[-1] is None
    processor.search_area = lambda odom_from_base: None
    processor(frame(frame_id=frame_id))
    assert localizer.search_area is None
