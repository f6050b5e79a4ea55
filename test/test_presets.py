# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files in config/: parameters exist, values are valid and fit their purpose."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

import pytest
import yaml

from relloc_ros.config import (
    LocalizationConfig,
    NodeConfig,
    TrackingConfig,
    make_config,
    parameters,
)

CONFIG = Path(__file__).parent.parent / 'config'
OURS = ('relloc', 'camera_only', 'ekf', 'nav2', 'nav2_amcl', 'rtabmap')
SETTINGS = ('fast', 'accurate')
"""Of the localizer only, to go with any of the others."""

EKF_PARAMETERS = {
    'frequency',
    'two_d_mode',
    'publish_tf',
    'transform_time_offset',
    'map_frame',
    'odom_frame',
    'base_link_frame',
    'world_frame',
    'smooth_lagged_data',
    'history_length',
}
SENSOR_PARAMETERS = {
    'odom0': {'', '_config', '_queue_size'},
    'pose0': {
        '',
        '_config',
        '_queue_size',
        '_differential',
        '_relative',
        '_rejection_threshold',
    },
}


def read(name: str) -> dict[str, Any]:
    content = yaml.safe_load((CONFIG / f'{name}.yaml').read_text())
    assert list(content) == ['/**']
    assert list(content['/**']) == ['ros__parameters']
    return flat(content['/**']['ros__parameters'])


def flat(values: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = f'{prefix}{key}'
        result |= flat(value, f'{name}.') if isinstance(value, dict) else {name: value}
    return result


def node_config(name: str) -> NodeConfig:
    values = read(name)
    return make_config(
        NodeConfig, {k: v for k, v in values.items() if k in parameters(NodeConfig)}
    )


@pytest.mark.parametrize('name', [*OURS, *SETTINGS])
def test_parameters_are_known_and_valid(name: str) -> None:
    values = read(name)
    assert values
    for config_class in (NodeConfig, LocalizationConfig, TrackingConfig):
        known = parameters(config_class)
        make_config(config_class, {key: values.pop(key) for key in list(values) if key in known})
    assert values == {}


def test_every_preset_is_checked_here() -> None:
    names = {path.stem for path in CONFIG.glob('*.yaml')}
    assert names - {*OURS, *SETTINGS, 'robot_localization'} == set()


def test_only_one_broadcasts_map_to_odom() -> None:
    modes = {name: node_config(name).tf_mode for name in OURS}
    assert modes == {
        'relloc': 'map_to_odom',
        'camera_only': 'map_to_base',
        'ekf': 'none',
        'nav2': 'map_to_odom',
        'nav2_amcl': 'none',
        'rtabmap': 'none',
    }


def test_amcl_is_told_and_keeps_its_own_names() -> None:
    config = node_config('nav2_amcl')
    assert config.publish_initial_pose
    assert not config.use_initial_pose
    assert not config.serve_global_localization


def test_localizer_of_nav2_does_what_amcl_does() -> None:
    config = node_config('nav2')
    assert config.two_d_mode
    assert config.use_initial_pose
    assert config.serve_global_localization
    # Neither waits for the other: the repeated transform always reaches beyond the present.
    assert config.transform_tolerance > 1.0 / config.tf_publish_rate


@pytest.mark.parametrize('name', ['nav2', 'nav2_amcl'])
def test_managers_start_the_node(name: str) -> None:
    config = node_config(name)
    assert not config.autostart
    assert config.bond_heartbeat_period > 0.0


def test_parked_robot_does_not_feed_the_filter() -> None:
    config = node_config('ekf')
    assert config.update_min_d > 0.0
    assert config.update_min_a > 0.0


def test_filter_is_told_once_where_it_is() -> None:
    # The EKF never says amcl_pose, and each set_pose throws away what it knows.
    config = node_config('ekf')
    assert config.publish_initial_pose
    assert config.initial_pose_timeout == 0.0


def test_ekf_parameters() -> None:
    values = read('robot_localization')
    sensors = {sensor + end for sensor, ends in SENSOR_PARAMETERS.items() for end in ends}
    assert set(values) == EKF_PARAMETERS | sensors
    assert values['world_frame'] == values['map_frame']
    assert values['publish_tf']
    assert values['two_d_mode']
    assert values['smooth_lagged_data']
    assert values['history_length'] >= 1.0
    for sensor in SENSOR_PARAMETERS:
        flags = values[f'{sensor}_config']
        assert len(flags) == 15
        assert all(isinstance(flag, bool) for flag in flags)
    assert [i for i, flag in enumerate(values['pose0_config']) if flag] == [0, 1, 5]
    assert [i for i, flag in enumerate(values['odom0_config']) if flag] == [6, 7, 11]
    assert re.fullmatch(r'localization_node/pose', values['pose0'])


def test_both_halves_of_the_ekf_agree_on_frames() -> None:
    ours, theirs = node_config('ekf'), read('robot_localization')
    assert ours.global_frame_id == theirs['map_frame']
    assert ours.odom_frame_id == theirs['odom_frame']
    assert ours.base_frame_id == theirs['base_link_frame']
