# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conditions on the metrics of a run under which continuous integration fails.

An expression names a value of metrics.json, compares it with a number and is true when the run is
not good enough: ``recall[0.25m_2deg]<0.9``, ``median_position_error_m>0.05``,
``latency_ms.p95>200``, ``availability<95%``. Keys that are no plain words stand in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import math
import operator
import re
from typing import Any

from relloc_ros import __version__
from relloc_ros.config import nearest
from relloc_ros.errors import ConfigError
from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.summary import summarize
from relloc_ros.structures import Status

__all__ = ['Gate', 'check_gates', 'known_metrics', 'parse_gates']

EXPRESSION = re.compile(
    r"""\s*(?P<name>\w+(?:\.\w+|\[[^\[\]]+\])*)
        \s*(?P<operator><=|>=|<|>)
        \s*(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
        \s*(?P<unit>[a-zA-Z]*|%)\s*""",
    re.VERBOSE,
)
KEY = re.compile(r'(\w+)|\[([^\[\]]+)\]')

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    '<': operator.lt,
    '<=': operator.le,
    '>': operator.gt,
    '>=': operator.ge,
}

STATUSES, FALSE_ACCEPTS = 'statuses', 'false_accepts'

UNITS = ('deg', 'ms', 'm', 's')
"""Units that names of metrics end in."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition.

    Attributes:
        name: of the metric, as written.
        keys: the way to it through metrics.json.
        operator: of the comparison, `<`, `<=`, `>` or `>=`.
        limit: in the metric's own unit.
    """

    name: str
    keys: tuple[str, ...]
    operator: str
    limit: float

    def failure(self, metrics: Mapping[str, Any]) -> str:
        """Say in a line what is wrong, or '' when the run may pass.

        What is not known, like a median of too many failures, never passes.
        """
        value = _find(metrics, self.keys)
        if value is None and self.keys[0] == STATUSES and STATUSES in metrics:
            # Those that did not occur are left out.
            value = 0
        if self.keys[0] == FALSE_ACCEPTS and not metrics.get('negatives'):
            # None of nothing proves nothing.
            value = None
        condition = f'{self.name}{self.operator}{self.limit:g}'
        if not _is_number(value) or math.isnan(value):
            return f'{self.name} is infinite or unknown, which no gate lets pass ({condition})'
        if OPERATORS[self.operator](value, self.limit):
            return f'{self.name} is {value:.6g} ({condition})'
        return ''


def parse_gates(expressions: Sequence[str], known: Mapping[str, Any]) -> tuple[Gate, ...]:
    """Read expressions, before the long work begins.

    Args:
        expressions: each `NAME<NUMBER`, with `<`, `<=`, `>` or `>=`, and perhaps the unit.
        known: metrics as they will come; only the names count. An empty table stands for one
            whose keys depend on the run.

    Raises:
        ConfigError: malformed, a name that is no metric, a unit that is not the metric's.
    """
    return tuple(_parse(expression, known) for expression in expressions)


def known_metrics() -> dict[str, Any]:
    """Give the metrics of a run of nothing: the names that all runs have."""
    nothing = Run(
        outcomes=(),
        left_out=(),
        body='',
        localizer='',
        settings={},
        map_path='',
        map_id='',
        units='',
        version=__version__,
        sequence=False,
    )
    metrics = {**summarize(nothing), STATUSES: {status.value: 0 for status in Status}}
    # These name no figures.
    del metrics['config']
    return _without_intervals(metrics)


def _without_intervals(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_intervals(value) if isinstance(value, Mapping) else value
        for key, value in metrics.items()
        if not key.endswith('intervals')
    }


def check_gates(gates: Sequence[Gate], metrics: Mapping[str, Any]) -> list[str]:
    """Give a line for each gate that the run does not pass."""
    return [failure for gate in gates if (failure := gate.failure(metrics))]


def _parse(expression: str, known: Mapping[str, Any]) -> Gate:
    match = EXPRESSION.fullmatch(expression)
    if match is None:
        raise ConfigError(
            f"gate '{expression}' is not of the form NAME<NUMBER, NAME<=NUMBER, NAME>NUMBER or "
            'NAME>=NUMBER'
        )
    name = match['name']
    keys = tuple(plain or bracketed for plain, bracketed in KEY.findall(name))
    _check_name(name, keys, known)
    limit = float(match['limit']) * _factor(expression, keys, match['unit'])
    return Gate(name, keys, match['operator'], limit)


def _check_name(name: str, keys: tuple[str, ...], known: Mapping[str, Any]) -> None:
    value: Any = known
    for key in keys:
        if isinstance(value, Mapping) and not value and value is not known:
            return
        if not isinstance(value, Mapping) or key not in value:
            hint = nearest(name, list(_names(known)))
            raise ConfigError(f"there is no metric '{name}'{hint}")
        value = value[key]
    if isinstance(value, Mapping):
        inside = [each for each in _names(known) if each.startswith((f'{name}.', f'{name}['))]
        examples = f', as {", ".join(inside)}' if inside else ''
        raise ConfigError(f"'{name}' holds several metrics: name one{examples}")
    if not (value is None or _is_number(value)):
        raise ConfigError(f"'{name}' is not a number: {value!r:.40}")


def _factor(expression: str, keys: tuple[str, ...], unit: str) -> float:
    units = (each for key in reversed(keys) for each in UNITS if key.endswith(f'_{each}'))
    own = next(units, '')
    if unit == '%' and not own:
        return 0.01
    if unit not in ('', own):
        meant = f'in {own}' if own else 'a plain number or %'
        raise ConfigError(f"gate '{expression}': {'.'.join(keys)} is {meant}, not in {unit}")
    return 1.0


def _names(metrics: Mapping[str, Any], prefix: str = '') -> Iterator[str]:
    """Names of all numbers, as they are written in expressions."""
    for key, value in metrics.items():
        separator = '.' if prefix else ''
        name = prefix + (f'{separator}{key}' if re.fullmatch(r'\w+', key) else f'[{key}]')
        if isinstance(value, Mapping):
            yield from _names(value, name)
        elif value is None or _is_number(value):
            yield name


def _find(metrics: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(metrics, Mapping):
            return None
        metrics = metrics.get(key)
    return metrics


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
