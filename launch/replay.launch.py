# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag to the localization node, and watch it in RViz.

ros2 launch relloc_ros replay.launch.py bag:=/path/to/bag map:=/path/to/map \
    image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info

All arguments of relocalization.launch.py are taken. The bag starts as soon as the node is active.
"""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

PACKAGE = 'relloc_ros'
SHARE = Path(get_package_share_directory(PACKAGE))

LATCHED = ['--qos-reliability', 'reliable', '--qos-durability', 'transient_local']


def generate_launch_description() -> LaunchDescription:
    """List the arguments and what is started."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('map', description='Folder of the map.'),
            DeclareLaunchArgument('bag', description='ROS 2 folder, .mcap, .db3, or ROS 1 .bag.'),
            DeclareLaunchArgument(
                'rate', default_value='1.0', description='Speed; 2.0 is twice as fast.'
            ),
            DeclareLaunchArgument(
                'rviz', default_value='true', choices=['true', 'false'], description='Start RViz.'
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'relocalization.launch.py')),
                launch_arguments=[
                    ('map', LaunchConfiguration('map')),
                    ('rviz', LaunchConfiguration('rviz')),
                    ('use_sim_time', 'true'),
                ],
            ),
            OpaqueFunction(function=_play_when_active),
        ]
    )


def _play_when_active(context: LaunchContext) -> list[RegisterEventHandler | ExecuteProcess]:
    bag = LaunchConfiguration('bag').perform(context)
    rate = LaunchConfiguration('rate').perform(context)
    play = ExecuteProcess(cmd=[*_player(bag), bag, '--clock', '--rate', rate], output='screen')
    # The markers of the map are sent on activation and kept for whoever comes later.
    wait = ExecuteProcess(
        cmd=[
            *('ros2', 'topic', 'echo', '--once', *LATCHED, '--no-arr'),
            '/localization_node/map_markers',
            'visualization_msgs/msg/MarkerArray',
        ],
        output='log',
    )
    return [RegisterEventHandler(OnProcessExit(target_action=wait, on_exit=[play])), wait]


def _player(bag: str) -> list[str]:
    """Play with rosbag2 where it is installed and the bag is one of its folders."""
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        found = False
    else:
        found = Path(bag).is_dir()
    if found:
        return ['ros2', 'bag', 'play', '--disable-keyboard-controls', '--delay', '1.0']
    return ['ros2', 'run', PACKAGE, 'relloc', 'replay']
