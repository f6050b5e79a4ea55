# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map is changed while a node has it open, which works on and takes the change when asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import shutil

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('std_srvs')

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_process import call
from std_srvs.srv import Trigger

from relloc_ros.map.check import map_info
from relloc_ros.map.editing import add_images, remove_images
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.ros.localization_node import LocalizationNode

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'


@pytest.fixture
def caller(ros: None) -> Iterator[Node]:
    """Somebody who calls services."""
    caller = Node('caller')
    yield caller
    caller.destroy_node()


def generations(path: Path) -> list[str]:
    return sorted(folder.name for folder in (path / 'generations').iterdir())


def test_a_node_takes_the_change_when_asked(
    caller: Node, office_map: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(office_map, tmp_path / 'map', symlinks=True))
    node = LocalizationNode(parameter_overrides=[Parameter('map_path', value=str(path))])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(caller)
    client = caller.create_client(Trigger, '/localization_node/reload_map')
    node.trigger_configure()
    node.trigger_activate()
    (first,) = generations(path)

    with ReferenceMap.open(path) as reference_map:
        names = reference_map.image_names
    remove_images(path, names[:2])
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt')
    add_images(path, [image for image in posed if image.name == names[0]])
    # The node still reads the state it has opened; nobody read the one between.
    assert len(generations(path)) == 2
    assert first in generations(path)

    answer = call(executor, client, Trigger.Request())
    assert answer.success
    assert answer.message == map_info(path)['map_id']
    remove_images(path, names[2:3])
    assert first not in generations(path)
    executor.shutdown()
    node.destroy_node()
