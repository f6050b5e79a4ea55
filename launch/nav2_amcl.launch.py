# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nav2 with AMCL: tell AMCL where the robot is, at start and after it was carried away.

ros2 launch relloc_ros nav2_amcl.launch.py map:=/path/to/map image_topic:=/camera/image_raw

Nav2, with AMCL, is started by its own launch files. All arguments of relocalization.launch.py are
taken.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
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
                default_value=str(SHARE / 'config' / 'nav2_amcl.yaml'),
                description='Parameter file; the arguments here win over it.',
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Of the nodes.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', choices=SWITCH, description='Use /clock.'
            ),
            DeclareLaunchArgument(
                'use_manager',
                default_value='true',
                choices=SWITCH,
                description="Start a lifecycle manager of Nav2's for this node.",
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='false',
                choices=SWITCH,
                description='The node starts itself; not with a manager.',
            ),
            # First: where its package is missing, launch fails with nothing left running.
            Node(
                condition=IfCondition(LaunchConfiguration('use_manager')),
                package='nav2_lifecycle_manager',
                executable='lifecycle_manager',
                # AMCL has lifecycle_manager_localization.
                name='lifecycle_manager_relocalization',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    {
                        'use_sim_time': ParameterValue(
                            LaunchConfiguration('use_sim_time'), value_type=bool
                        ),
                        'autostart': True,
                        'node_names': ['localization_node'],
                    }
                ],
                output='screen',
            ),
            GroupAction(
                [
                    SetRemap('~/initialpose', 'initialpose'),
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
