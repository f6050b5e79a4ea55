# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag that starts anew while the node, in a process of its own, lives by its clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from driving_robot import INPUTS, NS, DrivingRobot
from ros_process import check_log, end, parameters, running_node

from relloc_ros.geometry import pose_error

START_NS = 1_300_000_000 * NS
TOLERANCE_S = 0.1
MAX_ERROR_M = 0.03


@pytest.fixture
def robot(ros: None) -> Iterator[DrivingRobot]:
    robot = DrivingRobot()
    robot.set_clock(START_NS, sim=True)
    yield robot
    robot.close()


def test_a_bag_in_a_loop(robot: DrivingRobot, room_map: Path, tmp_path: Path) -> None:
    log = tmp_path / 'log'
    arguments = parameters(
        map_path=room_map,
        autostart=True,
        image_transport='compressed',
        max_rate=0.0,
        use_sim_time=True,
        transform_tolerance=TOLERANCE_S,
    )
    with running_node(*INPUTS, *arguments, log=log) as process:
        robot.meet(process)
        robot.speed = 2
        robot.live(lambda: len(robot.fixes) >= 8)
        end_ns = robot.now_ns
        assert robot.corrections[-1][0] > end_ns - NS

        robot.rewind(START_NS)
        robot.live_for(0.1)
        robot.frames.clear()
        robot.fixes.clear()
        robot.corrections.clear()
        robot.live(lambda: len(robot.fixes) >= 5)
        robot.live_for(0.2)
        figures = robot.next_diagnostic()
        assert end(process, signal.SIGINT) == 0

    assert robot.now_ns < end_ns
    assert 'time jumped by -' in check_log(log)
    assert figures['state'] == 'LOCALIZED'
    assert robot.frames[0][1]['state'] == 'SEARCHING'
    events = [values['event'] for _, values in robot.frames if values['event']]
    assert len(events) == 1
    assert events[0] != 'KIDNAPPED'
    for stamp_ns, map_from_base in robot.fixes.items():
        assert START_NS < stamp_ns < robot.now_ns
        assert pose_error(map_from_base, robot.truth[stamp_ns])[0] < MAX_ERROR_M
    stamps = [stamp_ns for stamp_ns, _ in robot.corrections]
    assert stamps == sorted(set(stamps))
    assert min(robot.fixes) < stamps[0] < stamps[-1] < robot.now_ns + TOLERANCE_S * NS
