# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot drives in a circle and is carried away, the node runs in a process of its own.

One drive for all tests of this file; they look at different things in what the node said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from driving_robot import INPUTS, NS, DrivingRobot, Operator
from lifecycle_msgs.msg import Transition
from robot_room import NUM_PLACES
from ros_process import check_log, parameters, running_node

from relloc_ros.geometry import RigidTransform, pose_error

DRIFT = 0.05
TOLERANCE_S = 0.25
TF_RATE_HZ = 50.0
MIN_FIXES = 10
FIX_ERROR_M = 0.03
FIX_ERROR_RAD = 0.01


@dataclass
class Drive:
    """What happened, and when, by the robot's stamps.

    Attributes:
        robot: what was said and what is true.
        kidnapped_ns: the last image before the robot was carried away.
        deactivated_s: seconds that the node took to deactivate.
        num_corrections: what had come of map <- odom a moment after it was deactivated.
        log: of the node.
    """

    robot: DrivingRobot
    kidnapped_ns: int = 0
    deactivated_s: float = 0.0
    num_corrections: int = 0
    log: str = ''

    def fixes(self, *, kidnapped: bool) -> dict[int, RigidTransform]:
        """Give the fixes before or after."""
        return {
            stamp_ns: fix
            for stamp_ns, fix in self.robot.fixes.items()
            if (stamp_ns > self.kidnapped_ns) == kidnapped
        }

    def frames(self, *, kidnapped: bool) -> list[dict[str, str]]:
        """Give what ~/status told of the images before or after."""
        return [
            values
            for stamp_ns, values in self.robot.frames
            if (stamp_ns > self.kidnapped_ns) == kidnapped
        ]


