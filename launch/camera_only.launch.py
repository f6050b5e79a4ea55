# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize a camera, or a robot, without odometry: the node broadcasts map to base.

ros2 launch relloc_ros camera_only.launch.py map:=/path/to/map image_topic:=/camera/image_raw

All arguments of relocalization.launch.py are taken.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

SHARE = Path(get_package_share_directory('relloc_ros'))


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map.'),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(SHARE / 'config' / 'camera_only.yaml'),
                description='Parameter file; the arguments here win over it.',
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'relocalization.launch.py')),
                launch_arguments=[('map', LaunchConfiguration('map'))],
            ),
        ]
    )
