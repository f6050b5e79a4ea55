# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and services of the running node are those of docs/ros.md, no more and no fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import re
import time

import pytest

pytest.importorskip('rclpy')

from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_harness import StubLocalizer

from relloc_ros.ros.localization_node import LocalizationNode

PAGE = (Path(__file__).parent.parent / 'docs' / 'ros.md').read_text()
NODE, NAMESPACE = 'localization_node', '/documented'
TIMEOUT_S = 20.0

OF_EVERY_NODE = {'/parameter_events', '/rosout', '~/transition_event'}
SERVICES_OF_EVERY_NODE = {
    '~/change_state',
    '~/get_available_states',
    '~/get_available_transitions',
    '~/get_state',
    '~/get_transition_graph',
    '~/describe_parameters',
    '~/get_parameter_types',
    '~/get_parameters',
    '~/get_type_description',
    '~/list_parameters',
    '~/set_parameters',
    '~/set_parameters_atomically',
}


def documented(section: str) -> set[str]:
    table = PAGE.partition(f'\n## {section}\n')[2].partition('\n## ')[0].partition('|---')[2]
    cells = re.findall(r'^\| ([^|]*) \|', table.partition('\n\n')[0], re.MULTILINE)
    return {name for cell in cells for name in re.findall(r'`([^`]+)`', cell)}


def as_documented(name: str) -> str:
    """Write a resolved name as the page does: private, relative or absolute."""
    private, relative = f'{NAMESPACE}/{NODE}/', f'{NAMESPACE}/'
    if name.startswith(private):
        return f'~/{name.removeprefix(private)}'
    return name.removeprefix(relative)


@pytest.fixture
def node(ros: None) -> Iterator[LocalizationNode]:
    settings = {'publish_initial_pose': True, 'autostart': True}
    # A namespace of its own: nodes of tests before, of the same name, may linger in the graph.
    node = LocalizationNode(
        StubLocalizer().load,
        namespace=NAMESPACE,
        parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()],
    )
    yield node
    node.destroy_node()


def settled(node: LocalizationNode, names: Callable[[], set[str]], expected: set[str]) -> set[str]:
    """Give the names once there are those expected, or those there are when time is up."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    deadline_s = time.monotonic() + TIMEOUT_S
    while names() != expected and time.monotonic() < deadline_s:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    return names()


def test_topics_and_services(node: LocalizationNode) -> None:
    def topics() -> set[str]:
        found = [
            *node.get_publisher_names_and_types_by_node(NODE, NAMESPACE),
            *node.get_subscriber_names_and_types_by_node(NODE, NAMESPACE),
        ]
        return {as_documented(name) for name, _ in found} - OF_EVERY_NODE

    def services() -> set[str]:
        found = node.get_service_names_and_types_by_node(NODE, NAMESPACE)
        return {as_documented(name) for name, _ in found} - SERVICES_OF_EVERY_NODE

    # The bond is kept under a manager, and where its package is installed.
    # Of a rig's cameras the node has topics only where some are named; see test_ros_rig_node.py.
    of_rigs = {'NAME/image', 'NAME/camera_info'}
    expected = documented('Topics') - {'bond'} - of_rigs
    assert settled(node, topics, expected) == expected
    expected = documented('Services')
    assert settled(node, services, expected) == expected
