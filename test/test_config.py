# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The schema of settings: defaults, ranges, keys, files."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
import math
from pathlib import Path

import pytest
import yaml

from relloc_ros.config import (
    EssentialConfig,
    LocalizationConfig,
    MapConfig,
    NodeConfig,
    TrackingConfig,
    TrainingConfig,
    flatten,
    make_config,
    parameters,
    parse_assignments,
    read_config_file,
)
from relloc_ros.errors import ConfigError

CLASSES = (LocalizationConfig, MapConfig, NodeConfig, TrackingConfig, TrainingConfig)
PARAMETER_FILE = Path(__file__).parents[1] / 'config' / 'relloc.yaml'


def all_leaves():
    return [
        pytest.param(config_class, leaf, id=f'{config_class.__name__}.{leaf.name}')
        for config_class in CLASSES
        for leaf in parameters(config_class).values()
    ]


@pytest.mark.parametrize('config_class', CLASSES)
def test_defaults_of_the_schema_are_those_of_the_class(config_class):
    defaults = {name: leaf.default for name, leaf in parameters(config_class).items()}
    assert flatten(config_class()) == defaults
    assert make_config(config_class, defaults) == config_class()


@pytest.mark.parametrize(('config_class', 'leaf'), all_leaves())
def test_each_leaf_is_described(config_class, leaf):
    assert leaf.description.endswith('.')
    assert type(leaf.default) in (bool, int, float, str, list)
    if leaf.type in (int, float):
        assert leaf.low is not None, 'a number needs a range'
        assert leaf.low <= leaf.default
        assert leaf.high is None or leaf.default <= leaf.high
    if leaf.choices:
        assert leaf.default in leaf.choices


@pytest.mark.parametrize(('config_class', 'leaf'), all_leaves())
def test_values_out_of_range_are_refused(config_class, leaf):
    bad = ['wrong'] if leaf.choices or leaf.type in (int, float, bool) else []
    bad += [leaf.low - 1] if leaf.low is not None else []
    bad += [leaf.high + 1] if leaf.high is not None else []
    bad += [math.nan, math.inf] if leaf.type is float else []
    for value in bad:
        with pytest.raises(ConfigError, match=leaf.name.replace('.', r'\.')):
            make_config(config_class, {leaf.name: value})


def test_the_parameter_file_holds_the_defaults():
    values = read_config_file(PARAMETER_FILE)
    configs = (NodeConfig(), TrackingConfig(), LocalizationConfig())
    assert values == {name: value for config in configs for name, value in flatten(config).items()}


@pytest.mark.parametrize(
    ('key', 'suggestion'),
    [
        ('topk', 'top_k'),
        ('refinement', 'essential.refinement'),
        ('essential.refinment', 'essential.refinement'),
        ('max_keypoint', 'max_keypoints'),
    ],
)
def test_an_unknown_key_names_the_nearest(key, suggestion):
    with pytest.raises(ConfigError, match=rf"unknown setting '{key}' .*'{suggestion}'"):
        make_config(LocalizationConfig, {key: 1})


def test_a_key_like_no_other_is_refused_without_a_guess():
    with pytest.raises(ConfigError, match=r"unknown setting 'qqqq'$"):
        make_config(LocalizationConfig, {'qqqq': 1})


def test_strings_are_converted():
    config = make_config(
        LocalizationConfig,
        {'top_k': '7', 'match_ratio': '0.5', 'essential.refinement': 'none'},
    )
    assert (config.top_k, config.match_ratio) == (7, 0.5)
    assert config.essential == EssentialConfig(refinement='none')


def test_an_integer_serves_as_a_float():
    assert make_config(LocalizationConfig, {'max_position_std': 2}).max_position_std == 2.0


@pytest.mark.parametrize('value', ['1.5', 'many', None, [1]])
def test_a_wrong_type_names_key_value_and_meaning(value):
    with pytest.raises(ConfigError, match=r"'top_k': .*Map images retrieved") as caught:
        make_config(LocalizationConfig, {'top_k': value})
    assert repr(value) in str(caught.value)


def test_configs_are_frozen_and_know_their_fields():
    config = LocalizationConfig()
    with pytest.raises(FrozenInstanceError):
        config.top_k = 3
    with pytest.raises((AttributeError, TypeError)):
        object.__setattr__(config, 'topk', 3)


def test_assignments():
    assert parse_assignments(['a=1', 'b.c = x=y ']) == {'a': '1', 'b.c': 'x=y'}
    with pytest.raises(ConfigError, match="'top_k 3' is not of the form key=value"):
        parse_assignments(['top_k 3'])


def test_a_plain_file_nested_or_dotted(tmp_path):
    path = tmp_path / 'settings.yaml'
    path.write_text('top_k: 5\nessential:\n  refinement: none\nessential.max_pairs: 4\n')
    assert read_config_file(path) == {
        'top_k': 5,
        'essential.refinement': 'none',
        'essential.max_pairs': 4,
    }


def test_a_ros_parameter_file(tmp_path):
    path = tmp_path / 'params.yaml'
    content = {'localization_node': {'ros__parameters': {'essential': {'max_pairs': 4}}}}
    path.write_text(yaml.safe_dump(content))
    assert read_config_file(path) == {'essential.max_pairs': 4}


def test_an_empty_file_changes_nothing(tmp_path):
    path = tmp_path / 'empty.yaml'
    path.write_text('# nothing yet\n')
    assert read_config_file(path) == {}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'top_k: [1', 'is not YAML'),
        (b'\xff\xfe\x00', 'is not YAML'),
        (b'- top_k\n', 'holds a list, not a table'),
        (b'!!python/object/apply:os.getcwd []\n', 'is not YAML'),
    ],
)
def test_unusable_files(tmp_path, content, message):
    path = tmp_path / 'bad.yaml'
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config_file(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r'cannot read .*none\.yaml: No such file'):
        read_config_file(tmp_path / 'none.yaml')


def test_lists_are_taken_from_files_and_from_text():
    for value in (['front', 'rear'], ('front', 'rear'), 'front, rear'):
        assert make_config(NodeConfig, {'cameras': value}).cameras == ('front', 'rear')
    assert flatten(NodeConfig())['cameras'] == ['']
