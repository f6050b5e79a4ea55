# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A line for each query, or for the worst of very many."""

from __future__ import annotations

from dataclasses import dataclass
import math

from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.report.scales import milliseconds_tick
from relloc_ros.evaluation.wording import angle_text, length_text

__all__ = ['COLUMNS', 'Cell', 'QueryRow', 'QueryTable', 'query_table', 'what_happened']

MAX_ROWS = 300
"""More make the page slow."""

COLUMNS = (
    ('query', False),
    ('status', False),
    ('position', True),
    ('rotation', True),
    ('inliers', True),
    ('NEES', True),
    ('time', True),
    ('blamed', False),
)
"""Headings, and whether it is a number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and what it is sorted by: a number; None is last in either direction."""

    text: str
    key: float | None = None


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query.

    Attributes:
        cells: in the order of `COLUMNS`.
        detail: why it failed; '' otherwise.
        bad: whether it failed.
    """

    cells: tuple[Cell, ...]
    detail: str
    bad: bool


@dataclass(frozen=True, slots=True)
class QueryTable:
    """Rows, and how many queries there are."""

    rows: tuple[QueryRow, ...]
    total: int


def query_table(run: Run) -> QueryTable:
    """Give all queries in order; of very many the worst, the worst first."""
    outcomes = list(run.outcomes)
    if len(outcomes) > MAX_ROWS:
        outcomes = sorted(outcomes, key=_badness, reverse=True)[:MAX_ROWS]
    return QueryTable(tuple(_row(o, run.units) for o in outcomes), len(run.outcomes))


def what_happened(outcome: Outcome, units: str) -> str:
    """Say in a few words what came out."""
    if outcome.negative:
        return 'localized, though it shows another place' if outcome.localized else 'refused'
    if outcome.error is None:
        return 'localized' if outcome.localized else 'no pose'
    if not outcome.localized:
        return 'no pose'
    return f'{length_text(outcome.error[0], units)} and {angle_text(outcome.error[1])} off'


def _row(outcome: Outcome, units: str) -> QueryRow:
    position, rotation = outcome.error or (None, None)
    total = outcome.timings_ms.get('total')
    nees = outcome.nees
    status = f'{outcome.status}, negative' if outcome.negative else str(outcome.status)
    cells = (
        Cell(outcome.name),
        Cell(status),
        Cell('' if position is None else _finite(length_text(position, units)), position),
        Cell('' if rotation is None else _finite(angle_text(rotation)), rotation),
        Cell(f'{outcome.num_inliers} of {outcome.num_matches}', outcome.num_inliers),
        Cell('' if nees is None else f'{nees:.3g}', nees),
        Cell('' if total is None else milliseconds_tick(total), total),
        Cell('false accept' if outcome.negative and outcome.localized else outcome.failure),
    )
    return QueryRow(cells, outcome.failure_detail or outcome.reason, _failed(outcome))


def _finite(text: str) -> str:
    return '∞' if text == 'infinite' else text


def _failed(outcome: Outcome) -> bool:
    if outcome.negative:
        return outcome.localized
    return bool(outcome.failure) or not outcome.localized


def _badness(outcome: Outcome) -> tuple[bool, bool, float]:
    error = outcome.error[0] if outcome.error is not None else 0.0
    return outcome.negative and outcome.localized, _failed(outcome), min(error, math.inf)
