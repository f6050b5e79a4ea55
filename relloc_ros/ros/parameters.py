# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters made from the configuration schema."""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from relloc_ros.config import (
    LocalizationConfig,
    NodeConfig,
    Parameter,
    TrackingConfig,
    make_config,
    nearest,
)
from relloc_ros.config import parameters as leaves
from relloc_ros.errors import ConfigError
from relloc_ros.ros.parameter_file import MUTABILITY, node_parameters

__all__ = ['NodeParameters']

NOT_OURS = ('use_sim_time', 'qos_overrides.', 'start_type_description_service', 'diagnostic_')
"""Beginnings of parameters that rclpy and others look for on a node."""

LARGEST_INTEGER = 2**63 - 1
LARGEST_FLOAT = sys.float_info.max


class NodeParameters:
    """Declares the parameters of a node, checks changes, and gives the configuration.

    Attributes:
        problems: overrides that cannot be used, by parameter; they keep the node from configuring.
        unknown: one sentence for each override no parameter answers to.
    """

    def __init__(
        self,
        node: Node,
        is_active: Callable[[], bool],
        on_live_change: Callable[[NodeConfig], None],
    ) -> None:
        """Declare all parameters.

        Args:
            node: made with ``automatically_declare_parameters_from_overrides``.
            is_active: whether parameters that are inactive-only must be refused.
            on_live_change: gets the configuration with the new values before they are stored.
        """
        self._node = node
        self._is_active = is_active
        self._on_live_change = on_live_change
        self._known = node_parameters()
        self.problems: dict[str, str] = {}
        self.unknown: list[str] = []
        overrides = self._take_overrides()
        for name, parameter in self._known.items():
            self._declare(parameter, overrides.pop(name, parameter.default))
        for name in overrides:
            hint = nearest(name, self._known)
            self.unknown.append(f"unknown parameter '{name}'{hint} is ignored")
        node.add_on_set_parameters_callback(self._on_set)

    def settings(self) -> tuple[NodeConfig, LocalizationConfig, TrackingConfig]:
        """Read the settings of node, localizer and tracker.

        Raises:
            ConfigError: an override has a wrong value.
        """
        return (
            make_config(NodeConfig, self._values(NodeConfig)),
            make_config(LocalizationConfig, self._values(LocalizationConfig)),
            make_config(TrackingConfig, self._values(TrackingConfig)),
        )

    @property
    def autostart(self) -> bool:
        """Whether the node shall configure and activate itself."""
        return self._node.get_parameter('autostart').value is True

    def _values(self, config_class: type) -> dict[str, Any]:
        if self.problems:
            raise ConfigError('; '.join(self.problems.values()))
        return {name: self._node.get_parameter(name).value for name in leaves(config_class)}

    def _take_overrides(self) -> dict[str, Any]:
        # rclpy has no other public way to learn of overrides that nobody declared.
        overrides = {
            name: parameter.value
            for name, parameter in self._node.get_parameters_by_prefix('').items()
            if not name.startswith(NOT_OURS)
        }
        for name in overrides:
            self._node.undeclare_parameter(name)
        return overrides

    def _declare(self, parameter: Parameter, value: Any) -> None:
        problem = _check({parameter.name: value})
        if not problem:
            try:
                self._node.declare_parameter(
                    parameter.name,
                    _convert(parameter, value),
                    _descriptor(parameter),
                    ignore_override=True,
                )
                return
            except ParameterException as error:
                problem = str(error)
        self.problems[parameter.name] = problem
        self._node.get_logger().error(problem)
        self._node.declare_parameter(
            parameter.name, parameter.default, _descriptor(parameter), ignore_override=True
        )

    def _on_set(self, changes: list[RosParameter]) -> SetParametersResult:
        ours = {item.name: item.value for item in changes if item.name in self._known}
        problem = _check(ours) or self._check_mutability(ours)
        if problem:
            return SetParametersResult(successful=False, reason=problem)
        for name in ours:
            self.problems.pop(name, None)
        if ours and not self.problems:
            mine = leaves(NodeConfig)
            values = self._values(NodeConfig) | {k: v for k, v in ours.items() if k in mine}
            self._on_live_change(make_config(NodeConfig, values))
        return SetParametersResult(successful=True)

    def _check_mutability(self, changes: dict[str, Any]) -> str:
        if not self._is_active():
            return ''
        for name in changes:
            if self._known[name].mutability == 'inactive':
                return (
                    f"parameter '{name}' cannot change while the node is active: "
                    'deactivate it, set the parameter, activate it again'
                )
        return ''


def _check(values: dict[str, Any]) -> str:
    """Say what is wrong with values of our parameters, '' if nothing."""
    for config_class in (NodeConfig, LocalizationConfig, TrackingConfig):
        known = leaves(config_class)
        try:
            make_config(config_class, {k: v for k, v in values.items() if k in known})
        except ConfigError as error:
            return str(error)
    return ''


def _convert(parameter: Parameter, value: Any) -> Any:
    """Make an integer a float where one is meant: ``max_rate: 5`` is what people write."""
    return float(value) if parameter.type is float and isinstance(value, int) else value


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    unit = f' Unit: {parameter.unit}.' if parameter.unit else ''
    descriptor = ParameterDescriptor(
        description=f'{parameter.description}{unit} ({MUTABILITY[parameter.mutability]})',
        read_only=parameter.mutability == 'read_only',
        dynamic_typing=True,
    )
    if parameter.choices:
        descriptor.additional_constraints = f'one of: {", ".join(parameter.choices)}'
    if parameter.low is None and parameter.high is None:
        return descriptor
    if parameter.type is int:
        low = -LARGEST_INTEGER if parameter.low is None else int(parameter.low)
        high = LARGEST_INTEGER if parameter.high is None else int(parameter.high)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
    elif parameter.type is float:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-LARGEST_FLOAT if parameter.low is None else float(parameter.low),
                to_value=LARGEST_FLOAT if parameter.high is None else float(parameter.high),
                step=0.0,
            )
        ]
    return descriptor