@pytest.fixture(scope='module')
def drive(
    module_ros: None, room_map: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drive]:
    robot = DrivingRobot()
    operator = Operator(robot)
    log = tmp_path_factory.mktemp('drive') / 'log'
    arguments = parameters(
        map_path=room_map,
        autostart=True,
        image_transport='compressed',
        max_rate=0.0,
        transform_tolerance=TOLERANCE_S,
        tf_publish_rate=TF_RATE_HZ,
    )
    drive = Drive(robot)
    with running_node(*INPUTS, *arguments, log=log) as process:
        robot.meet(process)
        robot.live(lambda: robot.corrections)
        robot.drift, robot.speed = DRIFT, 2
        start = robot.place
        robot.live(
            lambda: robot.place >= start + 1.5 * NUM_PLACES and len(robot.fixes) >= MIN_FIXES, 60.0
        )
        robot.kidnap(NUM_PLACES // 2)
        robot.live(lambda: robot.kidnaps)
        (drive.kidnapped_ns,) = robot.kidnaps
        robot.live(lambda: len(drive.fixes(kidnapped=True)) >= 5)
        drive.deactivated_s = operator.change(Transition.TRANSITION_DEACTIVATE)
        robot.live_for(0.2)
        drive.num_corrections = len(robot.corrections)
        robot.live_for(0.5)
    drive.log = check_log(log)
    yield drive
    robot.close()


def test_each_fix_is_true(drive: Drive) -> None:
    assert len(drive.robot.fixes) >= MIN_FIXES
    for stamp_ns, map_from_base in drive.robot.fixes.items():
        position, rotation = pose_error(map_from_base, drive.robot.truth[stamp_ns])
        assert position < FIX_ERROR_M
        assert rotation < FIX_ERROR_RAD


def test_drift_of_odometry_is_corrected(drive: Drive) -> None:
    _, map_from_odom = drive.robot.corrections[0]
    errors, uncorrected = [], []
    for stamp_ns, correction in drive.robot.corrections:
        at_ns = sent_at(drive.robot, stamp_ns)
        if at_ns <= drive.kidnapped_ns:
            errors.append(tf_error(drive.robot, correction, at_ns))
            uncorrected.append(tf_error(drive.robot, map_from_odom, at_ns))
    assert max(uncorrected) > 0.4
    assert np.median(errors) < max(uncorrected) / 3


def test_map_to_odom_at_the_stamp_of_each_fix(drive: Drive) -> None:
    robot = drive.robot
    for stamp_ns, map_from_base in robot.fixes.items():
        expected = map_from_base @ robot.odometry[stamp_ns].inverse()
        assert any(
            np.abs(correction.matrix - expected.matrix).max() < 1e-6
            for _, correction in robot.corrections
        )


def test_no_transform_before_the_first_fix(drive: Drive) -> None:
    robot = drive.robot
    first_ns = min(robot.fixes)
    assert len([stamp_ns for stamp_ns in robot.images if stamp_ns < first_ns]) >= 3
    assert robot.corrections[0][0] > first_ns + TOLERANCE_S * NS


def test_transforms_are_post_dated_and_go_on_in_time(drive: Drive) -> None:
    stamps = np.array([stamp_ns for stamp_ns, _ in drive.robot.corrections])
    assert (np.diff(stamps) > 0).all()
    assert np.median(np.diff(stamps)) / NS == pytest.approx(1.0 / TF_RATE_HZ, rel=0.5)
    ahead_s = (
        np.array(
            [
                stamp_ns - heard_ns
                for (stamp_ns, _), heard_ns in zip(
                    drive.robot.corrections, drive.robot.corrections_heard_ns, strict=True
                )
            ]
        )
        / NS
    )
    assert ahead_s.max() <= TOLERANCE_S + 0.001
    assert np.median(ahead_s) > TOLERANCE_S - 0.1


def test_kidnapping_is_suspected_then_announced(drive: Drive) -> None:
    assert {values['state'] for values in drive.frames(kidnapped=False)[5:]} == {'LOCALIZED'}
    after = drive.frames(kidnapped=True)
    states = [values['state'] for values in after]
    events = [values['event'] for values in after]
    kidnapped = events.index('KIDNAPPED')
    assert set(states[:kidnapped]) == {'SUSPECT'}
    assert kidnapped >= 2
    assert set(states[kidnapped:]) == {'LOCALIZED'}
    assert set(events) == {'', 'KIDNAPPED'}
    assert all('contradicts the track' in values['reason'] for values in after[:kidnapped])


def test_map_to_odom_jumps_once_when_kidnapped(drive: Drive) -> None:
    robot = drive.robot
    steps = []
    for (_, before), (stamp_ns, now) in pairwise(robot.corrections):
        odom_from_base = robot.odometry[sent_at(robot, stamp_ns)]
        steps.append(pose_error(before @ odom_from_base, now @ odom_from_base)[0])
    assert len([step for step in steps if step > 0.5]) == 1
    first_ns = min(drive.fixes(kidnapped=True))
    jump = steps.index(max(steps))
    assert robot.corrections[jump][0] - TOLERANCE_S * NS < first_ns + 2 * NS
    assert robot.corrections[jump + 1][0] - TOLERANCE_S * NS > first_ns


def test_nothing_after_deactivate(drive: Drive) -> None:
    assert drive.deactivated_s < 1.0
    assert len(drive.robot.corrections) == drive.num_corrections


def test_log_of_a_kidnapping(drive: Drive) -> None:
    # The robot may be found again before the diagnostics of the next second call it suspect.
    assert 'KIDNAPPED at x=' in drive.log
    assert 'kidnapped, or localized wrongly before: the robot is' in drive.log
    assert drive.log.count('\n') < 30


def sent_at(robot: DrivingRobot, stamp_ns: int) -> int:
    """Give the robot's tick at which a post-dated transform was sent."""
    sent_ns = stamp_ns - TOLERANCE_S * NS
    return min(robot.truth, key=lambda tick_ns: abs(tick_ns - sent_ns))


def tf_error(robot: DrivingRobot, map_from_odom: RigidTransform, stamp_ns: int) -> float:
    """Give how far TF says the robot is from where it is."""
    return pose_error(map_from_odom @ robot.odometry[stamp_ns], robot.truth[stamp_ns])[0]
