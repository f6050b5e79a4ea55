# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The house of docs/architecture.md: imports go down, ROS stays in ros/, the import is light."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'relloc_ros'

FLOORS = {
    '__init__': 0,
    'geometry': 0,
    'similarity': 0,
    'camera': 0,
    'structures': 0,
    'config': 0,
    'config_schema': 0,
    'localizer_config': 0,
    'node_config': 0,
    'tracking_config': 0,
    'training_config': 0,
    'errors': 0,
    'yaml_text': 0,
    'allocation': 0,
    'parallel': 0,
    'dask_pool': 1,
    'transform_history': 1,
    'frames': 1,
    'camera_info': 1,
    'image_decoding': 1,
    'jpeg': 1,
    'vision': 1,
    'bags': 2,
    'map': 2,
    'synthetic': 2,
    'networks': 2,
    'localizers': 3,
    'pipeline': 4,
    'confidence': 4,
    'gating': 4,
    'wrong_camera': 4,
    'tracker': 4,
    'pose_graph': 4,
    'virtual_rig': 4,
    'verdict': 4,
    'innovation': 4,
    'odometer': 4,
    'correction': 4,
    'given_pose': 4,
    'match_drawing': 4,
    'picture_text': 4,
    'scene_shapes': 4,
    'evaluation': 5,
    'analysis': 5,
    'cli': 5,
    'ros': 5,
}

FRONT_DOORS = {
    # what each part of the top floor may take from that floor
    'evaluation': {'evaluation'},
    'analysis': {'analysis', 'evaluation'},
    'cli': {'cli', 'evaluation', 'analysis'},
    'ros': {'ros'},
}

ROS_MODULES = (
    'rclpy',
    'tf2_ros',
    'tf2_py',
    'cv_bridge',
    'launch',
    'launch_ros',
    'ament_index_python',
    'action_msgs',
    'builtin_interfaces',
    'diagnostic_msgs',
    'geometry_msgs',
    'lifecycle_msgs',
    'nav_msgs',
    'rcl_interfaces',
    'rosgraph_msgs',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
    'visualization_msgs',
)

HEAVY_MODULES = (
    'torch',
    'matplotlib',
    'faiss',
    'cv2',
    'pycolmap',
    'scipy',
    'rosbags',
    'distributed',
    'lightning_fabric',
    'safetensors',
)

FILES = sorted(PACKAGE.rglob('*.py'))


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


def imported_modules(path):
    """Full names of everything a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            yield node.module
            if node.module == 'relloc_ros':
                yield from (f'relloc_ros.{alias.name}' for alias in node.names)


def own_parts(path):
    """Parts of the package that a file imports."""
    for module in imported_modules(path):
        names = module.split('.')
        # `from relloc_ros import __version__` asks the package itself.
        if names[0] == 'relloc_ros' and len(names) > 1 and not names[1].startswith('__'):
            yield names[1]


def ids(path):
    return str(path.relative_to(PACKAGE))


def test_every_part_has_a_floor():
    parts = {part_of(path) for path in FILES}
    assert parts - FLOORS.keys() == set(), 'give the new part a floor here and on the page'
    page = (ROOT / 'docs' / 'architecture.md').read_text('utf-8')
    assert [part for part in parts - {'__init__'} if part not in page] == []


@pytest.mark.parametrize('path', FILES, ids=ids)
def test_imports_go_down(path):
    part = part_of(path)
    for other in own_parts(path):
        assert FLOORS[other] <= FLOORS[part], f'{part} imports {other}, which is above it'
        if FLOORS[other] == max(FLOORS.values()):
            assert other in FRONT_DOORS[part], f'{part} must not import {other}'


@pytest.mark.parametrize('path', FILES, ids=ids)
def test_only_ros_imports_ros(path):
    if part_of(path) != 'ros':
        taken = {module.split('.')[0] for module in imported_modules(path)}
        assert taken.isdisjoint(ROS_MODULES)


@pytest.mark.parametrize('path', FILES, ids=ids)
def test_only_front_doors_print_and_exit(path):
    if part_of(path) in ('cli', 'ros'):
        return
    for node in ast.walk(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ('print', 'exit', 'quit', 'sys.exit', 'os._exit')


def run_python(script):
    return subprocess.run(
        [sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_everything_but_ros_imports_without_ros():
    modules = [
        '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        for path in FILES
        if part_of(path) != 'ros'
        and (find_spec('torch') is not None or part_of(path) != 'networks')
    ]
    script = f"""
import importlib, sys
for name in {ROS_MODULES!r}:
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
"""
    result = run_python(script)
    assert result.returncode == 0, result.stderr


def test_importing_the_package_is_light():
    script = f"""
import relloc_ros, sys
print([name for name in {HEAVY_MODULES!r} if name in sys.modules])
"""
    assert run_python(script).stdout.strip() == '[]'


def test_asking_for_help_is_light():
    script = f"""
import sys
from relloc_ros.cli.main import main
try:
    main(['evaluate', '--help'])
except SystemExit:
    pass
print([name for name in {HEAVY_MODULES!r} if name in sys.modules])
"""
    assert run_python(script).stdout.strip().endswith('[]')


def test_importing_adds_no_log_handler():
    script = """
import logging
import relloc_ros.pipeline, relloc_ros.evaluation.run, relloc_ros.cli.main
print(logging.getLogger().handlers)
"""
    assert run_python(script).stdout.strip() == '[]'
