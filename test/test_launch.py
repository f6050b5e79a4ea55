# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever launch files name exists; they are read here, not executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
import re

import pytest
import typer
from typer.main import get_command

from relloc_ros.ros.parameter_file import node_parameters
from relloc_ros.ros.replay import replay

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / 'launch'
BASE = 'relocalization.launch.py'
PRESETS = ('camera_only', 'ekf', 'nav2', 'nav2_amcl', 'rtabmap')
FILES = sorted(path.name for path in FOLDER.glob('*.launch.py'))

EXECUTABLES = {
    'nav2_lifecycle_manager': {'lifecycle_manager'},
    'nav2_map_server': {'map_server'},
    'relloc_ros': {'localization_node', 'relloc'},
    'robot_localization': {'ekf_node'},
    'rviz2': {'rviz2'},
}
OTHERS_PARAMETERS = {'autostart', 'node_names', 'use_sim_time', 'yaml_filename'}

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


def tree_of(name: str) -> ast.Module:
    return ast.parse((FOLDER / name).read_text())


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def constant(node: ast.expr | None) -> str | None:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else None  # type: ignore[union-attr, return-value]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)


def first_constants(found: list[ast.Call]) -> set[str]:
    return {text for call in found if call.args and (text := constant(call.args[0]))}


def declared(name: str) -> set[str]:
    return first_constants(calls(tree_of(name), 'DeclareLaunchArgument'))


def dictionary_keys(tree: ast.AST) -> set[str]:
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    return {text for item in dictionaries for key in item.keys if (text := constant(key))}


def names_looped_over(tree: ast.AST) -> set[str]:
    loops = [node.iter for node in ast.walk(tree) if isinstance(node, ast.For)]
    tuples = [item for item in loops if isinstance(item, ast.Tuple)]
    return {text for item in tuples for element in item.elts if (text := constant(element))}


def pairs(tree: ast.AST) -> list[tuple[str, ast.expr]]:
    tuples = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple)]
    found = [(constant(node.elts[0]), node.elts[1]) for node in tuples if len(node.elts) == 2]
    return [(first, second) for first, second in found if first is not None]


def sources() -> str:
    folder = ROOT / 'relloc_ros' / 'ros'
    return ''.join(path.read_text() for path in sorted(folder.glob('*.py')))


def test_each_preset_has_a_launch_file_and_parameters() -> None:
    for preset in PRESETS:
        assert f'{preset}.launch.py' in FILES
        assert (ROOT / 'config' / f'{preset}.yaml').is_file()
    setup = (ROOT / 'setup.py').read_text()
    assert "Path('launch').glob('*.launch.py')" in setup
    assert "Path('config').glob('*.*')" in setup


def test_arguments_are_those_that_are_documented() -> None:
    assert declared(BASE) == ARGUMENTS
    page = (ROOT / 'docs' / 'ros.md').read_text()
    for argument in ARGUMENTS:
        assert f'`{argument}`' in page


@pytest.mark.parametrize('name', FILES)
def test_arguments_say_what_they_are_for_and_are_read(name: str) -> None:
    tree = tree_of(name)
    for call in calls(tree, 'DeclareLaunchArgument'):
        assert keyword(call, 'description') is not None
    read = first_constants(calls(tree, 'LaunchConfiguration', '_text')) | names_looped_over(tree)
    passed_on = ARGUMENTS if calls(tree, 'IncludeLaunchDescription') else set()
    # A variable as the name of an argument: then a dictionary has the names.
    read |= dictionary_keys(tree) & declared(name)
    assert read <= declared(name)
    assert declared(name) <= read | passed_on


@pytest.mark.parametrize('name', FILES)
def test_only_the_map_is_required(name: str) -> None:
    found = calls(tree_of(name), 'DeclareLaunchArgument')
    required = [call for call in found if keyword(call, 'default_value') is None]
    assert first_constants(required) <= {'map', 'bag'}


@pytest.mark.parametrize('name', FILES)
def test_files_exist(name: str) -> None:
    joined = re.findall(r"SHARE / '(\w+)' / '([^']+)'", (FOLDER / name).read_text())
    assert joined
    for folder, file in joined:
        assert (ROOT / folder / file).is_file()


