# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the localization node, and RViz if asked.

ros2 launch relloc_ros relocalization.launch.py map:=/path/to/map image_topic:=/camera/image_raw
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'relloc_ros'
SHARE = Path(get_package_share_directory(PACKAGE))

FROM_FILE = 'empty takes it from params_file'
SWITCH = ['true', 'false']

TF_REMAPPINGS = [('/tf', 'tf'), ('/tf_static', 'tf_static')]
"""TF is published on absolute names: this puts it into the namespace, as Nav2 does."""


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map.'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'relloc.yaml'),
                description='Parameter file; the arguments here win over it.',
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Of the node.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', choices=SWITCH, description='Use /clock.'
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='true',
                choices=SWITCH,
                description='Configure and activate; false for a lifecycle manager.',
            ),
            DeclareLaunchArgument(
                'rviz', default_value='false', choices=SWITCH, description='Start RViz.'
            ),
            DeclareLaunchArgument(
                'image_topic', default_value='image', description='Raw image, or its base name.'
            ),
            DeclareLaunchArgument(
                'camera_info_topic', default_value='camera_info', description='Of that camera.'
            ),
            DeclareLaunchArgument(
                'image_transport', default_value='', description=f'raw, compressed; {FROM_FILE}.'
            ),
            DeclareLaunchArgument(
                'base_frame_id', default_value='', description=f'Robot frame; {FROM_FILE}.'
            ),
            DeclareLaunchArgument(
                'odom_frame_id', default_value='', description=f'Odometry frame; {FROM_FILE}.'
            ),
            DeclareLaunchArgument('log_level', default_value='info', description='Of the node.'),
            DeclareLaunchArgument(
                'use_respawn',
                default_value='false',
                choices=SWITCH,
                description='Start the node again if it dies.',
            ),
            # First: where its package is missing, launch fails with nothing left running.
            Node(
                condition=IfCondition(LaunchConfiguration('rviz')),
                package='rviz2',
                executable='rviz2',
                namespace=LaunchConfiguration('namespace'),
                arguments=['-d', str(SHARE / 'config' / 'relloc.rviz')],
                parameters=[{'use_sim_time': LaunchConfiguration('use_sim_time')}],
                remappings=TF_REMAPPINGS,
            ),
            OpaqueFunction(function=_start_node),
        ]
    )


def _start_node(context: LaunchContext) -> list[Node]:
    parameters: dict[str, Any] = {
        'map_path': _text('map'),
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
        'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
    }
    for name in ('image_transport', 'base_frame_id', 'odom_frame_id'):
        if LaunchConfiguration(name).perform(context):
            parameters[name] = _text(name)
    return [
        Node(
            package=PACKAGE,
            executable='localization_node',
            name='localization_node',
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('params_file'), parameters],
            remappings=[
                ('image', LaunchConfiguration('image_topic')),
                ('camera_info', LaunchConfiguration('camera_info_topic')),
                *TF_REMAPPINGS,
            ],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen',
            respawn=LaunchConfiguration('use_respawn').perform(context) == 'true',
            respawn_delay=2.0,
        )
    ]


def _text(argument: str) -> ParameterValue:
    """Take an argument as text, even if it looks like a number."""
    return ParameterValue(LaunchConfiguration(argument), value_type=str)
