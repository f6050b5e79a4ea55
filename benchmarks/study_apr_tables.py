# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the study of absolute pose regression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import json
from pathlib import Path

from speed_tables import row
from study_apr_figures import AprPublished, AprSource, OursApr, published_name
from study_apr_plan import DENSE, GENERAL, REAL_SETS, WAYS, AprPlan
from study_steps import valid_record
from study_verdicts import format_error

__all__ = [
    'dense_table',
    'off_training_table',
    'published_dense_table',
    'real_table',
    'statements_table',
    'ways_table',
]

OUR_DIGITS, PAPER_DIGITS = 3, 2
KITCHEN = 'redkitchen'


def ways_table(plan: AprPlan, results: Path, ours: OursApr) -> list[str]:
    """Write errors along the ways."""
    return _errors(plan, results, ours, tuple(WAYS), plan.methods)


def dense_table(plan: AprPlan, results: Path, ours: OursApr) -> list[str]:
    """Write errors on grids, beside those without."""
    return _errors(plan, results, ours, (GENERAL, *DENSE), plan.methods)


def published_dense_table(plan: AprPlan) -> list[str]:
    """Write table 1 of the paper, in the same columns."""
    published, names = AprPublished(), (GENERAL, *DENSE)
    rows = [
        [published_name(method), *_cells(published, method, names, PAPER_DIGITS)]
        for method in plan.methods
        if published_name(method)
    ]
    return _table(('method of the paper', *names), rows)


def real_table(plan: AprPlan, ours: OursApr) -> list[str]:
    """Write errors of real sets, and the paper's of the kitchen."""
    published = AprPublished()
    rows = []
    for method in plan.methods:
        name, (there,) = (
            published_name(method),
            _cells(published, method, (KITCHEN,), PAPER_DIGITS),
        )
        beside = f'{name}: {there}' if there else ''
        rows.append([method, *_cells(ours, method, tuple(REAL_SETS)), beside])
    return _table(('method', *REAL_SETS, 'Sattler et al.: RedKitchen'), rows)


def off_training_table(plan: AprPlan, ours: OursApr) -> list[str]:
    """Write how far estimates and queries are from the positions of the map."""
    rows = []
    for method in plan.methods:
        known = [ours.off_training(method, name) for name in WAYS]
        rows.append([method, *('' if each is None else f'{each[0]:.2f}' for each in known)])
    truth = []
    for name in WAYS:
        found = (ours.off_training(method, name) for method in plan.methods)
        first = next((each for each in found if each is not None), None)
        truth.append('' if first is None else f'{first[1]:.2f}')
    return _table(('estimates of', *WAYS), [*rows, ['*the queries, truly*', *truth]])


def statements_table(plan: AprPlan, results: Path) -> list[str]:
    """Write what analyses say."""
    header = ('network', 'way', 'statement', 'queries outside')
    return _table(header, list(_analyses(plan, results)))


def _analyses(plan: AprPlan, results: Path) -> Iterator[Sequence[str]]:
    for name in (*WAYS, *plan.choice.real):
        for variant in plan.scale.variants:
            step = f'analysis/{variant}-{name}'
            file = results / step / 'analysis.json'
            if valid_record(plan, results, step) is None or not file.exists():
                yield variant, name, '', ''
                continue
            values = json.loads(file.read_text('utf-8'))
            queries = values['queries']
            outside = sum(bool(query['outside']) for query in queries)
            yield variant, name, values['statement'], f'{outside} of {len(queries)}'


def _errors(
    plan: AprPlan, results: Path, ours: OursApr, names: Sequence[str], methods: Sequence[str]
) -> list[str]:
    counts = ['*images of the map*', *(_num_images(plan, results, name) for name in names)]
    rows = [[method, *_cells(ours, method, names)] for method in methods]
    return _table(('method', *names), [counts, *rows])


def _cells(
    source: AprSource, method: str, names: Sequence[str], digits: int = OUR_DIGITS
) -> list[str]:
    return [format_error(source.error(method, name), digits=digits) for name in names]


def _num_images(plan: AprPlan, results: Path, name: str) -> str:
    file = results / 'scene' / name / 'map.txt'
    if valid_record(plan, results, f'scene/{name}') is None or not file.exists():
        return ''
    return str(len(file.read_text('utf-8').split()))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [row(header), '|---' * len(header) + '|', *map(row, rows)]
