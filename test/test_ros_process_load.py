# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""More images than the node can work on, and a localizer that does not come to an end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from driving_robot import INPUTS, NODE_NAME, DrivingRobot, Operator
from lifecycle_msgs.msg import Transition
from ros_process import check_log, end, parameters, running_node
from std_srvs.srv import Trigger

SLOW_NODE = str(Path(__file__).with_name('slow_node.py'))
NUM_IMAGES = 5000
RATE_HZ = 300
WARM_UP_IMAGES = 500
WARM_UP_FRAMES = 40
"""So many answers until caches are full, and threads have had all the memory they come to need."""
EVERY_IMAGE = {
    'qos_overrides./camera/image/compressed.subscription.reliability': 'reliable',
    'qos_overrides./camera/image/compressed.subscription.depth': 100,
}


@pytest.fixture
def robot(ros: None) -> Iterator[DrivingRobot]:
    robot = DrivingRobot(tick_ns=10**9 // RATE_HZ, ticks_per_image=1)
    yield robot
    robot.close()


def test_memory_answers_and_counts_under_load(robot: DrivingRobot, tmp_path: Path) -> None:
    operator = Operator(robot)
    log = tmp_path / 'log'
    arguments = parameters(
        autostart=True, image_transport='compressed', max_rate=0.0, **EVERY_IMAGE
    )
    program = (SLOW_NODE, '0.1')
    robot.max_images = 0
    with running_node(*INPUTS, *arguments, log=log, program=program) as process:
        robot.meet(process)
        robot.live_for(1.0)
        robot.max_images = NUM_IMAGES
        robot.live(
            lambda: len(robot.images) >= WARM_UP_IMAGES and len(robot.frames) >= WARM_UP_FRAMES
        )
        before_kib = memory_kib(process.pid)
        operator.ask()
        durations_s = []
        while len(robot.images) < NUM_IMAGES:
            durations_s.append(operator.ask())
            robot.live_for(0.01)
        after_kib = memory_kib(process.pid)
        reports = [values_of(status) for status in robot.diagnostics]
        robot.live_for(1.5)
        figures = robot.next_diagnostic()
        assert end(process, signal.SIGINT) == 0
    check_log(log)
    assert abs(after_kib - before_kib) < 0.05 * before_kib
    assert len(durations_s) > 10
    assert np.percentile(durations_s, 95) < 0.1
    assert max(durations_s) < 5.0
    assert len(reports) >= 5
    for report in [*reports, figures]:
        check_counts(report)
    # All of them, unless the machine is so busy that the middleware has to drop some.
    assert 0.8 * NUM_IMAGES < int(figures['images_received']) <= NUM_IMAGES
    assert int(figures['images_pending']) == 0
    assert int(figures['images_processed']) == len(robot.frames)
    assert len(robot.frames) > 50
    assert int(figures['images_dropped']) > NUM_IMAGES / 2


def test_slow_localizer_holds_nothing_up(robot: DrivingRobot, tmp_path: Path) -> None:
    operator = Operator(robot)
    relocalize = robot.create_client(Trigger, f'{NODE_NAME}/relocalize')
    log = tmp_path / 'log'
    arguments = parameters(autostart=True, image_transport='compressed', max_rate=0.0)
    with running_node(*INPUTS, *arguments, log=log, program=(SLOW_NODE, '3')) as process:
        robot.meet(process)
        robot.live_for(0.5)
        assert operator.ask() < 1.0
        waiting = relocalize.call_async(Trigger.Request())
        robot.live_for(0.3)
        assert operator.change(Transition.TRANSITION_DEACTIVATE) < 1.0
        robot.live(waiting.done, 1.0)
        assert 'deactivated' in waiting.result().message
        assert operator.change(Transition.TRANSITION_ACTIVATE) < 1.0
        first_ns = robot.now_ns
        robot.live(lambda: robot.frames)
        assert robot.frames[0][0] >= first_ns
        robot.live_for(0.3)
        assert operator.change(Transition.TRANSITION_DEACTIVATE) < 1.0
        assert operator.change(Transition.TRANSITION_CLEANUP) < 2.0
        assert operator.change(Transition.TRANSITION_CONFIGURE) < 2.0
        assert operator.change(Transition.TRANSITION_ACTIVATE) < 1.0
        robot.live_for(0.3)
        assert end(process, signal.SIGINT) == 0
    check_log(log)


def test_a_slow_localizer_is_terminated(robot: DrivingRobot, tmp_path: Path) -> None:
    log = tmp_path / 'log'
    arguments = parameters(autostart=True, image_transport='compressed', max_rate=0.0)
    with running_node(*INPUTS, *arguments, log=log, program=(SLOW_NODE, '60')) as process:
        robot.meet(process)
        robot.live_for(0.5)
        assert end(process, signal.SIGTERM) == 0
    check_log(log)


def memory_kib(pid: int) -> int:
    """Give the resident memory of a process."""
    (line,) = [
        line
        for line in Path(f'/proc/{pid}/status').read_text().splitlines()
        if line.startswith('VmRSS')
    ]
    return int(line.split()[1])


def values_of(status) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def check_counts(values: dict[str, str]) -> None:
    """Every image must have become of something."""
    parts = ('processed', 'dropped', 'skipped', 'pending')
    assert int(values['images_received']) == sum(int(values[f'images_{part}']) for part in parts)
