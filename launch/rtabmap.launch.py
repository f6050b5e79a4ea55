# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Give RTAB-Map the poses of this node as priors of its graph.

ros2 launch relloc_ros rtabmap.launch.py map:=/path/to/map image_topic:=/camera/image_raw

RTAB-Map is started by its own launch files, with Optimizer/PriorsIgnored false. All arguments of
relocalization.launch.py are taken.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetRemap

SHARE = Path(get_package_share_directory('relloc_ros'))


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map.'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'rtabmap.yaml'),
                description='Parameter file; the arguments here win over it.',
            ),
            DeclareLaunchArgument(
                'global_pose_topic',
                default_value='rtabmap/global_pose',
                description='Topic global_pose of the node rtabmap, which has a namespace.',
            ),
            GroupAction(
                [
                    SetRemap('~/global_pose', LaunchConfiguration('global_pose_topic')),
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
