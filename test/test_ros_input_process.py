# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service between processes, set in a parameter file as users do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_harness import Robot, now_ns, values
from ros_process import parameters, running_node, spin_until
from sensor_msgs.msg import Image

TOPIC = '/front/image_raw'
REMAPPINGS = ('-r', f'image:={TOPIC}', '-r', 'camera_info:=/camera_info')

OVERRIDES = f"""
/**:
  ros__parameters:
    qos_overrides:
      {TOPIC}:
        subscription:
          reliability: reliable
          depth: 3
      /tf:
        subscription:
          reliability: best_effort
      /tf_static:
        subscription:
          durability: volatile
"""


@pytest.fixture
def robot(ros: None) -> Iterator[Robot]:
    robot = Robot()
    yield robot
    robot.destroy_node()


def test_overrides_and_mismatch_between_processes(
    robot: Robot, office_map: Path, tmp_path: Path
) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    file = tmp_path / 'overrides.yaml'
    file.write_text(OVERRIDES)
    arguments = ['--params-file', str(file), *parameters(map_path=office_map, autostart=True)]
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    poor = robot.create_publisher(Image, TOPIC, best_effort)
    with running_node(*REMAPPINGS, *arguments, log=tmp_path / 'log'):
        spin_until(
            executor,
            lambda: any(
                f'incompatible QoS on topic {TOPIC}, nothing is heard of /robot: it offers '
                'reliability best_effort, this node asks for reliable' in status.message
                for status in robot.diagnostics
            ),
        )
        for topic, reliability, durability in (
            (TOPIC, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
            ('/camera_info', ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
            ('/tf', ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
            ('/tf_static', ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        ):
            (qos,) = (
                found.qos_profile
                for found in robot.get_subscriptions_info_by_topic(topic)
                if found.node_name == 'localization_node'
            )
            assert (qos.reliability, qos.durability) == (reliability, durability), topic
        robot.destroy_publisher(poor)
        robot.images = robot.create_publisher(Image, TOPIC, 1)
        spin_until(executor, robot.images.get_subscription_count)
        robot.send_camera_info()

        def processed() -> bool:
            robot.diagnostics.clear()
            robot.send_image(now_ns())
            return bool(robot.frames)

        spin_until(executor, processed)
        assert values(robot.frames[-1].status[0])['status'] in ('NO_FEATURES', 'ERROR')
        spin_until(executor, lambda: robot.diagnostics)
        assert 'incompatible' not in robot.diagnostics[-1].message
    executor.shutdown()
    log = (tmp_path / 'log').read_text()
    assert log.count('[ERROR]') >= 1
    assert log.count('incompatible QoS') == 1 + log.count('no longer: incompatible QoS')
    assert 'Traceback' not in log
