# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of queries that must be localized and of others that must not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hard_queries import INDOORS
from rich.console import Console
from rich.table import Table

from relloc_ros.evaluation.proportions import binomial_upper_bound

__all__ = ['is_accepted', 'is_good', 'is_sure_of_wrong', 'print_figures']

INDOOR_LIMITS, OUTDOOR_LIMITS = (0.05, 5.0), (0.25, 2.0)
UNIT_LIMITS = (0.05, 2.0)
"""Of a set whose unit of length is nobody's."""
UNSCALED = 'south_building'
SIGMAS = 5.0

Row = dict[str, Any]


def is_accepted(row: Row) -> bool:
    """Whether the present rule lets a pose through."""
    return bool(row['status'] == 'LOCALIZED')


def is_good(row: Row) -> bool:
    """Whether there is a pose, and a right one."""
    if row['pose'] is None or not row['has_truth']:
        return False
    limits = INDOOR_LIMITS if row['set'] in INDOORS else OUTDOOR_LIMITS
    if row['set'] == UNSCALED:
        limits = UNIT_LIMITS
    return bool(row['pose']['error'] <= limits[0] and row['pose']['error_deg'] <= limits[1])


def is_sure_of_wrong(row: Row) -> bool:
    """Whether a pose is further from the truth than five standard deviations."""
    return row['pose'] is not None and row['has_truth'] and row['pose']['nees'] > SIGMAS**2


def print_figures(console: Console, localizer: str, rows: Sequence[Row]) -> None:
    """Print a row for each kind of query, and the sums."""
    table = Table(box=None, pad_edge=False)
    for heading in ('query', 'n', 'poses', 'good', 'accepted', 'of the good', 'wrong', 'over 5 σ'):
        table.add_column(heading)
    for kind in dict.fromkeys(sorted(row['kind'] for row in rows)):
        _add(table, kind, [row for row in rows if row['kind'] == kind])
    _add(table, 'all', rows)
    console.print(table)
    uncalibrated = sorted({row['set'] for row in rows if not row['calibrated']})
    if uncalibrated:
        console.print(f'covariances not calibrated: {", ".join(uncalibrated)}')
    _print_bounds(console, localizer, rows)


def _add(table: Table, kind: str, rows: Sequence[Row]) -> None:
    accepted = [row for row in rows if is_accepted(row)]
    good = [row for row in rows if is_good(row)]
    table.add_row(
        kind,
        str(len(rows)),
        str(sum(row['pose'] is not None for row in rows)),
        str(len(good)),
        str(len(accepted)),
        str(sum(is_accepted(row) for row in good)),
        str(sum(not is_good(row) for row in accepted)),
        str(sum(is_sure_of_wrong(row) for row in accepted)),
    )


def _print_bounds(console: Console, localizer: str, rows: Sequence[Row]) -> None:
    negatives = [row for row in rows if not row['has_truth']]
    others = [row for row in rows if row['has_truth']]
    for title, part in (
        ('negatives', negatives),
        ('queries with a truth', others),
        ('all', list(rows)),
    ):
        wrong = sum(is_accepted(row) and not is_good(row) for row in part)
        bound = binomial_upper_bound(wrong, len(part)) or 1.0
        either = sum(
            is_accepted(row) and (not is_good(row) or is_sure_of_wrong(row)) for row in part
        )
        either_bound = binomial_upper_bound(either, len(part)) or 1.0
        console.print(
            f'{localizer}, {title}: {wrong} wrong accepted of {len(part)} (at most {bound:.2%}, '
            f'95 % confidence); with those over 5 σ {either} (at most {either_bound:.2%})'
        )
    good = [row for row in rows if is_good(row)]
    kept = sum(is_accepted(row) for row in good)
    console.print(
        f'{localizer}: availability {kept} of {len(good)} good poses, '
        f'{kept / max(len(good), 1):.1%} of the oracle'
    )
