# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real maps loaded again and again while the node works: nothing of the old ones is left."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('std_srvs')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_process import call, spin_until
from std_srvs.srv import Trigger
from synthetic_maps import make_posed

from relloc_ros.config import MapConfig
from relloc_ros.map.builder import build_map
from relloc_ros.ros.localization_node import LocalizationNode

RELOADS = 20


@pytest.fixture
def caller(ros: None) -> Iterator[Node]:
    """Somebody who calls services."""
    caller = Node('caller')
    yield caller
    caller.destroy_node()


@pytest.fixture
def sideways_map(tmp_path: Path) -> Path:
    """A map in the frame of its first camera: y is down."""
    config = MapConfig(max_keypoints=100, vlad_clusters=8)
    return build_map(make_posed(tmp_path), tmp_path / 'map', config)


def held(folders: list[Path]) -> tuple[int, int]:
    """Count open files, and memory mapped from maps, of this process."""
    mapped = Path('/proc/self/maps').read_text().splitlines()
    of_maps = [line for line in mapped if any(str(folder) in line for folder in folders)]
    return len(os.listdir('/proc/self/fd')), len(of_maps)


@pytest.mark.skipif(not Path('/proc/self/maps').exists(), reason='needs the /proc of Linux')
def test_nothing_of_the_old_maps_is_left(
    caller: Node, office_map: Path, office_points_map: Path
) -> None:
    maps = [office_points_map, office_map]
    node = LocalizationNode(parameter_overrides=[Parameter('map_path', value=str(office_map))])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(caller)
    client = caller.create_client(Trigger, '/localization_node/reload_map')
    node.trigger_configure()
    node.trigger_activate()
    counts = []
    for index in range(RELOADS):
        node.set_parameters([Parameter('map_path', value=str(maps[index % 2]))])
        assert call(executor, client, Trigger.Request()).success
        if index % 2:
            counts.append(held(maps))
    # What Python and ROS open once, they open in the first rounds.
    assert counts[-1][0] <= counts[1][0] + 2
    spin_until(executor, lambda: held(maps)[1] <= counts[0][1])
    executor.shutdown()
    node.destroy_node()


def test_a_map_whose_z_is_not_up_is_told_of(
    caller: Node, sideways_map: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = LocalizationNode(parameter_overrides=[Parameter('map_path', value=str(sideways_map))])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(caller)
    texts: list[str] = []
    caller.create_subscription(
        DiagnosticArray, '/diagnostics', lambda m: texts.append(m.status[0].message), 10
    )
    node.trigger_configure()
    assert 'deg from up' in capfd.readouterr().err
    node.trigger_activate()
    spin_until(executor, lambda: texts and 'deg from up' in texts[-1])
    executor.shutdown()
    node.destroy_node()
