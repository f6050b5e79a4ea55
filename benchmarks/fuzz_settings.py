# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to corrupt settings: assignments, parameter files, parameters of a ROS node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import importlib.util
import re
from typing import Any

import cv2
from fuzz_drive import drive, make_drive
from fuzz_messages import damaged_bytes
from fuzz_world import Answer, Kind, World, make_message
import numpy as np

from relloc_ros.config import (
    LocalizationConfig,
    NodeConfig,
    Parameter,
    TrackingConfig,
    flatten,
    make_config,
    parameters,
    parse_assignments,
    read_config_file,
)
from relloc_ros.pipeline import Relocalizer
from relloc_ros.ros.parameter_file import node_parameters, parameter_file
from relloc_ros.structures import PoseEstimate

__all__ = ['SETTING_KINDS']

Random = np.random.Generator
Settings = tuple[NodeConfig, LocalizationConfig, TrackingConfig]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**400, 0.0, -0.0, 1e-320),
    *(1e308, float('nan'), float('inf'), -5.5, '', ' ', 'nan', '1e3', '0x10', 'true', 'none'),
    *('essential', 'structure', 'retrieval', '../..', '\0', 'x' * 10_000, [], [1], ['a', 'b']),
    *([''], {}, {'a': 1}, [[]], b'bytes', (1, 2)),
)
LINE = re.compile(r'(\s*[a-z_0-9]+:)\s*\S.*')
MAX_ITEMS = 9


def _value(parameter: Parameter | None, rng: Random) -> Any:
    """Choose a value, often one of the right type within the limits."""
    if parameter is None or rng.random() < 0.4:
        return VALUES[int(rng.integers(len(VALUES)))]
    if parameter.choices:
        return str(rng.choice(parameter.choices))
    low = -10.0 if parameter.low is None else parameter.low
    high = low + 1000.0 if parameter.high is None else parameter.high
    # Most limits span many powers of ten.
    value = low + (high - low) * 10.0 ** rng.uniform(-5.0, 0.1)
    if parameter.type is int:
        return int(value)
    if parameter.type is float:
        return float(value)
    return bool(rng.integers(2)) if parameter.type is bool else parameter.default


def _assignments(rng: Random) -> dict[str, Any]:
    known = node_parameters()
    values: dict[str, Any] = {}
    for name in rng.choice(list(known), int(rng.integers(1, MAX_ITEMS)), replace=False):
        key = str(name)
        if rng.random() < 0.05:
            key = str(
                rng.choice((key[:-1], key.upper(), f'{key}.x', '', '.', 'essential', key * 9))
            )
        values[key] = _value(known.get(key), rng)
    return values


def _configs(values: Mapping[str, Any]) -> Settings:
    """Give each part of the settings what belongs to it, the localizer what nobody knows."""
    node, tracking = parameters(NodeConfig), parameters(TrackingConfig)
    rest = {key: value for key, value in values.items() if key not in {*node, *tracking}}
    return (
        make_config(NodeConfig, {key: values[key] for key in node if key in values}),
        make_config(LocalizationConfig, rest),
        make_config(TrackingConfig, {key: values[key] for key in tracking if key in values}),
    )


def _run(world: World, rng: Random, settings: Settings) -> list[Answer]:
    """Localize an intact query with settings that were taken, and drive with them."""
    node, localization, tracking = settings
    query = world.some_query(rng)
    try:
        relocalizer = Relocalizer(world.map, localization)
        message = make_message(query.pixels, query.stamp_ns)
        found = relocalizer.process_message(message, query.camera, query.name)
    finally:
        cv2.setNumThreads(1)
    pose = found.camera_pose
    if pose is not None:
        # Who scales covariances says that he knows better.
        covariance = pose.covariance / localization.covariance_scale
        pose = PoseEstimate(pose.map_from_body, covariance)
    answers = [Answer(pose, query.truth, found.reason, None, query.name)]
    wanted = ('base_frame_id', 'odom_frame_id', 'camera_frame', 'cameras', 'virtual_rig_size')
    plain = {name: getattr(NodeConfig(), name) for name in wanted}
    # Waiting for what never comes is no hang.
    quick = replace(node, **plain, transform_timeout=0.0, two_d_mode=False)
    return answers + drive(world, make_drive(world), config=quick, tracking=tracking)


def _by_assignments(world: World, rng: Random) -> list[Answer]:
    """Set as `--set` does."""
    values = _assignments(rng)
    items = [f'{key}={value}' for key, value in values.items()]
    if rng.random() < 0.1:
        items.append(str(rng.choice(('', '=', 'top_k', '=5', 'top_k==5', 'a=b=c'))))
    return _run(world, rng, _configs(parse_assignments(items)))


def _by_values(world: World, rng: Random) -> list[Answer]:
    """Set values of any type."""
    return _run(world, rng, _configs(_assignments(rng)))


def _by_file(world: World, rng: Random) -> list[Answer]:
    """Read a parameter file with a few wrong lines, or with damaged bytes."""
    lines = parameter_file().splitlines()
    for _ in range(int(rng.integers(0, MAX_ITEMS))):
        number = int(rng.integers(len(lines)))
        found = LINE.fullmatch(lines[number])
        if found:
            lines[number] = f'{found[1]} {VALUES[int(rng.integers(len(VALUES)))]}'
    data = '\n'.join(lines).encode()
    if rng.random() < 0.6:
        data = damaged_bytes(data, rng)
    path = world.folder / 'settings.yaml'
    path.write_bytes(data)
    return _run(world, rng, _configs(read_config_file(path)))


def _by_ros(world: World, rng: Random) -> list[Answer]:
    """Declare and set parameters of a node; without ROS, in vain."""
    if not importlib.util.find_spec('rclpy'):
        return []
    node, ours = _node(world)
    from rclpy.parameter import Parameter as RosParameter

    for name, value in _assignments(rng).items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            continue  # no message holds it
        try:
            parameter = RosParameter(name, value=value)
        except (TypeError, ValueError, AttributeError):
            continue  # rclpy itself does not take it
        try:
            node.set_parameters([parameter])
        except _refusals():
            continue
    try:
        settings = ours.settings()
        flatten(settings[0])
        return _run(world, rng, settings)
    finally:
        for name, parameter in node_parameters().items():
            node.set_parameters([RosParameter(name, value=parameter.default)])


def _prepare_ros(world: World) -> None:
    if importlib.util.find_spec('rclpy'):
        _node(world)


def _refusals() -> tuple[type[Exception], ...]:
    """Exceptions by which rclpy refuses parameters before we hear of them."""
    from rclpy.exceptions import ParameterException

    return (ParameterException, OverflowError, AssertionError)


def _node(world: World) -> tuple[Any, Any]:
    """Make a node with our parameters, once in a process."""
    if 'node' not in world.kept:
        import rclpy
        from rclpy.node import Node

        from relloc_ros.ros.parameters import NodeParameters

        rclpy.init(args=[])
        node = Node('fuzzed', automatically_declare_parameters_from_overrides=True)
        world.kept['node'] = node
        world.kept['parameters'] = NodeParameters(node, lambda: False, lambda config: None)
    return world.kept['node'], world.kept['parameters']


SETTING_KINDS: dict[str, Kind] = {
    'settings/assignments': Kind(_by_assignments),
    'settings/values': Kind(_by_values),
    'settings/file': Kind(_by_file),
    'settings/ros': Kind(_by_ros, prepare=_prepare_ros),
}
