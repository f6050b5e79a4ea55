# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics and services of the running node are those of docs/ros.md, no more and no fewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import re
import time

import pytest

pytest.importorskip('rclpy')

from ros_harness import Harness

PAGE = (Path(__file__).parent.parent / 'docs' / 'ros.md').read_text()
NODE = 'localization_node'
TIMEOUT_S = 10.0

OF_EVERY_NODE = {'/parameter_events', '/rosout', f'/{NODE}/transition_event'}
SERVICES_OF_EVERY_NODE = {
    'change_state',
    'get_available_states',
    'get_available_transitions',
    'get_state',
    'get_transition_graph',
    'describe_parameters',
    'get_parameter_types',
    'get_parameters',
    'get_type_description',
    'list_parameters',
    'set_parameters',
    'set_parameters_atomically',
}


def documented(section: str) -> set[str]:
    table = PAGE.partition(f'\n## {section}\n')[2].partition('\n## ')[0].partition('|---')[2]
    cells = re.findall(r'^\| ([^|]*) \|', table.partition('\n\n')[0], re.MULTILINE)
    return {name for cell in cells for name in re.findall(r'`([^`]+)`', cell)}


def as_documented(name: str) -> str:
    if name.startswith(f'/{NODE}/'):
        return f'~/{name.removeprefix(f"/{NODE}/")}'
    return name if name in {'/tf', '/tf_static', '/diagnostics'} else name.removeprefix('/')


@pytest.fixture
def harness(ros: None):
    with Harness(publish_initial_pose=True, autostart=True) as harness:
        harness.spin_until(harness.robot.images.get_subscription_count)
        yield harness


def settled(harness: Harness, names: Callable[[], set[str]], expected: set[str]) -> set[str]:
    """Give the names once discovery has found all that is expected, or all that there is."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while names() != expected and time.monotonic() < deadline_s:
        harness.spin(0.05)
    return names()


def test_topics(harness: Harness) -> None:
    node = harness.node

    def names() -> set[str]:
        found = [
            *node.get_publisher_names_and_types_by_node(NODE, '/'),
            *node.get_subscriber_names_and_types_by_node(NODE, '/'),
        ]
        return {as_documented(name) for name, _ in found if name not in OF_EVERY_NODE}

    # Under a manager, and where the package is installed.
    expected = documented('Topics') - {'bond'}
    assert settled(harness, names, expected) == expected


def test_services(harness: Harness) -> None:
    def names() -> set[str]:
        found = harness.node.get_service_names_and_types_by_node(NODE, '/')
        all_names = {as_documented(name) for name, _ in found}
        return {
            name for name in all_names if name.removeprefix('~/') not in SERVICES_OF_EVERY_NODE
        }

    expected = documented('Services')
    assert settled(harness, names, expected) == expected
