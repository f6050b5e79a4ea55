# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fuse the poses of this node with odometry in robot_localization's EKF.

ros2 launch relloc_ros ekf.launch.py map:=/path/to/map image_topic:=/camera/image_raw \
    odom_topic:=/odom

All arguments of relocalization.launch.py are taken.
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
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, SetRemap
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory('relloc_ros'))
SWITCH = ['true', 'false']

FRAMES = {'base_frame_id': 'base_link_frame', 'odom_frame_id': 'odom_frame'}
"""Arguments and what the EKF calls them."""


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map.'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'ekf.yaml'),
                description='Parameter file of this node; the arguments here win over it.',
            ),
            DeclareLaunchArgument(
                'ekf_params_file',
                default_value=str(SHARE / 'config' / 'robot_localization.yaml'),
                description='Parameter file of the EKF; the arguments here win over it.',
            ),
            DeclareLaunchArgument(
                'use_ekf',
                default_value='true',
                choices=SWITCH,
                description='Start the EKF; false if it runs already.',
            ),
            DeclareLaunchArgument(
                'odom_topic', default_value='odom', description='Odometry, nav_msgs/Odometry.'
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Of the nodes.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', choices=SWITCH, description='Use /clock.'
            ),
            DeclareLaunchArgument(
                'base_frame_id', default_value='', description='Robot frame, of both nodes.'
            ),
            DeclareLaunchArgument(
                'odom_frame_id', default_value='', description='Odometry frame, of both nodes.'
            ),
            # First: where its package is missing, launch fails with nothing left running.
            OpaqueFunction(
                condition=IfCondition(LaunchConfiguration('use_ekf')), function=_start_ekf
            ),
            GroupAction(
                [
                    SetRemap('~/initialpose', 'set_pose'),
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


def _start_ekf(context: LaunchContext) -> list[Node]:
    use_sim_time = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    parameters: dict[str, object] = {'use_sim_time': use_sim_time}
    for argument, parameter in FRAMES.items():
        if LaunchConfiguration(argument).perform(context):
            parameters[parameter] = ParameterValue(LaunchConfiguration(argument), value_type=str)
    return [
        Node(
            package='robot_localization',
            executable='ekf_node',
            name='ekf_filter_node',
            namespace=LaunchConfiguration('namespace'),
            parameters=[LaunchConfiguration('ekf_params_file'), parameters],
            remappings=[
                ('odom', LaunchConfiguration('odom_topic')),
                ('/tf', 'tf'),
                ('/tf_static', 'tf_static'),
            ],
            output='screen',
        )
    ]
