# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""config/relloc.yaml says what the schema says."""

from __future__ import annotations

from pathlib import Path

from relloc_ros.config import (
    LocalizationConfig,
    NodeConfig,
    TrackingConfig,
    flatten,
    make_config,
    parameters,
    read_config_file,
)
from relloc_ros.ros.parameter_file import node_parameters, parameter_file

CONFIG_FILE = Path(__file__).parent.parent / 'config' / 'relloc.yaml'


def test_file_is_up_to_date() -> None:
    assert CONFIG_FILE.read_text() == parameter_file(), (
        'run python -m relloc_ros.ros.parameter_file > config/relloc.yaml'
    )


def test_file_holds_the_defaults() -> None:
    values = read_config_file(CONFIG_FILE)
    defaults = {
        name: value
        for config in (NodeConfig(), TrackingConfig(), LocalizationConfig())
        for name, value in flatten(config).items()
    }
    assert values == defaults
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in defaults.items()
    }
    make_config(NodeConfig, {name: values[name] for name in parameters(NodeConfig)})


def test_file_reaches_nodes_of_any_name_and_namespace() -> None:
    lines = [line for line in CONFIG_FILE.read_text().splitlines() if line.strip()[0] != '#']
    assert lines[:2] == ['/**:', '  ros__parameters:']


def test_each_parameter_has_a_comment() -> None:
    lines = [line.strip() for line in CONFIG_FILE.read_text().splitlines()]
    for name, parameter in node_parameters().items():
        row = next(i for i, line in enumerate(lines) if line.startswith(f'{name.split(".")[-1]}:'))
        assert lines[row - 1].startswith('#'), name
        assert parameter.description


def test_node_and_localizer_share_no_name() -> None:
    assert not parameters(NodeConfig).keys() & parameters(LocalizationConfig).keys()
