# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.diagnostics import GONE_AFTER_S, ProblemLog
from relloc_ros.ros.frame_processor import Frame, FrameResult
from relloc_ros.ros.health import Health, Problem, State, worst
from relloc_ros.structures import Localization, PoseEstimate, Status
from relloc_ros.tracker import TrackingState, Verdict

CAMERA = Camera('PINHOLE', 8, 6, (5.0, 5.0, 4.0, 3.0))
POSE = PoseEstimate(RigidTransform.identity(), np.eye(6))
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
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


def result(
    status: Status = Status.LOCALIZED,
    odom_problem: str = '',
    reason: str = 'because',
    accepted: bool = True,
) -> FrameResult:
    localized = status is Status.LOCALIZED
    pose = POSE if localized else None
    localization = Localization(
        status,
        '' if localized else reason,
        5 * NS,
        'stub',
        pose,
        50,
        40,
        confidence=0.98765,
        timings_ms={'total': 9},
    )
    state = TrackingState.LOCALIZED if localized else TrackingState.SUSPECT
    accepted = localized and accepted
    verdict = Verdict(state, accepted, '' if accepted else localization.reason or 'gate')
    frame = Frame(None, CAMERA, 'image', 0.0)
    return FrameResult(frame, localization, pose, None, odom_problem, 0.02, verdict)


def kinds(health: Health, tracking: TrackingState = TrackingState.LOCALIZED) -> dict[str, bytes]:
    return {problem.kind: problem.level for problem in health.problems(tracking)}


def test_all_well(health: Health, clock: SteadyClock) -> None:
    health.image_received()
    health.frame_processed(result())
    clock.now_s += 1.0
    assert kinds(health) == {}
    assert worst([]) == OK
    values = health.values(0, 0)
    assert values['inliers'] == 40
    assert values['confidence'] == '0.988'
    assert values['last_fix_age_s'] == '1.0'
    assert values['input_rate_hz'] == '1.00'
    assert values['latency_ms'] == '20.0'
    assert values['reason'] == ''


@pytest.mark.parametrize(
    ('tracking', 'level'),
    [
        (TrackingState.SEARCHING, WARN),
        (TrackingState.SUSPECT, WARN),
        (TrackingState.LOST, ERROR),
    ],
)
def test_how_bad_it_is_not_to_be_localized(
    health: Health, clock: SteadyClock, tracking: TrackingState, level: bytes
) -> None:
    assert kinds(health, tracking) == {}
    health.frame_processed(result(Status.TOO_FEW_INLIERS))
    (problem,) = health.problems(tracking)
    assert (problem.kind, problem.level) == ('tracking', level)
    assert f'{tracking.value}, not localized yet' in problem.text
    assert 'TOO_FEW_INLIERS, because' in problem.text
    health.frame_processed(result())
    clock.now_s += 4.0
    (problem,) = health.problems(tracking)
    assert 'last localized 4.0 s ago' in problem.text


def test_one_image_without_pose_is_no_problem_of_a_localized_robot(health: Health) -> None:
    health.frame_processed(result(Status.TOO_FEW_INLIERS))
    assert kinds(health) == {}
    assert health.values(0, 0)['reason'] == 'TOO_FEW_INLIERS, because'


def test_unusable_images_are_one_problem_whatever_the_numbers(health: Health) -> None:
    found = []
    for reason in ('12x3 pixels are 1.5 too few', '13x4 pixels are 0.25 too few', 'other'):
        health.frame_processed(result(Status.ERROR, reason=reason))
        found.append(kinds(health))
    assert found[0] == found[1] == {'image: #x# pixels are # too few': ERROR}
    assert found[2] == {'image: other': ERROR}


def test_odometry_missing(health: Health) -> None:
    health.frame_processed(result(odom_problem='odom TF missing'))
    assert kinds(health) == {'odom': WARN}


def test_every_image_is_counted_once(health: Health) -> None:
    for _ in range(9):
        health.image_received()
    health.image_dropped()
    health.image_skipped()
    health.frame_processed(result())
    health.frame_processed(result(accepted=False))
    health.frame_processed(result(Status.GATED))
    values = health.values(num_pending=2, num_lost=2)
    assert {name: value for name, value in values.items() if name.startswith('images_')} == {
        'images_received': 9,
        'images_processed': 3,
        'images_dropped': 3,
        'images_skipped': 1,
        'images_pending': 2,
        'images_localized': 2,
        'images_accepted': 1,
        'images_rejected': 1,
    }
    assert values['reason'] == 'GATED, because'


def test_jump_of_time_forgets_the_fix_but_not_the_counts(health: Health) -> None:
    health.image_received()
    health.frame_processed(result())
    health.restart()
    assert not health.has_result
    values = health.values(0, 0)
    assert values['last_fix_age_s'] == ''
    assert (values['images_received'], values['images_processed']) == (1, 1)


class Log:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self) -> Log:
        return self

    def error(self, text: str) -> None:
        self.lines.append(f'ERROR {text}')

    def warning(self, text: str) -> None:
        self.lines.append(f'WARN {text}')

    def info(self, text: str) -> None:
        self.lines.append(f'INFO {text}')


def test_problems_are_logged_when_they_come_get_worse_and_go(clock: SteadyClock) -> None:
    log = Log()
    problems = ProblemLog(log, clock)  # type: ignore[arg-type]
    for age_s in range(5):
        problems.update([Problem('rain', WARN, f'rain for {age_s} s')])
        clock.now_s += 1.0
    assert log.lines == ['WARN rain for 0 s']
    problems.update([Problem('rain', ERROR, 'flood')])
    problems.update([Problem('rain', WARN, 'rain')])
    assert log.lines[1:] == ['ERROR flood']
    clock.now_s += 0.5 * GONE_AFTER_S
    problems.update([])
    problems.update([Problem('rain', ERROR, 'flood')])
    assert log.lines[2:] == []
    clock.now_s += GONE_AFTER_S
    problems.update([])
    problems.update([])
    assert log.lines[2:] == ['INFO no longer: flood']


def test_problems_that_nobody_looks_for_are_not_said_to_be_gone(clock: SteadyClock) -> None:
    log = Log()
    problems = ProblemLog(log, clock)  # type: ignore[arg-type]
    problems.update([Problem('rain', WARN, 'rain')])
    problems.forget()
    clock.now_s += GONE_AFTER_S
    problems.update([])
    assert log.lines == ['WARN rain']


def test_keys_are_documented(health: Health) -> None:
    text = (Path(__file__).parent.parent / 'docs' / 'ros.md').read_text()
    for key in health.values(0, 0):
        assert f'`{key}`' in text
    states = [value for name, value in vars(State).items() if not name.startswith('_')]
    for state in [*states, *TrackingState]:
        assert f'`{state}`' in text or f'`{getattr(state, "value", state)}`' in text
