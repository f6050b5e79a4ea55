# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that is killed while the robot drives on; two robots with a node each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
import signal
import time

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from conftest import EXAMPLE
from driving_robot import INPUTS, DrivingRobot
from ros_process import check_log, end, parameters, running_node

from relloc_ros.geometry import pose_error
from relloc_ros.map.sources import read_source

MAX_ERROR_M = 0.03
COMMON = {'autostart': True, 'image_transport': 'compressed', 'max_rate': 0.0}


@pytest.fixture
def robot(ros: None) -> Iterator[DrivingRobot]:
    robot = DrivingRobot()
    yield robot
    robot.close()


def test_killed_and_started_again(robot: DrivingRobot, room_map: Path, tmp_path: Path) -> None:
    arguments = parameters(map_path=room_map, **COMMON)
    robot.speed = 1
    with running_node(*INPUTS, *arguments, log=tmp_path / 'killed') as process:
        robot.meet(process)
        robot.live(lambda: len(robot.fixes) >= 3)
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
    robot.live_for(0.5)
    robot.fixes.clear()
    num_corrections = len(robot.corrections)
    with running_node(*INPUTS, *arguments, log=tmp_path / 'log') as process:
        # The one before cannot have said good-bye: who is matched may be dead.
        robot.send_extrinsics()
        robot.live(lambda: process.poll() is not None or len(robot.fixes) >= 3)
        assert len(robot.corrections) > num_corrections
        assert end(process, signal.SIGINT) == 0
    check_log(tmp_path / 'log')
    for stamp_ns, map_from_base in robot.fixes.items():
        assert pose_error(map_from_base, robot.truth[stamp_ns])[0] < MAX_ERROR_M
    stamps = [stamp_ns for stamp_ns, _ in robot.corrections]
    assert all(before < after for before, after in pairwise(stamps))


def num_skipped(robot: DrivingRobot) -> int:
    """Give what the robot's node says of images left out."""
    return max(
        int(item.value)
        for status in robot.diagnostics
        for item in status.values
        if item.key == 'images_skipped'
    )


def test_two_robots(robot: DrivingRobot, room_map: Path, office_map: Path, tmp_path: Path) -> None:
    """One drives in the painted room, the other is parked in an office of real images."""
    robot.close()
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]
    robots = [DrivingRobot(name, tf='tf') for name in ('room', 'office')]
    robots[0].speed = 1
    robots[1].stand(posed.cam_from_map.inverse(), posed.camera, posed.path.read_bytes())
    arguments = [
        [
            *INPUTS,
            *parameters(map_path=path, **COMMON),
            *('-r', f'__ns:=/{name}', '-r', '/tf:=tf', '-r', '/tf_static:=tf_static'),
        ]
        for name, path in (('room', room_map), ('office', office_map))
    ]
    arguments[1] += parameters(update_min_d=0.2, update_min_a=0.2)
    with (
        running_node(*arguments[0], log=tmp_path / 'room') as room,
        running_node(*arguments[1], log=tmp_path / 'office') as office,
    ):
        for item, process in zip(robots, (room, office), strict=True):
            item.meet(process)
        deadline = time.monotonic() + 30.0
        while len(robots[0].fixes) < 5 or not robots[1].fixes or num_skipped(robots[1]) < 5:
            assert time.monotonic() < deadline
            for item in robots:
                item.live_for(0.02)
        assert end(room, signal.SIGINT) == 0
        assert end(office, signal.SIGINT) == 0
    for item, error in zip(robots, (MAX_ERROR_M, 0.1), strict=True):
        assert item.fixes.keys() <= item.truth.keys()
        for stamp_ns, map_from_base in item.fixes.items():
            assert pose_error(map_from_base, item.truth[stamp_ns])[0] < error
        assert item.corrections
        item.close()
    # Parked, it is not localized again, and stays localized.
    assert len(robots[1].fixes) <= 3
    assert robots[1].frames[-1][1]['state'] == 'LOCALIZED'
    for name in ('room', 'office'):
        check_log(tmp_path / name)
