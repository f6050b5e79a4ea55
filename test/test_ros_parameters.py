# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters: declared from the schema, converted, checked, refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from relloc_ros.config import LocalizationConfig, NodeConfig
from relloc_ros.errors import ConfigError
from relloc_ros.ros.parameter_file import node_parameters
from relloc_ros.ros.parameters import NodeParameters


class Declared:
    """A node with our parameters."""

    def __init__(self, **overrides: Any) -> None:
        self.node = Node(
            'declared',
            parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in overrides.items()
            ],
            automatically_declare_parameters_from_overrides=True,
        )
        self.active = False
        self.live: list[NodeConfig] = []
        self.ours = NodeParameters(self.node, lambda: self.active, self.live.append)

    def set(self, name: str, value: Any) -> str:
        """Set a parameter; returns why it was refused, '' if not."""
        (result,) = self.node.set_parameters([Parameter(name, value=value)])
        assert result.successful == (result.reason == '')
        return str(result.reason)


@pytest.fixture
def declare(ros: None) -> Iterator[Callable[..., Declared]]:
    made: list[Declared] = []

    def make(**overrides: Any) -> Declared:
        made.append(Declared(**overrides))
        return made[-1]

    yield make
    for declared in made:
        declared.node.destroy_node()


def test_all_are_declared_with_their_defaults(declare: Callable[..., Declared]) -> None:
    declared = declare()
    assert declared.ours.settings()[0] == NodeConfig()
    assert declared.ours.settings()[1] == LocalizationConfig()
    assert declared.ours.unknown == []


def test_descriptors_tell_meaning_range_and_when_changes_are_taken(
    declare: Callable[..., Declared],
) -> None:
    node = declare().node
    for name, parameter in node_parameters().items():
        descriptor: ParameterDescriptor = node.describe_parameter(name)
        assert parameter.description in descriptor.description
        assert descriptor.description.endswith(
            ('(live)', '(reload)', '(inactive-only)', '(read-only)')
        )
        assert descriptor.read_only == (parameter.mutability == 'read_only')
    rate = node.describe_parameter('max_rate').floating_point_range[0]
    assert (rate.from_value, rate.to_value) == (0.0, 1000.0)
    top_k = node.describe_parameter('top_k').integer_range[0]
    assert (top_k.from_value, top_k.to_value) == (1, 1000)
    assert 'map_to_base' in node.describe_parameter('tf_mode').additional_constraints


def test_overrides_are_taken_also_nested_ones(declare: Callable[..., Declared]) -> None:
    declared = declare(map_path='/a/map', top_k=7, essential__refinement='none')
    assert declared.ours.settings()[0].map_path == '/a/map'
    assert declared.ours.settings()[1].top_k == 7
    assert declared.ours.settings()[1].essential.refinement == 'none'


def test_integer_serves_as_double(declare: Callable[..., Declared]) -> None:
    declared = declare(max_rate=5)
    assert declared.ours.settings()[0].max_rate == 5.0
    assert declared.set('max_rate', 7) == ''
    assert declared.ours.settings()[0].max_rate == 7.0


def test_unknown_override_names_the_nearest(declare: Callable[..., Declared]) -> None:
    declared = declare(max_rat=5.0, use_sim_time=False, qos_overrides__x__y='reliable')
    assert declared.ours.unknown == [
        "unknown parameter 'max_rat' (did you mean 'max_rate'?) is ignored"
    ]
    declared.ours.settings()[0]


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        ({'max_rate': -1.0}, 'max_rate'),
        ({'tf_mode': 'sideways'}, 'tf_mode'),
        ({'top_k': 0}, 'top_k'),
        ({'map_path': 5}, 'map_path'),
        ({'autostart': 'perhaps'}, 'autostart'),
    ],
)
def test_wrong_override_is_told_when_the_configuration_is_read(
    declare: Callable[..., Declared], overrides: dict[str, Any], words: str
) -> None:
    declared = declare(**overrides)
    with pytest.raises(ConfigError, match=words):
        declared.ours.settings()[0]
    name = next(iter(overrides))
    if name != 'autostart':
        assert declared.set(name, node_parameters()[name].default) == ''
        assert declared.ours.settings()[0] == NodeConfig()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('max_rate', -1.0),
        ('max_rate', 'fast'),
        ('tf_mode', 'sideways'),
        ('top_k', 2.5),
        ('covariance_scale', 0.0),
        ('transform_tolerance', float('nan')),
    ],
)
def test_wrong_value_is_refused_with_the_reason(
    declare: Callable[..., Declared], name: str, value: Any
) -> None:
    declared = declare()
    assert name in declared.set(name, value)
    assert declared.node.get_parameter(name).value == node_parameters()[name].default


def test_while_active_only_live_parameters_change(declare: Callable[..., Declared]) -> None:
    declared = declare()
    declared.active = True
    assert 'deactivate' in declared.set('top_k', 9)
    assert declared.set('max_rate', 2.0) == ''
    assert declared.live[-1].max_rate == 2.0
    assert declared.set('autostart', True) != ''
    declared.active = False
    assert declared.set('top_k', 9) == ''
    assert declared.ours.settings()[1].top_k == 9
    assert declared.set('autostart', True) != ''
