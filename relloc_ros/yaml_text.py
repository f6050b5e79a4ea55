# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML from strangers: nothing but plain values, of no more than a text of its length may hold.

References let a few lines spell out to gigabytes as soon as somebody prints or merges them.
"""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ['YamlError', 'check_yaml', 'load_yaml']

MAX_CHARACTERS = 16 * 2**20
MAX_VALUES_BY_REFERENCE = 100_000


class YamlError(ValueError):
    """Text that is no YAML, or no harmless one."""


def load_yaml(text: str, *, first: bool = False) -> Any:
    """Read a document.

    Args:
        text: the document.
        first: others may follow, which are not read.

    Raises:
        YamlError: no YAML, too long, nested too deeply, or too much by references.
    """
    check_yaml(text)
    try:
        return next(yaml.safe_load_all(text), None) if first else yaml.safe_load(text)
    # Of dates and numbers that are none, ValueError and OverflowError.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise YamlError(str(error) or type(error).__name__) from error


def check_yaml(text: str) -> None:
    """Refuse what no settings need, before it is turned into values.

    Raises:
        YamlError: as `load_yaml`.
    """
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f'{len(text)} characters are more than the {MAX_CHARACTERS} allowed')
    if '&' not in text and '*' not in text:
        return
    try:
        _count(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(str(error) or type(error).__name__) from error


def _count(text: str) -> None:
    """Count the values that references stand for."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = by_reference = 0
    for event in yaml.parse(text):
        if isinstance(event, yaml.AliasEvent):
            # One that stands inside what it names has no end.
            size = sizes.get(str(event.anchor), MAX_VALUES_BY_REFERENCE + 1)
            by_reference += size
            total += size
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, total - 1))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        if by_reference > MAX_VALUES_BY_REFERENCE:
            raise YamlError(f'its references stand for more than {MAX_VALUES_BY_REFERENCE} values')
