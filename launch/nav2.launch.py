# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nav2 without AMCL: this node is the localizer.

ros2 launch relloc_ros nav2.launch.py map:=/path/to/map image_topic:=/camera/image_raw \
    grid:=/path/to/grid.yaml

The rest of Nav2 is started by its navigation_launch.py. All arguments of relocalization.launch.py
are taken.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, SetRemap
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory('relloc_ros'))
SWITCH = ['true', 'false']


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map of images.'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'nav2.yaml'),
                description='Parameter file; the arguments here win over it.',
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Of the nodes.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', choices=SWITCH, description='Use /clock.'
            ),
            DeclareLaunchArgument(
                'grid',
                default_value='',
                description="Occupancy grid (YAML) for Nav2's map_server; empty starts none.",
            ),
            DeclareLaunchArgument(
                'use_manager',
                default_value='true',
                choices=SWITCH,
                description="Start a lifecycle manager of Nav2's for this node and map_server.",
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='false',
                choices=SWITCH,
                description='The node starts itself; not with a manager.',
            ),
            # First: where its package is missing, launch fails with nothing left running.
            OpaqueFunction(function=_start_nodes_of_nav2),
            GroupAction(
                [
                    SetRemap('~/pose', 'amcl_pose'),
                    IncludeLaunchDescription(
                        PythonLaunchDescriptionSource(
                            str(SHARE / 'launch' / 'relocalization.launch.py')
                        ),
                        launch_arguments=[('map', LaunchConfiguration('map'))],
                    ),
                ]
            ),
        ]
    )


def _start_nodes_of_nav2(context: LaunchContext) -> list[Node]:
    names, nodes = ['localization_node'], []
    if LaunchConfiguration('grid').perform(context):
        names.insert(0, 'map_server')
        grid = ParameterValue(LaunchConfiguration('grid'), value_type=str)
        nodes.append(_node('nav2_map_server', 'map_server', 'map_server', {'yaml_filename': grid}))
    if LaunchConfiguration('use_manager').perform(context) == 'true':
        parameters = {'autostart': True, 'node_names': names}
        # The name by which Nav2's tools look for it.
        name = 'lifecycle_manager_localization'
        nodes.append(_node('nav2_lifecycle_manager', 'lifecycle_manager', name, parameters))
    return nodes


def _node(package: str, executable: str, name: str, parameters: dict[str, object]) -> Node:
    use_sim_time = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    return Node(
        package=package,
        executable=executable,
        name=name,
        namespace=LaunchConfiguration('namespace'),
        parameters=[{'use_sim_time': use_sim_time, **parameters}],
        output='screen',
    )
