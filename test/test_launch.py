# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the launch file names exists; where `launch` is installed, it is executed."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
import re
from typing import Any

import pytest
import yaml

from relloc_ros.ros.parameter_file import node_parameters

ROOT = Path(__file__).parent.parent
LAUNCH_FILE = ROOT / 'launch' / 'relocalization.launch.py'

ARGUMENTS = {
    'map',
    'params_file',
    'namespace',
    'use_sim_time',
    'autostart',
    'rviz',
    'image_topic',
    'camera_info_topic',
    'image_transport',
    'base_frame_id',
    'odom_frame_id',
    'log_level',
    'use_respawn',
}


@pytest.fixture(scope='module')
def tree() -> ast.Module:
    return ast.parse(LAUNCH_FILE.read_text())


def calls(tree: ast.Module, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def keyword(call: ast.Call, name: str) -> Any:
    """Give the constant a keyword argument is set to, None if it is none or not set."""
    values = [item.value for item in call.keywords if item.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def first_constants(found: list[ast.Call]) -> list[str]:
    return [
        call.args[0].value
        for call in found
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    ]


def dictionary_keys(tree: ast.Module) -> set[str]:
    return {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }


def names_looped_over(tree: ast.Module) -> set[str]:
    return {
        item.value
        for node in ast.walk(tree)
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple)
        for item in node.iter.elts
        if isinstance(item, ast.Constant)
    }


def test_arguments_are_those_that_are_documented(tree: ast.Module) -> None:
    declared = calls(tree, 'DeclareLaunchArgument')
    assert set(first_constants(declared)) == ARGUMENTS
    for call in declared:
        assert any(item.arg == 'description' for item in call.keywords)
    required = [
        call for call in declared if not any(item.arg == 'default_value' for item in call.keywords)
    ]
    assert first_constants(required) == ['map']


def test_arguments_read_are_declared_and_all_are_read(tree: ast.Module) -> None:
    read = {*first_constants(calls(tree, 'LaunchConfiguration')), *names_looped_over(tree)}
    read |= set(first_constants(calls(tree, '_text')))
    assert read == ARGUMENTS


def test_parameters_exist(tree: ast.Module) -> None:
    named = dictionary_keys(tree) | names_looped_over(tree)
    assert {'map_path', 'autostart'} <= named
    assert named <= {*node_parameters(), 'use_sim_time'}


def test_files_exist_and_are_installed(tree: ast.Module) -> None:
    parts = [
        node.right.value
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.right, ast.Constant)
    ]
    assert sorted(set(parts)) == ['config', 'relloc.rviz', 'relloc.yaml']
    for name in ('relloc.rviz', 'relloc.yaml'):
        yaml.safe_load((ROOT / 'config' / name).read_text())
    setup = (ROOT / 'setup.py').read_text()
    assert "Path('launch').glob('*.launch.py')" in setup
    assert "Path('config').glob('*.*')" in setup


def test_executable_and_node_name_exist(tree: ast.Module) -> None:
    nodes = {keyword(call, 'executable'): call for call in calls(tree, 'Node')}
    assert set(nodes) == {'localization_node', 'rviz2'}
    assert keyword(nodes['localization_node'], 'name') == 'localization_node'
    setup = (ROOT / 'setup.py').read_text()
    assert "'localization_node = relloc_ros.ros.localization_node:main'" in setup
    node = (ROOT / 'relloc_ros' / 'ros' / 'localization_node.py').read_text()
    assert "NODE_NAME = 'localization_node'" in node
    assert 'def main(' in node


def test_remapped_topics_are_those_of_the_node(tree: ast.Module) -> None:
    pairs = {
        node.elts[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple)
        and len(node.elts) == 2
        and isinstance(node.elts[0], ast.Constant)
        and isinstance(node.elts[0].value, str)
    }
    assert pairs == {'image', 'camera_info', '/tf', '/tf_static'}
    session = (ROOT / 'relloc_ros' / 'ros' / 'session.py').read_text()
    for topic in pairs:
        assert f"'{topic}'" in session


def test_view_shows_topics_of_the_node() -> None:
    text = (ROOT / 'config' / 'relloc.rviz').read_text()
    assert 'Fixed Frame: map' in text
    assert re.search(r'Value: localization_node/pose\b', text)


def test_executes(monkeypatch: pytest.MonkeyPatch) -> None:
    launch_actions = pytest.importorskip('launch.actions')
    pytest.importorskip('launch_ros.actions')
    packages = pytest.importorskip('ament_index_python.packages')
    from launch import LaunchContext

    monkeypatch.setattr(packages, 'get_package_share_directory', lambda _: str(ROOT))
    spec = importlib.util.spec_from_file_location('relocalization_launch', LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    assert {item.name for item in description.get_launch_arguments()} == ARGUMENTS
    context = LaunchContext()
    context.launch_configurations['map'] = '42'
    for entity in description.entities:
        if isinstance(entity, launch_actions.DeclareLaunchArgument):
            entity.visit(context)
    (function,) = (
        item for item in description.entities if isinstance(item, launch_actions.OpaqueFunction)
    )
    (node,) = function.execute(context)
    assert (node.node_package, node.node_executable) == ('relloc_ros', 'localization_node')
