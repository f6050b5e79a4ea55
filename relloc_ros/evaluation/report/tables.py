# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a report, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
import math
from typing import Any

from relloc_ros.config import LocalizationConfig, flatten
from relloc_ros.evaluation.metrics import error_statistics
from relloc_ros.evaluation.outcomes import Run
from relloc_ros.evaluation.report.scales import milliseconds_tick
from relloc_ros.evaluation.wording import (
    angle_text,
    interval_text,
    length_text,
    recall_name,
    share_text,
)

__all__ = [
    'ComparisonRow',
    'NumberRow',
    'Section',
    'Tile',
    'changed_settings',
    'comparison_rows',
    'headline_tiles',
    'number_sections',
]

Write = Callable[[float], str]

NONE = '–'
TRUE_MEDIAN_NEES = 5.35
"""Median of the chi-squared distribution with six degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the numbers that matter most."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number, over all queries, with its interval, and over the localized ones."""

    label: str
    over_all: str = ''
    interval: str = ''
    localized: str = ''


@dataclass(frozen=True, slots=True)
class Section:
    """Numbers that belong together."""

    title: str
    rows: tuple[NumberRow, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A run among others: medians, availability and recalls."""

    label: str
    position: str
    rotation: str
    localized: str
    recalls: tuple[str, ...]


def headline_tiles(metrics: Mapping[str, Any]) -> list[Tile]:
    """Give the numbers that are asked for first."""
    tiles = []
    queries, localized = metrics['queries'], metrics['localized']
    if queries:
        share = share_text(metrics['availability'])
        tiles.append(Tile('localized', share, f'{localized} of {queries} queries'))
    for label, key, write in _error_quantities(metrics['units']):
        if metrics['scored']:
            interval = _interval(metrics['intervals'][key], write)
            note = '' if interval == NONE else f'95 %: {interval}'
            tiles.append(Tile(label, _value(metrics[key], write, 'infinite'), note))
    if metrics['negatives']:
        bound = share_text(metrics['false_accept_rate_upper_bound'])
        count, negatives = metrics['false_accepts'], metrics['negatives']
        tiles.append(Tile('false accepts', f'{count} of {negatives}', f'at most {bound}'))
    latency = metrics['latency_ms']
    if latency['p50'] is not None:
        note = f'95 % within {milliseconds_tick(latency["p95"])}'
        tiles.append(Tile('time per query', milliseconds_tick(latency['p50']), note))
    return tiles


def number_sections(metrics: Mapping[str, Any]) -> list[Section]:
    """Give all numbers; sections without any are left out."""
    parts = (
        ('Errors', _errors),
        ('Covariance, where there is a pose', _covariance),
        ('Sequence', _sequence),
        ('Other places', _negatives),
        ('Time per query', _latency),
    )
    sections = [Section(title, tuple(rows(metrics))) for title, rows in parts]
    return [section for section in sections if section.rows]


def comparison_rows(runs: Mapping[str, Run]) -> list[ComparisonRow]:
    """Put runs beside each other; those without true poses are left out."""
    rows = []
    for label, run in runs.items():
        errors = [outcome.error for outcome in run.scored if outcome.error is not None]
        if not errors:
            continue
        statistics = error_statistics(errors)
        position, rotation = (
            _value(statistics[key], write, 'infinite')
            for _, key, write in _error_quantities(run.units)
        )
        localized = sum(math.isfinite(error[0]) for error in errors) / len(errors)
        recalls = tuple(share_text(share) for share in statistics['recall'].values())
        rows.append(ComparisonRow(label, position, rotation, share_text(localized), recalls))
    return rows


def changed_settings(run: Run) -> dict[str, str]:
    """Settings that are not the default ones, by key."""
    defaults = flatten(LocalizationConfig())
    return {
        key: str(value)
        for key, value in run.settings.items()
        if key != 'localizer' and (key not in defaults or defaults[key] != value)
    }


def _errors(metrics: Mapping[str, Any]) -> Iterator[NumberRow]:
    intervals, units = metrics['intervals'], metrics['units']
    if not metrics['scored']:
        return
    for label, key, write in _error_quantities(units):
        yield NumberRow(
            label,
            _value(metrics[key], write, 'infinite'),
            _interval(intervals[key], write),
            _value(metrics[f'localized_{key}'], write),
        )
    for name, share in metrics['recall'].items():
        interval = _interval(intervals['recall'][name], share_text)
        yield NumberRow(f'within {recall_name(name, units)}', share_text(share), interval)


def _covariance(metrics: Mapping[str, Any]) -> Iterator[NumberRow]:
    figures = metrics['covariance']['pose']
    for level, share in figures['coverage'].items():
        if share is not None:
            interval = _interval(figures['coverage_intervals'][level], share_text)
            label = f'errors in the {level.replace("%", " %")} region'
            yield NumberRow(label, share_text(share), interval)
    if figures['median_nees'] is not None:
        label = f'median NEES ({TRUE_MEDIAN_NEES} if true)'
        yield NumberRow(label, f'{figures["median_nees"]:.3g}')


def _sequence(metrics: Mapping[str, Any]) -> Iterator[NumberRow]:
    if metrics['longest_gap_s'] is None:
        return
    first, trajectory = metrics['time_to_first_fix_s'], metrics['trajectory']
    yield NumberRow('time to first fix', 'never' if first is None else f'{first:.3g} s')
    yield NumberRow('longest gap without a pose', f'{metrics["longest_gap_s"]:.3g} s')
    if not metrics['scored']:
        return
    length = _length(metrics['units'])
    yield NumberRow('length of the path', length(trajectory['path_length_m']))
    for label, figures, key, write in (
        ('ATE, RMSE', trajectory['ate']['none'], 'rmse_m', length),
        ('ATE, aligned, RMSE', trajectory['ate']['se3'], 'rmse_m', length),
        ('RPE over 1 s, position, RMSE', trajectory['rpe_time'], 'position_rmse_m', length),
        ('RPE over 1 s, rotation, RMSE', trajectory['rpe_time'], 'rotation_rmse_deg', angle_text),
    ):
        if figures is not None:
            yield NumberRow(label, write(figures[key]))


def _negatives(metrics: Mapping[str, Any]) -> Iterator[NumberRow]:
    if metrics['negatives']:
        bound = f'at most {share_text(metrics["false_accept_rate_upper_bound"])}'
        count = f'{metrics["false_accepts"]} of {metrics["negatives"]}'
        yield NumberRow('false accepts', count, bound)


def _latency(metrics: Mapping[str, Any]) -> Iterator[NumberRow]:
    latency = metrics['latency_ms']
    if latency['p50'] is None:
        return
    for label, key in (('median', 'p50'), ('95 %', 'p95'), ('99 %', 'p99'), ('longest', 'max')):
        yield NumberRow(label, milliseconds_tick(latency[key]))
    for stage, milliseconds in latency['stages'].items():
        yield NumberRow(f'{stage.replace("_", " ")}, median', milliseconds_tick(milliseconds))


def _error_quantities(units: str) -> tuple[tuple[str, str, Write], ...]:
    return (
        ('median position', 'median_position_error_m', _length(units)),
        ('median rotation', 'median_rotation_error_deg', angle_text),
    )


def _length(units: str) -> Write:
    return lambda value: length_text(value, units)


def _value(value: float | None, write: Write, missing: str = NONE) -> str:
    return missing if value is None else write(value)


def _interval(bounds: list[float | None] | None, write: Write) -> str:
    if bounds is None:
        return NONE
    low, high = bounds
    return interval_text(low, high, write)
