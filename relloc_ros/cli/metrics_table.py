# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from relloc_ros.cli.console import stdout

__all__ = ['print_metrics']


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print the content of metrics.json for people."""
    table = Table(title=f"localizer '{metrics['localizer']}', pose of {metrics['body']}")
    table.add_column('')
    table.add_column('all queries', justify='right')
    table.add_column('localized', justify='right')
    units = metrics['units']
    localized = f'{metrics["localized"]} ({metrics["availability"]:.1%})'
    table.add_row('queries', str(metrics['queries']), localized)
    for label, key, unit in (
        ('median position error', 'median_position_error_m', units),
        ('median rotation error', 'median_rotation_error_deg', '°'),
    ):
        over_all = _figure(metrics[key], unit, 'infinite' if metrics['scored'] else '-')
        table.add_row(label, over_all, _figure(metrics[f'localized_{key}'], unit))
    for name, share in metrics['recall'].items():
        position, rotation = name.removesuffix('deg').split('m_')
        label = f'within {position} {units}, {rotation}°'
        table.add_row(label, '-' if share is None else f'{share:.1%}', '')
    table.add_section()
    latency = metrics['latency_ms']
    table.add_row('time per query, median', _figure(latency['p50'], 'ms'), '')
    table.add_row('time per query, 95 %', _figure(latency['p95'], 'ms'), '')
    stdout.print(table)
    failures = {name: n for name, n in metrics['statuses'].items() if name != 'LOCALIZED'}
    if failures:
        stdout.print('not localized: ' + ', '.join(f'{n} {name}' for name, n in failures.items()))


def _figure(value: float | None, unit: str, missing: str = '-') -> str:
    return missing if value is None else f'{value:.3g} {unit}'.replace(' °', '°')
