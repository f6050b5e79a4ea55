# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of queries that must be localized and of others that must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any

from hard_queries import INDOORS
import numpy as np
from rich.console import Console
from rich.table import Table

from relloc_ros.confidence import RATES, least_confidence
from relloc_ros.confidence import rate as rate_pose
from relloc_ros.config import AcceptanceConfig
from relloc_ros.evaluation.proportions import binomial_upper_bound
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate

__all__ = ['confidence', 'is_good', 'is_right', 'passes', 'print_figures', 'read_pose', 'wanted']

INDOOR_LIMITS, OUTDOOR_LIMITS = (0.05, 5.0), (0.25, 2.0)
UNIT_LIMITS = (0.05, 2.0)
"""Of a set whose unit of length is nobody's."""
UNSCALED = 'south_building'
SIGMAS = 5.0
SPOILT = ('dark', 'motion', 'strong motion', 'motion beyond use')
"""Kinds of queries that are made worse, and may be refused without loss."""
LEAST_AVAILABILITY = 0.97
WORST_RATE = 0.002

Row = dict[str, Any]


def limits(row: Row) -> tuple[float, float]:
    """How far off a good pose of this set may be: map units, degrees."""
    if row['set'] == UNSCALED:
        return UNIT_LIMITS
    return INDOOR_LIMITS if row['set'] in INDOORS else OUTDOOR_LIMITS


def wanted(row: Row) -> AcceptanceConfig:
    """Give the tolerances that a robot in this set would be given."""
    position, orientation = limits(row)
    return AcceptanceConfig(position_tolerance=position, orientation_tolerance_deg=orientation)


def read_pose(row: Row) -> PoseEstimate:
    """Give a pose at nowhere, with the covariance of the row's."""
    return PoseEstimate(RigidTransform.identity(), np.array(row['pose']['covariance']))


def passes(row: Row) -> bool:
    """Whether the limits let a pose through, whatever its confidence."""
    return bool(row['status'] == 'LOCALIZED')


def confidence(row: Row) -> float:
    """Confidence of the pose of a row; 0 where the limits refuse it."""
    if not passes(row):
        return 0.0
    pose = row['pose']
    return rate_pose(pose['agreement'], pose['inliers'], read_pose(row), wanted(row))


def is_good(row: Row) -> bool:
    """Whether there is a pose, within the limits of error."""
    if row['pose'] is None or not row['has_truth']:
        return False
    position, orientation = limits(row)
    return bool(row['pose']['error'] <= position and row['pose']['error_deg'] <= orientation)


def is_sure_of_wrong(row: Row) -> bool:
    """Whether a pose is further from the truth than five standard deviations."""
    return row['pose'] is not None and row['has_truth'] and row['pose']['nees'] > SIGMAS**2


def is_right(row: Row) -> bool:
    """Whether accepting the pose is no false accept."""
    return is_good(row) and not is_sure_of_wrong(row)


def print_figures(
    console: Console, localizer: str, rows: Sequence[Row], rate: float
) -> list[dict[str, Any]]:
    """Print a row for each kind of query, sums, and what other rates give; judge the targets."""
    least = least_confidence(rate)
    confidences = {id(row): confidence(row) for row in rows}

    def accepted(row: Row) -> bool:
        return passes(row) and confidences[id(row)] >= least

    table = Table(box=None, pad_edge=False)
    headings = ('query', 'n', 'poses', 'good', 'limits', 'accepted', 'of the good', 'wrong')
    for heading in (*headings, 'over 5 σ'):
        table.add_column(heading)
    for kind in dict.fromkeys(sorted(row['kind'] for row in rows)):
        _add(table, kind, [row for row in rows if row['kind'] == kind], accepted)
    _add(table, 'all', rows, accepted)
    console.print(table)
    uncalibrated = sorted({row['set'] for row in rows if not row['calibrated']})
    if uncalibrated:
        console.print(f'covariances not calibrated: {", ".join(uncalibrated)}')
    console.print(f'{localizer}, rate {rate:g}: poses of a confidence of {least:.3f} and more')
    targets = _judge(console, localizer, rows, accepted)
    _print_rates(console, rows, confidences)
    _print_false(console, rows, confidences, accepted)
    return targets


