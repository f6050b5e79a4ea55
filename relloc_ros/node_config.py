# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings that only the ROS node has."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, Names, setting

__all__ = ['NodeConfig']


@dataclass(frozen=True, slots=True, config=STRICT)
class NodeConfig:
    """Settings of the ROS node around the localizer; names follow Nav2's AMCL where it has one."""

    map_path: str = setting('', 'Folder of the map.', mutability='reload')
    global_frame_id: str = setting('map', 'Frame of the published pose.')
    odom_frame_id: str = setting('odom', 'Frame of odometry, child of the map frame.')
    base_frame_id: str = setting('base_link', 'Frame of the robot, the body whose pose is meant.')
    camera_frame: str = setting(
        '', "Optical frame of the camera; empty takes the image's frame_id."
    )
    tf_broadcast: bool = setting(True, 'False is the same as tf_mode: none.')
    tf_mode: Literal['map_to_odom', 'map_to_base', 'none'] = setting(
        'map_to_odom', 'Which transform is broadcast.'
    )
    transform_tolerance: float = setting(
        0.1,
        'How far map to odom is post-dated.',
        unit='s',
        ge=0,
        le=10,
        mutability='live',
    )
    transform_timeout: float = setting(
        0.2,
        'How long a frame waits for late TF.',
        unit='s',
        ge=0,
        le=10,
        mutability='live',
    )
    tf_publish_rate: float = setting(
        20.0, 'Rate at which map to odom is repeated.', unit='Hz', gt=0, le=1000
    )
    tf_lost_timeout: float = setting(
        0.0,
        'When this long without a fix, map to odom is not repeated any more; 0 is never.',
        unit='s',
        ge=0,
        le=86400,
        mutability='live',
    )
    two_d_mode: bool = setting(
        False, 'The robot drives on the plane z = 0: pose and map to odom without roll and pitch.'
    )
    correction_speed: float = setting(
        0.0,
        'Speed at which a correction of map to odom moves the robot; 0 is at once.',
        unit='m/s',
        ge=0,
        le=100,
        mutability='live',
    )
    correction_turn_rate: float = setting(
        0.0,
        'Rate at which a correction of map to odom turns the robot; 0 is at once.',
        unit='rad/s',
        ge=0,
        le=100,
        mutability='live',
    )
    image_transport: Literal['raw', 'compressed'] = setting(
        'raw',
        'raw subscribes to the image topic, compressed to the same name + /compressed.',
    )
    cameras: Names = setting(
        ('',),
        'Names of the cameras of a rig, with topics NAME/image and NAME/camera_info; empty is one '
        'camera on image and camera_info.',
    )
    rig_slop: float = setting(
        0.02,
        "Images of a rig's cameras further apart in time do not belong together.",
        unit='s',
        ge=0,
        le=10,
    )
    virtual_rig_size: int = setting(
        1,
        'Images of one moving camera that are localized together, by the odometry between them, '
        'where the newest alone is not.',
        ge=1,
        le=20,
    )
    max_rate: float = setting(
        5.0,
        'Images processed per second at most; 0 is no limit.',
        unit='Hz',
        ge=0,
        le=1000,
        mutability='live',
    )
    update_min_d: float = setting(
        0.0,
        'A localized robot that has moved less, and turned less than update_min_a, is not '
        'localized again; 0 here or there is always.',
        unit='m',
        ge=0,
        le=1000,
        mutability='live',
    )
    update_min_a: float = setting(
        0.0,
        'See update_min_d.',
        unit='rad',
        ge=0,
        le=7,
        mutability='live',
    )
    image_timeout: float = setting(
        2.0,
        'Without an image for this long, diagnostics warn.',
        unit='s',
        gt=0,
        le=3600,
        mutability='live',
    )
    relocalize_frames: int = setting(
        10, 'Images after which ~/relocalize gives up.', ge=1, le=10000, mutability='live'
    )
    relocalize_timeout: float = setting(
        10.0,
        'Time after which ~/relocalize gives up.',
        unit='s',
        gt=0,
        le=3600,
        mutability='live',
    )
    use_initial_pose: bool = setting(
        True, 'Listen to initialpose: the search is restricted to its surroundings.'
    )
    publish_initial_pose: bool = setting(
        False, 'Tell another localizer, as AMCL, where the robot is, on ~/initialpose.'
    )
    initial_pose_timeout: float = setting(
        10.0,
        'How long ~/initialpose is repeated until amcl_pose agrees; 0 sends it once.',
        unit='s',
        ge=0,
        le=3600,
        mutability='live',
    )
    serve_global_localization: bool = setting(
        True, 'Serve reinitialize_global_localization; not beside AMCL, which does.'
    )
    bond_heartbeat_period: float = setting(
        0.25,
        "Period of the bond with Nav2's lifecycle manager; 0 is no bond. With autostart there is "
        'no manager, and none is kept.',
        unit='s',
        ge=0,
        le=60,
    )
    autostart: bool = setting(
        False,
        'Configure and activate at start; a lifecycle manager wants false.',
        mutability='read_only',
    )
