# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files executed up to the point where processes would start, where `launch` is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / 'launch'
BASE = 'relocalization.launch.py'


@dataclass
class Started:
    """A node that would have been started, and how."""

    package: str
    executable: str
    remappings: dict[str, str]
    arguments: list[str]


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Started]]:
    actions = pytest.importorskip('launch.actions')
    pytest.importorskip('launch_ros.actions')
    packages = pytest.importorskip('ament_index_python.packages')
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions

    started: list[Started] = []

    def record(node: Any, context: Any) -> None:
        # The program itself is looked for in packages that need not be installed.
        if not hasattr(node, 'node_package'):
            command = [perform_substitutions(context, item) for item in node.cmd]
            started.append(Started('', command[0], {}, command[1:]))
            return
        arguments = [perform_substitutions(context, item) for item in node.cmd[1:]]
        remappings = dict(node.expanded_remapping_rules or [])
        started.append(Started(node.node_package, node.node_executable, remappings, arguments))

    def visit(entity: Any, context: Any) -> None:
        for part in entity.visit(context) or ():
            visit(part, context)

    def run(name: str, **arguments: str) -> list[Started]:
        started.clear()
        source = PythonLaunchDescriptionSource(str(FOLDER / name))
        visit(
            actions.IncludeLaunchDescription(source, launch_arguments=list(arguments.items())),
            LaunchContext(),
        )
        return list(started)

    monkeypatch.setattr(packages, 'get_package_share_directory', lambda _: str(ROOT))
    monkeypatch.setattr(actions.ExecuteProcess, 'execute', record)
    return run


@pytest.mark.parametrize(
    ('name', 'arguments', 'remapping'),
    [
        (BASE, {}, {}),
        ('camera_only.launch.py', {}, {}),
        ('ekf.launch.py', {'use_ekf': 'false'}, {'~/initialpose': 'set_pose'}),
        ('nav2.launch.py', {'use_manager': 'false'}, {'~/pose': 'amcl_pose'}),
        ('nav2_amcl.launch.py', {'use_manager': 'false'}, {'~/initialpose': 'initialpose'}),
        ('rtabmap.launch.py', {}, {'~/global_pose': 'rtabmap/global_pose'}),
    ],
)
def test_starts_our_node_alone_where_nothing_else_is_installed(
    execute: Callable[..., list[Started]],
    name: str,
    arguments: dict[str, str],
    remapping: dict[str, str],
) -> None:
    (node,) = execute(name, map='42', image_topic='/camera/image_raw', **arguments)
    assert (node.package, node.executable) == ('relloc_ros', 'localization_node')
    assert node.remappings.items() >= remapping.items()
    assert node.remappings['image'] == '/camera/image_raw'
    assert node.remappings['/tf'] == 'tf'
    preset = 'relloc' if name == BASE else name.removesuffix('.launch.py')
    assert str(ROOT / 'config' / f'{preset}.yaml') in node.arguments


# What need not be installed is started first: if it is missing, launch fails with nothing running.


def test_starts_managers_of_nav2(execute: Callable[..., list[Started]]) -> None:
    names = [node.package for node in execute('nav2.launch.py', map='m', grid='g.yaml')]
    assert names == ['nav2_map_server', 'nav2_lifecycle_manager', 'relloc_ros']
    names = [node.package for node in execute('nav2_amcl.launch.py', map='m')]
    assert names == ['nav2_lifecycle_manager', 'relloc_ros']


def test_starts_the_ekf_with_our_frames(execute: Callable[..., list[Started]]) -> None:
    ekf, _ = execute('ekf.launch.py', map='m', odom_topic='/wheels', base_frame_id='body')
    assert (ekf.package, ekf.executable) == ('robot_localization', 'ekf_node')
    assert ekf.remappings['odom'] == '/wheels'
    assert ekf.remappings['/tf'] == 'tf'


def test_replay_waits_for_the_node(execute: Callable[..., list[Started]]) -> None:
    rviz, node, wait = execute('replay.launch.py', map='m', bag='b.mcap')
    assert (node.executable, rviz.executable, wait.executable) == (
        'localization_node',
        'rviz2',
        'ros2',
    )
    assert wait.arguments[:3] == ['topic', 'echo', '--once']
    node, wait = execute('replay.launch.py', map='m', bag='b.mcap', rviz='false')
    assert wait.executable == 'ros2'


def test_starts_rviz(execute: Callable[..., list[Started]]) -> None:
    names = [node.package for node in execute(BASE, map='m', rviz='true')]
    assert names == ['rviz2', 'relloc_ros']
