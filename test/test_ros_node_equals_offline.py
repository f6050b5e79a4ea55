# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One bag through the node and through the evaluation: the same poses accepted, the same refused.

Otherwise the code has forked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.executors import SingleThreadedExecutor
from ros_harness import Robot, values
from ros_process import end, parameters, running_node, spin_until

from relloc_ros.bags.reader import BagReader
from relloc_ros.bags.writer import write_bag
from relloc_ros.config import TrackingConfig, make_config
from relloc_ros.evaluation.queries import BagQueries
from relloc_ros.evaluation.run import Outcome, evaluate
from relloc_ros.frames import (
    TransformBuffer,
    stamp_to_ns,
    transform_from_message,
    transform_from_pose,
)
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.tracker import Tracker

TOLERANCE = 1e-6
EXAMPLE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
PLAYING_TIMEOUT_S = 60.0
CAMERA = ('-r', 'image:=/camera/image_raw', '-r', 'camera_info:=/camera/camera_info')
# Best effort loses images where the machine is busy.
EVERY_IMAGE = {
    'qos_overrides./camera/image_raw/compressed.subscription.reliability': 'reliable',
    'qos_overrides./camera/camera_info.subscription.reliability': 'reliable',
}

REPLAY = 'from relloc_ros.cli.main import main; main()'


class Node:
    """What the node said about a bag, by stamp."""

    def __init__(self, robot: Robot) -> None:
        self.poses: dict[int, RigidTransform] = {}
        self.covariances: dict[int, np.ndarray] = {}
        for message in robot.poses:
            stamp_ns = stamp_to_ns(message.header.stamp)
            self.poses[stamp_ns] = transform_from_pose(message.pose.pose)
            self.covariances[stamp_ns] = np.reshape(message.pose.covariance, (6, 6))
        self.said = {
            stamp_to_ns(message.header.stamp): values(message.status[0])
            for message in robot.frames
        }
        self.corrections = [transform_from_message(item.transform) for item in robot.corrections]


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Show the queries twice: after the last the robot is carried back to the first."""
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    output = tmp_path_factory.mktemp('carried') / 'bag'
    write_bag(posed, output, compressed=True, odom_drift=0.05, kidnap=(len(posed) - 1, 0))
    return output


@pytest.fixture(scope='module', params=['none', 'pgo'])
def fusion(request: pytest.FixtureRequest) -> str:
    if request.param == 'pgo':
        pytest.importorskip('gtsam', reason='extra fusion')
    return request.param


@pytest.fixture(scope='module')
def offline(office_map: Path, bag: Path, fusion: str) -> dict[int, Outcome]:
    tracker = Tracker(make_config(TrackingConfig, {'fusion': fusion}))
    with ReferenceMap.open(office_map) as reference_map, BagReader(bag) as reader:
        evaluation = evaluate(BagQueries(reader), Relocalizer(reference_map), tracker=tracker)
    return {outcome.stamp_ns: outcome for outcome in evaluation.outcomes}


@pytest.fixture(scope='module')
def node(
    ros_environment: None,
    office_map: Path,
    bag: Path,
    fusion: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Node]:
    """Play the bag, as `relloc replay` does, into the node, each in its own process."""
    import rclpy

    rclpy.init(args=[])
    robot = Robot()
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    try:
        log = tmp_path_factory.mktemp('node') / 'log'
        play(executor, robot, office_map, bag, log, fusion)
        yield Node(robot)
    finally:
        executor.shutdown()
        robot.destroy_node()
        rclpy.try_shutdown()


def play(
    executor: SingleThreadedExecutor,
    robot: Robot,
    office_map: Path,
    bag: Path,
    log: Path,
    fusion: str,
) -> None:
    with BagReader(bag) as reader:
        count = len(reader)
    arguments = parameters(
        map_path=office_map,
        autostart=True,
        fusion=fusion,
        image_transport='compressed',
        max_rate=0.0,
        use_sim_time=True,
        **EVERY_IMAGE,
    )
    with running_node(*CAMERA, *arguments, log=log) as process:
        spin_until(executor, lambda: robot.count_subscribers('/camera/image_raw/compressed'))
        player = subprocess.Popen(
            [sys.executable, '-c', REPLAY, 'replay', str(bag), '--clock', '--rate', '3']
        )
        spin_until(
            executor,
            lambda: player.poll() is not None or len(robot.frames) == count,
            PLAYING_TIMEOUT_S,
        )
        for _ in range(40):
            executor.spin_once(timeout_sec=0.05)
        assert player.wait(PLAYING_TIMEOUT_S) == 0
        assert end(process, signal.SIGINT) == 0


def test_the_robot_is_found_carried_away_and_found_again(
    offline: dict[int, Outcome], node: Node
) -> None:
    events = [said['event'] for _, said in sorted(node.said.items())]
    assert [event for event in events if event] == ['LOCALIZED', 'KIDNAPPED']
    reasons = [outcome.reason for outcome in offline.values()]
    assert any('poses that have to agree' in reason for reason in reasons)
    assert any('contradicts the track' in reason for reason in reasons)


def test_same_verdicts(offline: dict[int, Outcome], node: Node) -> None:
    assert node.said.keys() == offline.keys()
    for stamp_ns, outcome in offline.items():
        said = node.said[stamp_ns]
        assert said['accepted'] == ('true' if outcome.localized else 'false')
        assert said['event'] or said['reason'] == outcome.reason
    assert node.poses.keys() == {each.stamp_ns for each in offline.values() if each.localized}
    assert len(node.poses) >= len(offline) // 2


def test_same_poses(offline: dict[int, Outcome], node: Node) -> None:
    for stamp_ns, found in node.poses.items():
        estimate = offline[stamp_ns].estimate
        assert estimate is not None
        assert np.abs(found.matrix - estimate.map_from_body.matrix).max() < TOLERANCE
        assert np.allclose(
            node.covariances[stamp_ns], estimate.covariance, rtol=TOLERANCE, atol=1e-12
        )


def test_map_to_odom_of_each_image(offline: dict[int, Outcome], node: Node, bag: Path) -> None:
    with BagReader(bag) as reader:
        transforms: TransformBuffer = reader.transforms
    for stamp_ns, map_from_base in node.poses.items():
        odom_from_base = transforms.lookup('odom', 'base_link', stamp_ns)
        expected = map_from_base @ odom_from_base.inverse()
        differences = [np.abs(item.matrix - expected.matrix).max() for item in node.corrections]
        assert min(differences) < TOLERANCE
