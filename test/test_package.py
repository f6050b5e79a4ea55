# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pip, rosdep and colcon are told agrees with what the package is."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path
import re
import runpy
import sys
import types
from typing import Any
from xml.etree import ElementTree

import pytest

import relloc_ros

ROOT = Path(__file__).parents[1]

ROSDEP_KEYS = {
    'ament_index_python',
    'builtin_interfaces',
    'cv_bridge',
    'diagnostic_msgs',
    'geometry_msgs',
    'launch',
    'launch_ros',
    'lifecycle_msgs',
    'nav_msgs',
    'python3-numpy',
    'python3-opencv',
    'python3-pytest',
    'python3-scipy',
    'python3-transforms3d',
    'python3-yaml',
    'rcl_interfaces',
    'rclpy',
    'rosgraph_msgs',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
    'tf2_ros_py',
    'visualization_msgs',
}
"""ROS packages of every supported distribution, and system packages that rosdep knows."""

PROVIDERS = {
    'cv2': 'opencv-python-headless',
    'efficientnet_lite_pytorch': 'efficientnet-lite-pytorch',
    'lightning_fabric': 'lightning-fabric',
    'tf2_ros': 'tf2_ros_py',
    'yaml': 'pyyaml',
}
"""What provides a module of another name."""

OPTIONAL = {'bond', 'faiss'}
"""Used where it is installed, in no extra."""


@pytest.fixture(scope='module')
def setup_arguments() -> dict[str, Any]:
    """Give what setup.py passes to setuptools, which need not be installed."""
    arguments: dict[str, Any] = {}
    setuptools = types.ModuleType('setuptools')
    setuptools.setup = arguments.update  # type: ignore[attr-defined]
    setuptools.find_packages = lambda **_: []  # type: ignore[attr-defined]
    setuptools.Extension = lambda *_, **__: None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'setuptools', setuptools)
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / 'setup.py'))
    return arguments


@pytest.fixture(scope='module')
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def distribution(requirement: str) -> str:
    return re.split(r'[<>=!~\[; ]', requirement, maxsplit=1)[0].lower()


def imported_modules(paths: list[Path]) -> set[str]:
    """Give the top-level modules that these files import and that come with neither."""
    names = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add((node.module or '').partition('.')[0])
    return names - set(sys.stdlib_module_names) - {'relloc_ros'}


def test_name_and_version_agree(
    setup_arguments: dict[str, Any], manifest: ElementTree.Element
) -> None:
    assert setup_arguments['name'] == manifest.findtext('name') == 'relloc_ros'
    assert setup_arguments['version'] == manifest.findtext('version') == relloc_ros.__version__
    assert setup_arguments['license'] == manifest.findtext('license') == 'Apache-2.0'
    newest = re.search(r'^(\d+\.\d+\.\d+) \(', (ROOT / 'CHANGELOG.rst').read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == relloc_ros.__version__


def test_manifest_is_of_format_3_for_ament_python(manifest: ElementTree.Element) -> None:
    assert manifest.get('format') == '3'
    assert manifest.findtext('export/build_type') == 'ament_python'


def test_manifest_has_only_keys_that_rosdep_resolves(manifest: ElementTree.Element) -> None:
    keys = [item.text for item in manifest if item.tag.endswith('depend')]
    assert len(keys) == len(set(keys))
    assert set(keys) <= ROSDEP_KEYS


def test_every_import_is_declared(
    setup_arguments: dict[str, Any], manifest: ElementTree.Element
) -> None:
    from_pip = {distribution(item) for item in setup_arguments['install_requires']}
    from_extras = {
        distribution(item)
        for name in ('fusion', 'learn', 'learned', 'report', 'scale', 'view')
        for item in setup_arguments['extras_require'][name]
    }
    from_ros = {item.text for item in manifest.iter('exec_depend')}
    sources = sorted((ROOT / 'relloc_ros').rglob('*.py'))
    front = [path for path in sources if path.parent.name == 'ros']
    rest = [path for path in sources if path.parent.name != 'ros']

    def undeclared(paths: list[Path], declared: set[str | None]) -> set[str]:
        return {
            name
            for name in imported_modules(paths) - OPTIONAL
            if PROVIDERS.get(name, name) not in declared
        }

    assert undeclared(rest, from_pip | from_extras) == set()
    launch_files = list((ROOT / 'launch').glob('*.py'))
    assert undeclared([*front, *launch_files], from_pip | from_ros) == set()


def test_pip_packages_that_rosdep_knows_are_in_the_manifest(
    setup_arguments: dict[str, Any], manifest: ElementTree.Element
) -> None:
    from_ros = {item.text for item in manifest.iter('exec_depend')}
    for module in ('cv2', 'numpy', 'scipy', 'transforms3d', 'yaml'):
        names = {distribution(item) for item in setup_arguments['install_requires']}
        assert PROVIDERS.get(module, module) in names
        assert f'python3-{"opencv" if module == "cv2" else module}' in from_ros


def test_core_needs_neither_ros_nor_torch(setup_arguments: dict[str, Any]) -> None:
    names = {distribution(item) for item in setup_arguments['install_requires']}
    assert not [name for name in names if name.startswith('ros-')]
    assert not names & {'torch', 'torchvision', 'matplotlib', 'faiss-cpu', 'evo'}


def test_installed_files_exist(setup_arguments: dict[str, Any]) -> None:
    installed = {
        f'{folder}/{Path(name).name}'
        for folder, names in setup_arguments['data_files']
        for name in names
    }
    missing = [
        name
        for _, names in setup_arguments['data_files']
        for name in names
        if not (ROOT / name).is_file()
    ]
    assert missing == []
    assert {
        'share/ament_index/resource_index/packages/relloc_ros',
        'share/relloc_ros/package.xml',
        'share/relloc_ros/launch/relocalization.launch.py',
        'share/relloc_ros/config/relloc.yaml',
        'share/relloc_ros/config/relloc.rviz',
    } <= installed


def test_entry_points_lead_to_functions(setup_arguments: dict[str, Any]) -> None:
    entries = [item for items in setup_arguments['entry_points'].values() for item in items]
    assert len(entries) == 3
    for entry in entries:
        module, _, name = entry.partition(' = ')[2].partition(':')
        if '.localization_node' in module and importlib.util.find_spec('rclpy') is None:
            continue
        assert callable(getattr(importlib.import_module(module), name))


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / 'relloc_ros').rglob('*.py')}
    assert [folder for folder in folders if not (folder / '__init__.py').is_file()] == []


def test_every_source_file_names_its_licence() -> None:
    folders = ('relloc_ros', 'test', 'scripts', 'launch', 'benchmarks', '.ci')
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.suffix in {'.py', '.sh'} or path.name == 'run'
    ]
    assert len(files) > 50
    without = [path for path in files if 'SPDX-License-Identifier: Apache-2.0' not in head(path)]
    assert without == []


def head(path: Path) -> str:
    return ''.join(path.read_text().splitlines(keepends=True)[:4])