def _add(table: Table, kind: str, rows: Sequence[Row], accepted: Callable[[Row], bool]) -> None:
    good = [row for row in rows if is_good(row)]
    let = [row for row in rows if accepted(row)]
    table.add_row(
        kind,
        str(len(rows)),
        str(sum(row['pose'] is not None for row in rows)),
        str(len(good)),
        str(sum(passes(row) for row in rows)),
        str(len(let)),
        str(sum(accepted(row) for row in good)),
        str(sum(not is_good(row) for row in let)),
        str(sum(is_sure_of_wrong(row) for row in let)),
    )


def _judge(
    console: Console, localizer: str, rows: Sequence[Row], accepted: Callable[[Row], bool]
) -> list[dict[str, Any]]:
    """Print false accepts with their bounds, and the availability; give what was aimed at."""
    whole = [row for row in rows if row['kind'] not in SPOILT]
    targets = []
    for title, part in (
        ('negatives', [row for row in rows if not row['has_truth']]),
        ('negatives, queries as they are, images left out', whole),
        ('all, with queries that are spoilt', list(rows)),
    ):
        false = sum(accepted(row) and not is_right(row) for row in part)
        bound = binomial_upper_bound(false, len(part)) or 1.0
        share = 100.0 * false / max(len(part), 1)
        console.print(
            f'{localizer}, {title}: {false} false accepts of {len(part)}, {share:.2f} % '
            f'(at most {bound:.2%}, 95 % confidence)'
        )
        figure = f'{false} of {len(part)} (at most {bound:.2%}, 95 % confidence)'
        what = f'{localizer}: false accepts, {title}'
        targets.append(_target(what, figure, '≤ 1 of 500', false <= WORST_RATE * len(part)))
    good = [row for row in whole if is_good(row)]
    kept = sum(accepted(row) for row in good)
    availability = kept / max(len(good), 1)
    console.print(
        f'{localizer}: availability {kept} of {len(good)} good poses of queries as they are and '
        f'of images left out, {availability:.1%} of the oracle'
    )
    what = f'{localizer}: availability, share of the oracle'
    reached = availability >= LEAST_AVAILABILITY
    targets.append(_target(what, f'{availability:.1%}', '≥ 97 %', reached))
    return targets


def _target(what: str, figure: str, target: str, reached: bool) -> dict[str, Any]:
    return {'what': what, 'figure': figure, 'target': target, 'reached': bool(reached)}


def _print_rates(console: Console, rows: Sequence[Row], confidences: dict[int, float]) -> None:
    """Print what each rate asks for and gives."""
    table = Table(box=None, pad_edge=False)
    for heading in ('rate asked for', 'least confidence', 'false accepts', 'rate', 'availability'):
        table.add_column(heading)
    good = [row for row in rows if is_good(row) and row['kind'] not in SPOILT]
    for rate, least in RATES:
        let = [row for row in rows if passes(row) and confidences[id(row)] >= least]
        false = sum(not is_right(row) for row in let)
        kept = sum(passes(row) and confidences[id(row)] >= least for row in good)
        table.add_row(
            f'{rate:.2%}',
            f'{least:.3f}',
            f'{false} of {len(rows)}',
            f'{false / max(len(rows), 1):.2%}',
            f'{kept / max(len(good), 1):.1%}',
        )
    console.print(table)


def _print_false(
    console: Console,
    rows: Sequence[Row],
    confidences: dict[int, float],
    accepted: Callable[[Row], bool],
) -> None:
    for row in rows:
        if accepted(row) and not is_right(row):
            pose = row['pose']
            error, nees = pose.get('error', math.nan), pose.get('nees', math.nan)
            console.print(
                f'false accept: {row["set"]} {row["kind"]} {row["name"]}, confidence '
                f'{confidences[id(row)]:.3f}, error {error:.3f}, NEES {nees:.1f}'
            )
