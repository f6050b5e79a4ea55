# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/relloc.rviz and config/relloc.foxglove.json show what the node publishes."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from ros_harness import NS, Harness, values
import yaml

CONFIG = Path(__file__).parent.parent / 'config'
NODE = 'localization_node'

DISPLAYED_TYPES = {
    'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'rviz_default_plugins/PoseWithCovariance': 'geometry_msgs/msg/PoseWithCovarianceStamped',
}
WITHOUT_TOPIC = {'rviz_default_plugins/Grid', 'rviz_default_plugins/TF'}
RELIABILITY = {
    'Reliable': ReliabilityPolicy.RELIABLE,
    'Best Effort': ReliabilityPolicy.BEST_EFFORT,
}
DURABILITY = {
    'Volatile': DurabilityPolicy.VOLATILE,
    'Transient Local': DurabilityPolicy.TRANSIENT_LOCAL,
}
PANELS = {'3D', 'Image', 'StateTransitions', 'Plot', 'DiagnosticSummary'}


@pytest.fixture(scope='module')
def displays() -> list[dict[str, Any]]:
    view = yaml.safe_load((CONFIG / 'relloc.rviz').read_text())
    found: list[dict[str, Any]] = view['Visualization Manager']['Displays']
    return found


@pytest.fixture(scope='module')
def layout() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CONFIG / 'relloc.foxglove.json').read_text())
    return found


@pytest.fixture
def harness(ros: None) -> Iterator[Harness]:
    with Harness(tf_mode='none') as harness:
        harness.start()
        yield harness


def published(harness: Harness, topic: str) -> Any:
    """Give what the node under test offers on a topic."""
    harness.spin_until(lambda: harness.node.get_publishers_info_by_topic(topic))
    return harness.node.get_publishers_info_by_topic(topic)[0]


def test_rviz_shows_all_there_is(displays: list[dict[str, Any]]) -> None:
    topics = {item['Topic']['Value'] for item in displays if 'Topic' in item}
    names = ('pose', 'debug_image', 'markers', 'map_markers')
    # Relative: RViz in the namespace of the node sees that node.
    assert topics == {f'{NODE}/{name}' for name in names}
    assert {item['Class'] for item in displays} == DISPLAYED_TYPES.keys() | WITHOUT_TOPIC
    assert all(item['Enabled'] and item['Value'] for item in displays)


def test_rviz_asks_for_no_more_than_is_offered(
    harness: Harness, displays: list[dict[str, Any]]
) -> None:
    for display in displays:
        if display['Class'] in WITHOUT_TOPIC:
            continue
        asked = display['Topic']
        offered = published(harness, f'/{asked["Value"]}')
        assert offered.topic_type == DISPLAYED_TYPES[display['Class']]
        qos = QoSProfile(
            depth=asked['Depth'],
            reliability=RELIABILITY[asked['Reliability Policy']],
            durability=DURABILITY[asked['Durability Policy']],
            liveliness=LivelinessPolicy.AUTOMATIC,
        )
        compatibility, reason = qos_check_compatible(offered.qos_profile, qos)
        assert compatibility == QoSCompatibility.OK, reason
        # What is sent once has to be asked for as what was sent before.
        assert qos.durability == offered.qos_profile.durability


def test_rviz_gives_its_pose_to_the_node(displays: list[dict[str, Any]]) -> None:
    view = yaml.safe_load((CONFIG / 'relloc.rviz').read_text())
    tools = {item['Class']: item for item in view['Visualization Manager']['Tools']}
    assert tools['rviz_default_plugins/SetInitialPose']['Topic']['Value'] == 'initialpose'
    assert view['Visualization Manager']['Global Options']['Fixed Frame'] == 'map'


def leaves(node: Any) -> list[str]:
    """Panels of a layout, from left to right."""
    if isinstance(node, str):
        return [node]
    assert node['direction'] in ('row', 'column')
    assert 0 < node['splitPercentage'] < 100
    return [*leaves(node['first']), *leaves(node['second'])]


def test_foxglove_places_each_panel_once(layout: dict[str, Any]) -> None:
    placed = leaves(layout['layout'])
    assert sorted(placed) == sorted(layout['configById'])
    assert {name.partition('!')[0] for name in placed} == PANELS
    assert layout.keys() >= {'configById', 'globalVariables', 'userNodes', 'playbackConfig'}


def test_foxglove_shows_topics_of_the_node(harness: Harness, layout: dict[str, Any]) -> None:
    panels = layout['configById']
    topics = {
        *panels['3D!map']['topics'],
        panels['Image!debug']['imageMode']['imageTopic'],
        panels['DiagnosticSummary!node']['topicToRender'],
    }
    for topic in topics:
        published(harness, topic)
    assert all(settings['visible'] for settings in panels['3D!map']['topics'].values())


def test_foxglove_plots_keys_of_the_status(harness: Harness, layout: dict[str, Any]) -> None:
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    harness.spin(0.2)
    harness.localize(NS)
    status = values(harness.robot.frames[-1].status[0])
    panels = layout['configById']
    paths = [*panels['StateTransitions!state']['paths'], *panels['Plot!frames']['paths']]
    for path in paths:
        match = re.fullmatch(
            r'(/\w+/status)\.status\[0\]\.values\[:\]\{key=="(\w+)"\}\.value', path['value']
        )
        assert match is not None
        published(harness, match[1])
        assert match[2] in status
    for path in panels['Plot!frames']['paths']:
        key = path['value'].partition('"')[2].partition('"')[0]
        float(status[key])
