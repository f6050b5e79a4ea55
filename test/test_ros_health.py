# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.frame_processor import Frame, FrameResult
from relloc_ros.ros.health import Health, State, Surroundings, worst
from relloc_ros.structures import Localization, PoseEstimate, Status
from relloc_ros.tracker import TrackingState, Verdict

CAMERA = Camera('PINHOLE', 8, 6, (5.0, 5.0, 4.0, 3.0))
POSE = PoseEstimate(RigidTransform.identity(), np.eye(6))
AROUND = Surroundings('/image', 1, '/camera_info', True, '', 2.0, False)
NS = 1_000_000_000


class SteadyClock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def health(clock: SteadyClock) -> Health:
    health = Health(clock)
    health.start(State.WAITING)
    return health


def result(status: Status = Status.LOCALIZED, odom_problem: str = '') -> FrameResult:
    localized = status is Status.LOCALIZED
    pose = POSE if localized else None
    localization = Localization(
        status,
        '' if localized else 'because',
        5 * NS,
        'stub',
        pose,
        50,
        40,
        timings_ms={'total': 9},
    )
    state = TrackingState.LOCALIZED if localized else TrackingState.SUSPECT
    verdict = Verdict(state, localized, localization.reason)
    frame = Frame(None, CAMERA, 'image', 0.0)
    return FrameResult(frame, localization, pose, None, odom_problem, 0.02, verdict)


def kinds(health: Health, around: Surroundings = AROUND) -> dict[str, bytes]:
    return {problem.kind: problem.level for problem in health.problems(around)}


def test_all_well(health: Health, clock: SteadyClock) -> None:
    health.image_received(5 * NS, 5 * NS)
    health.frame_processed(result())
    clock.now_s += 1.0
    assert health.problems(AROUND) == []
    assert worst([]) == DiagnosticStatus.OK
    values = health.values()
    assert values['state'] == TrackingState.LOCALIZED.value
    assert values['inliers'] == 40
    assert values['last_fix_age_s'] == '1.0'
    assert values['input_rate_hz'] == '1.00'
    assert values['latency_ms'] == '20.0'


def test_no_images(health: Health, clock: SteadyClock) -> None:
    assert kinds(health) == {}
    clock.now_s += 3.0
    (problem,) = health.problems(AROUND)
    assert problem.level == DiagnosticStatus.ERROR
    assert 'no images in 3 s on topic /image' in problem.text
    assert 'qos_overrides./image.subscription.reliability' in problem.text
    (problem,) = health.problems(replace(AROUND, num_image_publishers=0))
    assert 'nobody publishes it' in problem.text
    health.image_received(0, 0)
    assert kinds(health) == {}


def test_camera_info(health: Health) -> None:
    without = replace(AROUND, has_camera=False)
    assert kinds(health, without) == {}
    health.image_received(0, 0)
    (problem,) = health.problems(without)
    assert problem.text == 'camera_info missing on topic /camera_info'
    (problem,) = health.problems(replace(without, camera_problem='K[0] = 0'))
    assert (problem.level, problem.text) == (DiagnosticStatus.ERROR, 'K[0] = 0')


@pytest.mark.parametrize(
    ('status', 'level'),
    [(Status.ERROR, DiagnosticStatus.ERROR), (Status.TOO_FEW_INLIERS, DiagnosticStatus.WARN)],
)
def test_frame_without_pose(health: Health, status: Status, level: bytes) -> None:
    health.image_received(0, 0)
    health.frame_processed(result())
    health.frame_processed(result(status))
    assert kinds(health) == {'frame': level}
    assert worst(health.problems(AROUND)) == level
    values = health.values()
    assert values['state'] == TrackingState.SUSPECT.value
    assert (values['images_processed'], values['images_localized']) == (2, 1)


def test_odometry_missing(health: Health) -> None:
    health.image_received(0, 0)
    health.frame_processed(result(odom_problem='odom TF missing'))
    assert kinds(health) == {'odom': DiagnosticStatus.WARN}


def test_clocks(health: Health) -> None:
    health.image_received(0, 10 * NS)
    assert kinds(health, replace(AROUND, silent_clock=True)) == {
        'clock': DiagnosticStatus.WARN,
        'stamp': DiagnosticStatus.WARN,
    }
    assert 'stamp is -10.0 s from node time' in health.problems(AROUND)[0].text


def test_jump_of_time_forgets_the_fix_but_not_the_counts(health: Health) -> None:
    health.image_received(0, 0)
    health.image_dropped()
    health.frame_processed(result())
    health.restart()
    values = health.values()
    assert values['state'] == State.WAITING
    assert values['last_fix_age_s'] == ''
    assert (values['images_received'], values['images_dropped']) == (1, 1)


def test_keys_are_documented(health: Health) -> None:
    text = (Path(__file__).parent.parent / 'docs' / 'ros.md').read_text()
    for key in health.values():
        assert f'`{key}`' in text
    states = [value for name, value in vars(State).items() if not name.startswith('_')]
    for state in states:
        assert f'`{state}`' in text