@pytest.mark.parametrize('preset', PRESETS)
def test_presets_start_the_one_launch_file_with_their_parameters(preset: str) -> None:
    tree = tree_of(f'{preset}.launch.py')
    (include,) = calls(tree, 'IncludeLaunchDescription')
    assert BASE in ast.unparse(include)
    assert {name for name, _ in pairs(include)} == {'map'}
    default = next(
        keyword(call, 'default_value')
        for call in calls(tree, 'DeclareLaunchArgument')
        if constant(call.args[0]) == 'params_file'
    )
    assert default is not None
    assert f"'{preset}.yaml'" in ast.unparse(default)


@pytest.mark.parametrize('name', FILES)
def test_executables_exist(name: str) -> None:
    started = [
        (constant(keyword(call, 'package')), constant(keyword(call, 'executable')))
        for call in calls(tree_of(name), 'Node')
    ]
    started += [
        (constant(call.args[0]), constant(call.args[1])) for call in calls(tree_of(name), '_node')
    ]
    for package, executable in started:
        if package is not None:
            assert executable in EXECUTABLES[package]


def test_our_executable_is_installed_under_its_name() -> None:
    setup = (ROOT / 'setup.py').read_text()
    assert "'localization_node = relloc_ros.ros.localization_node:main'" in setup
    assert "NODE_NAME = 'localization_node'" in sources()
    (node,) = [
        call
        for call in calls(tree_of(BASE), 'Node')
        if constant(keyword(call, 'executable')) == 'localization_node'
    ]
    assert constant(keyword(node, 'name')) == 'localization_node'


def test_parameters_exist() -> None:
    tree = tree_of(BASE)
    named = dictionary_keys(tree) | names_looped_over(tree)
    assert {'map_path', 'autostart'} <= named
    assert named <= {*node_parameters(), 'use_sim_time'}
    for name in ('nav2.launch.py', 'nav2_amcl.launch.py'):
        assert dictionary_keys(tree_of(name)) <= OTHERS_PARAMETERS


@pytest.mark.parametrize('name', FILES)
def test_remapped_topics_are_those_of_the_node(name: str) -> None:
    tree = tree_of(name)
    topics = first_constants(calls(tree, 'SetRemap'))
    for call in calls(tree, 'Node'):
        remappings = keyword(call, 'remappings')
        topics |= {first for first, _ in pairs(remappings)} if remappings is not None else set()
    if name == BASE:
        assert {'image', 'camera_info'} <= topics
    assert topics <= documented_topics() | {'odom'}


def test_replay_plays_with_a_clock_once_the_node_is_active() -> None:
    tree = tree_of('replay.launch.py')
    assert declared('replay.launch.py') == {'map', 'bag', 'rate', 'rviz'}
    (include,) = calls(tree, 'IncludeLaunchDescription')
    assert BASE in ast.unparse(include)
    passed_on = dict(pairs(include))
    assert passed_on.keys() == {'map', 'rviz', 'use_sim_time'}
    assert constant(passed_on['use_sim_time']) == 'true'
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # What is waited for is sent on activation, and kept.
    assert {'/localization_node/map_markers', 'visualization_msgs/msg/MarkerArray'} <= texts
    assert "'~/map_markers', MAP_QOS" in sources()
    app = typer.Typer()
    app.command()(replay)
    options = {option for item in get_command(app).params for option in item.opts}
    assert {'--clock', '--rate'} <= texts & options


def documented_topics() -> set[str]:
    page = (ROOT / 'docs' / 'ros.md').read_text()
    table = page.partition('## Topics')[2].partition('##')[0]
    cells = re.findall(r'^\| ([^|]*) \|', table, re.MULTILINE)
    return {topic for cell in cells for topic in re.findall(r'`([^`]+)`', cell)}


def test_view_shows_topics_of_the_node() -> None:
    text = (ROOT / 'config' / 'relloc.rviz').read_text()
    assert 'Fixed Frame: map' in text
    assert re.search(r'Value: localization_node/pose\b', text)


def documented_commands() -> Iterator[tuple[Path, str, str]]:
    for page in (ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))):
        text = page.read_text().replace('\\\n', ' ')
        for line in re.findall(r'ros2 launch relloc_ros ([^\n`]+)', text):
            yield page, line.split()[0], line


def test_documented_commands_are_possible() -> None:
    commands = list(documented_commands())
    assert {name for _, name, _ in commands} >= {f'{preset}.launch.py' for preset in PRESETS}
    for page, name, line in commands:
        assert name in FILES, page
        given = set(re.findall(r'(\w+):=', line))
        assert given <= declared(name) | ARGUMENTS, (page, line)
