# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of speed in the page of `run.py`: queries, stages, other ways, node, decoding, start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from profiles import accuracy_cells, number

__all__ = ['node_table', 'peer_table', 'query_table', 'row', 'stage_table']

Figures = Mapping[str, Any]


def row(cells: Sequence[str]) -> str:
    """Write a row of a table in Markdown."""
    return f'| {" | ".join(cells)} |'


def query_table(latency: Figures) -> list[str]:
    """Write time of queries beside the reference.

    Args:
        latency: what `latency.py` gave, by name of the set.
    """
    lines = [
        '| set | image | queries | reference ms | ms p50 | ms p95 | p50 × reference | '
        'p95 × reference | p50 × reference, CPU | p95 × reference, CPU |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, values in latency.items():
        cells = [
            name,
            values['image_size'],
            str(values['queries']),
            *(number(values[f'{key}_ms_p50'], 0) for key in ('reference', 'total')),
            number(values['total_ms_p95'], 0),
            *(number(values[f'total_per_reference_{key}'], 2) for key in ('p50', 'p95')),
            *(number(values[f'total_per_reference_cpu_{key}'], 2) for key in ('p50', 'p95')),
        ]
        lines.append(row(cells))
    return lines


def stage_table(latency: Figures) -> list[str]:
    """Write where the time goes.

    Args:
        latency: what `latency.py` gave, by name of the set.
    """
    stages = dict.fromkeys(name for values in latency.values() for name in values['stages_ms_p50'])
    lines = [row(['set', *stages, 'total']), '|' + '---|' * (len(stages) + 2)]
    for name, values in latency.items():
        cells = [number(values['stages_ms_p50'].get(stage), 0) for stage in stages]
        lines.append(row([name, *cells, number(values['total_ms_p50'], 0)]))
    return lines


def peer_table(latency: Figures) -> list[str]:
    """Write other ways to a pose beside ours.

    Args:
        latency: what `latency.py` gave, by name of the set.
    """
    lines = [
        '| set | way | position | rotation | within 5 cm, 5° | localized | ms p50 | × ours | '
        'CPU ms p50 | × ours, CPU |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, values in latency.items():
        ours = {
            **values,
            'ms_p50': values['total_ms_p50'],
            'cpu_ms_p50': values['total_cpu_ms_p50'],
            'per_total': 1.0,
            'per_total_cpu': 1.0,
        }
        for way, peer in {'ours': ours, **values['peers']}.items():
            if 'left_out' in peer:
                lines.append(row([name, way, peer['left_out'], *[''] * 7]))
                continue
            cells = [
                number(peer['ms_p50'], 0),
                number(peer['per_total'], 1),
                number(peer['cpu_ms_p50'], 0),
                number(peer['per_total_cpu'], 1),
            ]
            lines.append(row([name, way, *accuracy_cells(peer), *cells]))
    return lines


def node_table(figures: Figures) -> list[str]:
    """Write what node, decoding and start take.

    Args:
        figures: by name of the part; those that were not measured are not there.
    """
    rows: list[tuple[str, Figures, str]] = []
    start = figures.get('start', {})
    for key, what in (
        ('python', 'Python itself'),
        ('import_relloc_ros', '`import relloc_ros`'),
        ('relloc_help', '`relloc --help`'),
        ('node_active', 'node to active, with the map of redkitchen'),
    ):
        if key in start:
            rows.append((what, start[key], 's'))
    for part in ('latency_redkitchen', 'node_compressed'):
        node = figures.get(part, {})
        if 'node_overhead_ms_p50' in node and 'node_left_out' not in node:
            what = f'node, 640x480 {node["node_image_transport"]}: image in to pose out, less core'
            times = {f'ms_{key}': node[f'node_overhead_ms_{key}'] for key in ('p50', 'p95')}
            rows.append((what, times, 'ms'))
    for name, values in figures.get('decoding', {}).items():
        rows.append((f'1920x1080 `{name}` to pixels', values, 'ms'))
    lines = ['| what | p50 | p95 | p50, CPU |', '|---|---|---|---|']
    for what, values, unit in rows:
        found = [values.get(f'{key}{unit}_{end}') for key, end in _COLUMNS]
        cells = ['–' if time is None else f'{time:.2f} {unit}' for time in found]
        lines.append(row([what, *cells]))
    return lines


_COLUMNS = (('', 'p50'), ('', 'p95'), ('cpu_', 'p50'))
