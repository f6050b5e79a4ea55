# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from relloc_ros.cli.console import stdout

__all__ = ['print_metrics']

Write = Callable[[float], str]


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the content of metrics.json for people."""
    table = Table(
        title=f"localizer '{metrics['localizer']}', pose of {metrics['body']}", box=box.ROUNDED
    )
    table.add_column('')
    for heading in ('all queries', '95 % interval', 'localized'):
        table.add_column(heading, justify='right')
    _add_errors(table, metrics)
    _add_covariance(table, metrics['covariance']['pose'])
    _add_sequence(table, metrics)
    _add_negatives(table, metrics)
    _add_latency(table, metrics['latency_ms'])
    stdout.print(table)
    for note in _notes(metrics):
        stdout.print(note)


def _add_errors(table: Table, metrics: Mapping[str, Any]) -> None:
    from relloc_ros.evaluation.wording import recall_name, share_text

    units, intervals = metrics['units'], metrics['intervals']
    availability = metrics['availability']
    localized = str(metrics['localized'])
    if availability is not None:
        localized += f' ({share_text(availability)})'
    table.add_row('queries', str(metrics['queries']), '', localized)
    for label, key, write in (
        ('median position error', 'median_position_error_m', _length_writer(units)),
        ('median rotation error', 'median_rotation_error_deg', _angle),
    ):
        missing = 'infinite' if metrics['scored'] else '-'
        over_all = missing if metrics[key] is None else write(metrics[key])
        of_localized = metrics[f'localized_{key}']
        table.add_row(
            label,
            over_all,
            _interval(intervals[key], write),
            '-' if of_localized is None else write(of_localized),
        )
    for name, share in metrics['recall'].items():
        table.add_row(
            f'within {recall_name(name, units)}',
            '-' if share is None else share_text(share),
            _interval(intervals['recall'][name], share_text),
            '',
        )


def _add_covariance(table: Table, figures: Mapping[str, Any]) -> None:
    from relloc_ros.evaluation.wording import share_text

    coverage = figures['coverage']['95%']
    if coverage is None:
        return
    table.add_section()
    interval = _interval(figures['coverage_intervals']['95%'], share_text)
    table.add_row('in 95 % of covariance', '', interval, share_text(coverage))
    nees = f'{figures["median_nees"]:.3g}'
    table.add_row('median NEES (true: 5.35)', '', '', nees)


def _add_sequence(table: Table, metrics: Mapping[str, Any]) -> None:
    if metrics['longest_gap_s'] is None:
        return
    table.add_section()
    first = metrics['time_to_first_fix_s']
    table.add_row('time to first fix', 'never' if first is None else f'{first:.3g} s', '', '')
    table.add_row('longest gap without a pose', f'{metrics["longest_gap_s"]:.3g} s', '', '')
    length = _length_writer(metrics['units'])
    trajectory = metrics['trajectory']
    for label, figures, key, write in (
        ('ATE, RMSE', trajectory['ate']['none'], 'rmse_m', length),
        ('ATE, RMSE, aligned', trajectory['ate']['se3'], 'rmse_m', length),
        ('RPE over 1 s, RMSE', trajectory['rpe_time'], 'position_rmse_m', length),
        ('', trajectory['rpe_time'], 'rotation_rmse_deg', _angle),
    ):
        if figures is not None:
            table.add_row(label, '', '', write(figures[key]))


def _add_negatives(table: Table, metrics: Mapping[str, Any]) -> None:
    from relloc_ros.evaluation.wording import share_text

    negatives = metrics['negatives']
    if not negatives:
        return
    table.add_section()
    bound = f'at most {share_text(metrics["false_accept_rate_upper_bound"])}'
    table.add_row('false accepts', f'{metrics["false_accepts"]} of {negatives}', bound, '')


def _add_latency(table: Table, latency: Mapping[str, Any]) -> None:
    if latency['p50'] is None:
        return
    table.add_section()
    for label, key in (('median', 'p50'), ('95 %', 'p95'), ('99 %', 'p99'), ('longest', 'max')):
        table.add_row(f'time per query, {label}', f'{latency[key]:.3g} ms', '', '')
    for stage, milliseconds in latency['stages'].items():
        label = f'  {stage.replace("_", " ")}, median'
        table.add_row(label, f'{milliseconds:.3g} ms', '', '', style='dim')


def _notes(metrics: Mapping[str, Any]) -> list[str]:
    notes = []
    statuses = {name: n for name, n in metrics['statuses'].items() if name != 'LOCALIZED'}
    if statuses:
        notes.append('not localized: ' + ', '.join(f'{n} {name}' for name, n in statuses.items()))
    blamed = {stage: n for stage, n in metrics['failures'].items() if n}
    if blamed:
        notes.append('failures blamed on: ' + ', '.join(f'{n} {s}' for s, n in blamed.items()))
    length = metrics['intervals']['block_length']
    if length is not None and length > 1:
        notes.append(
            f'intervals: neighbouring queries are alike, so {length} at a time are resampled'
        )
    return notes


def _interval(bounds: Sequence[float | None] | None, write: Write) -> str:
    from relloc_ros.evaluation.wording import interval_text

    return '-' if bounds is None else interval_text(bounds[0], bounds[1], write)


def _length_writer(units: str) -> Write:
    from relloc_ros.evaluation.wording import length_text

    return lambda value: length_text(value, units)


def _angle(value: float) -> str:
    from relloc_ros.evaluation.wording import angle_text

    return angle_text(value)
