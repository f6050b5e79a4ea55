# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the study of absolute pose regression, made of raw outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import json
from pathlib import Path

import numpy as np
from speed_tables import row
from study_apr_plan import EXPERIMENTS, AprPlan
from study_steps import valid_record

from relloc_ros.evaluation.outcomes import read_run

__all__ = ['make_page']

WAYS = ('line', 'lines', 'general')
DENSE = tuple(name for name in EXPERIMENTS if name not in WAYS)
GENERAL = 'general'

TABLE_1: Mapping[str, tuple[str, ...]] = {
    'PoseNet': (
        *('1.19 / 6.88', '1.02 / 6.48', '0.74 / 7.07', '0.79 / 5.84', '1.15 / 8.10'),
        *('0.86 / 6.88', '0.54 / 5.84', '0.66 / 6.88', '0.66 / 6.06', '0.68 / 5.38'),
    ),
    'MapNet': (
        *('1.07 / 4.70', '0.61 / 3.31', '0.64 / 2.85', '0.41 / 2.18', '0.72 / 3.41'),
        *('0.42 / 2.06', '0.38 / 2.31', '0.69 / 3.18', '0.44 / 2.39', '0.33 / 1.46'),
    ),
    'Active Search': ('0.01 / 0.04', *[''] * 9),
    'DenseVLAD': (
        *('0.98 / 7.90', '0.79 / 8.01', '0.74 / 7.81', '0.63 / 7.68', '0.72 / 7.81'),
        *('0.61 / 7.38', '0.57 / 6.94', '0.66 / 7.81', '0.60 / 7.27', '0.51 / 6.87'),
    ),
    'DenseVLAD+Inter.': (
        *('0.89 / 5.71', '0.75 / 5.62', '0.52 / 6.65', '0.45 / 6.93', '0.57 / 5.96'),
        *('0.48 / 6.13', '0.41 / 6.41', '0.49 / 6.07', '0.46 / 6.26', '0.38 / 6.41'),
    ),
}
"""Sattler et al., CVPR 2019: m / degrees, without a grid and in the order of DENSE."""


def make_page(plan: AprPlan, results: Path) -> str:
    """Write Markdown; a cell that was not run stays empty.

    Raises:
        DataError: a raw output is damaged.
    """
    scale = plan.scale
    dense = (GENERAL, *DENSE)
    lines = [
        '# Absolute pose regression: the study in the small',
        '',
        f'Written by `python benchmarks/study_apr.py --results RESULTS --scale {plan.scale_name}` '
        f'({scale.what}); do not edit it. Images of {scale.size} pixels, {scale.map_images} of a '
        f'way and {scale.queries} queries, by `relloc synth`. Median errors of all queries, '
        'metres / degrees; a query without a pose counts as infinitely wrong.',
        '',
        '## Ways',
        '',
        *_errors(plan, results, WAYS),
        '',
        '## What predictions cannot leave',
        '',
        *_statements(plan, results),
        '',
        '## Dense sampling',
        '',
        *_errors(plan, results, dense),
        '',
        'The same of Sattler et al., CVPR 2019, table 1, on renderings of Shop Facade:',
        '',
        *_table(('method', *dense), [(name, *cells) for name, cells in TABLE_1.items()]),
    ]
    return '\n'.join(lines) + '\n'


def _errors(plan: AprPlan, results: Path, names: Sequence[str]) -> list[str]:
    counts = ['images of the map', *(_num_images(plan, results, name) for name in names)]
    rows = [[method, *(_median(plan, results, method, name) for name in names)]
            for method in plan.methods]  # fmt: skip
    return _table(('method', *names), [counts, *rows])


def _num_images(plan: AprPlan, results: Path, name: str) -> str:
    step = f'scene/{name}'
    if valid_record(plan, results, step) is None:
        return ''
    return str(len((results / step / 'map.txt').read_text('utf-8').split()))


def _median(plan: AprPlan, results: Path, method: str, name: str) -> str:
    step = f'cell/{method}/{name}'
    if valid_record(plan, results, step) is None:
        return ''
    errors = [outcome.error for outcome in read_run(results / step).scored]
    if not errors:
        return ''
    position, rotation = np.median(errors, axis=0)
    return f'{position:.2f} / {rotation:.2f}'


def _statements(plan: AprPlan, results: Path) -> list[str]:
    return _table(('network', 'way', 'statement', 'of queries'), list(_analyses(plan, results)))


def _analyses(plan: AprPlan, results: Path) -> Iterator[Sequence[str]]:
    for name in WAYS:
        for variant in plan.scale.variants:
            step = f'analysis/{variant}-{name}'
            known = valid_record(plan, results, step) is not None
            values = json.loads((results / step / 'analysis.json').read_text()) if known else {}
            queries = values.get('queries', [])
            outside = sum(bool(query['outside']) for query in queries)
            share = f'{outside} of {len(queries)} taken outside' if known else ''
            yield variant, name, values.get('statement', ''), share


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [row(header), '|---' * len(header) + '|', *map(row, rows)]
