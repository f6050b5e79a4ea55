# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How settings are described, listed, checked and read; what they are stands in `config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from relloc_ros.errors import ConfigError
from relloc_ros.yaml_text import load_yaml

__all__ = [
    'STRICT',
    'Mutability',
    'Names',
    'Parameter',
    'Value',
    'flatten',
    'make_config',
    'nearest',
    'parameters',
    'parse_assignments',
    'read_config_file',
    'setting',
]

Mutability = Literal['live', 'reload', 'inactive', 'read_only']
"""When a running node takes a change: at once, when asked to load its map again, on the next
activation (refused while active), or never."""

STRICT = ConfigDict(extra='forbid', allow_inf_nan=False)


Value = bool | int | float | str | list[str]
"""What a setting can be."""


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(',')] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A list of names, in text divided by commas. Empty is `['']`: an empty list in a parameter file
has no type for ROS."""


def setting(
    default: Any,
    description: str,
    *,
    unit: str = '',
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    mutability: Mutability = 'inactive',
) -> Any:
    """Describe a setting: default, a sentence, unit, range, and when a node takes a change."""
    return Field(
        default=default,
        description=description,
        ge=ge,
        gt=gt,
        le=le,
        json_schema_extra={'unit': unit, 'mutability': mutability},
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """One leaf of the schema.

    Attributes:
        name: dotted key.
        type: bool, int, float, str or list.
        default: the value when nothing is set.
        description: one sentence.
        unit: '' when it has none.
        low: least value (exclusive where the schema says so), None when unbounded.
        high: largest value, None when unbounded.
        choices: the allowed strings, () when any.
        mutability: when a running node takes a change.
    """

    name: str
    type: type
    default: Value
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    mutability: Mutability


def parameters(config_class: type) -> dict[str, Parameter]:
    """List the leaves of a config class by dotted key, in order of definition."""
    hints = get_type_hints(config_class)
    leaves: dict[str, Parameter] = {}
    for name, info in config_class.__pydantic_fields__.items():  # type: ignore[attr-defined]
        if hasattr(hints[name], '__pydantic_fields__'):
            for key, leaf in parameters(hints[name]).items():
                leaves[f'{name}.{key}'] = _renamed(leaf, f'{name}.{key}')
        else:
            leaves[name] = _parameter(name, hints[name], info)
    return leaves


def _renamed(leaf: Parameter, name: str) -> Parameter:
    values = {field.name: getattr(leaf, field.name) for field in fields(leaf)}
    return Parameter(**{**values, 'name': name})


def _parameter(name: str, hint: Any, info: FieldInfo) -> Parameter:
    bounds = {
        key: value
        for item in info.metadata
        for key in ('ge', 'gt', 'le')
        if (value := getattr(item, key, None)) is not None
    }
    extra = info.json_schema_extra
    assert isinstance(extra, dict)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    default = _plain(info.default)
    return Parameter(
        name=name,
        type=type(default),
        default=default,
        description=info.description or '',
        unit=str(extra['unit']),
        low=bounds.get('ge', bounds.get('gt')),
        high=bounds.get('le'),
        choices=choices,
        mutability=extra['mutability'],  # type: ignore[arg-type]
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def flatten(config: Any) -> dict[str, Value]:
    """Give the values of a config by dotted key."""
    values: dict[str, Value] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if hasattr(value, '__pydantic_fields__'):
            values.update({f'{field.name}.{key}': leaf for key, leaf in flatten(value).items()})
        else:
            values[field.name] = _plain(value)
    return values


Config = TypeVar('Config')


def make_config(config_class: type[Config], values: Mapping[str, Any]) -> Config:
    """Build a config from dotted keys; what is not named keeps its default.

    Strings are converted, an integer serves where a float is meant.

    Raises:
        ConfigError: unknown key (the message names the nearest), wrong type, out of range.
    """
    known = parameters(config_class)
    nested: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(_unknown_key(key, known))
        *blocks, leaf = key.split('.')
        target = nested
        for block in blocks:
            target = target.setdefault(block, {})
        target[leaf] = value
    try:
        return config_class(**nested)
    except ValidationError as error:
        raise ConfigError(_describe(error, known)) from error


def nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word most like `word`, or ''."""
    candidates = list(known)
    match = difflib.get_close_matches(word, candidates, n=1, cutoff=0.4)
    return f" (did you mean '{match[0]}'?)" if match else ''


def _unknown_key(key: str, known: Mapping[str, Parameter]) -> str:
    # A leaf named without its block is the most common slip.
    by_leaf = [name for name in known if name.split('.')[-1] == key.rsplit('.', maxsplit=1)[-1]]
    hint = f" (did you mean '{by_leaf[0]}'?)" if by_leaf else nearest(key, known)
    return f"unknown setting '{key}'{hint}"


def _describe(error: ValidationError, known: Mapping[str, Parameter]) -> str:
    lines = []
    for item in error.errors():
        key = '.'.join(str(part) for part in item['loc'])
        about = f' ({known[key].description})' if key in known else ''
        lines.append(f"setting '{key}': {item['msg']}, got {item['input']!r}{about}")
    return '; '.join(lines)


def parse_assignments(assignments: list[str]) -> dict[str, str]:
    """Turn ``['key=value', ...]`` into a dictionary.

    Raises:
        ConfigError: an item has no ``=``.
    """
    values = {}
    for item in assignments:
        key, separator, value = item.partition('=')
        if not separator:
            raise ConfigError(f"'{item}' is not of the form key=value")
        values[key.strip()] = value.strip()
    return values


def read_config_file(path: Path) -> dict[str, Any]:
    """Read dotted keys from a YAML file, either plain or a ROS parameter file.

    Raises:
        ConfigError: missing or malformed file.
    """
    try:
        content = load_yaml(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'cannot read {path}: {error.strerror}') from error
    except ValueError as error:
        raise ConfigError(f'{path} is not YAML: {error}') from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f'{path} holds a {type(content).__name__}, not a table of settings')
    sections = [
        section['ros__parameters']
        for section in content.values()
        if isinstance(section, dict) and 'ros__parameters' in section
    ]
    merged: dict[str, Any] = {}
    for section in sections or [content]:
        if section is None:
            continue
        if not isinstance(section, dict):
            raise ConfigError(f'{path} holds {section!r:.50} for ros__parameters, not settings')
        merged.update(_dotted(section))
    return merged


def _dotted(block: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in block.items():
        if isinstance(value, dict):
            values.update(_dotted(value, f'{prefix}{key}.'))
        else:
            values[f'{prefix}{key}'] = value
    return values
