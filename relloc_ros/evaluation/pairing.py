# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of several runs on the same queries, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.evaluation.bootstrap import choose_block_length
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.geometry import Array, pose_error

__all__ = ['PairedErrors', 'pair_runs']

TRUTH_TOLERANCE = 1e-3
"""True positions may differ by this fraction of their extent, or of one unit, rotations by as many
radians: text files round."""

MIN_BLOCKS = 10
"""Fewer cannot tell anything from chance: swaps of five blocks come out even in 6 % of all cases,
however large the difference."""

Key = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class PairedErrors:
    """Errors of several runs on their common queries.

    Attributes:
        labels: names of the runs.
        errors: for each run (N, 2) map units and degrees, infinite without a pose; the queries
            in order of time.
        left_out: for each run, how many of its queries another run has not.
        units: of position.
    """

    labels: tuple[str, ...]
    errors: tuple[Array, ...]
    left_out: tuple[int, ...]
    units: str

    @property
    def count(self) -> int:
        """Number of common queries."""
        return len(self.errors[0])

    @property
    def block_length(self) -> int:
        """The longest that a run asks for, as long as it leaves `MIN_BLOCKS`."""
        wanted = max(choose_block_length(errors) for errors in self.errors)
        return min(wanted, max(1, self.count // MIN_BLOCKS))


def pair_runs(runs: Mapping[str, Run]) -> PairedErrors:
    """Find the queries that all runs have scored.

    Args:
        runs: two or more, by label.

    Raises:
        DataError: none in common, different units, or different true poses.
    """
    units = {run.units for run in runs.values()}
    if len(units) > 1:
        raise DataError(f'the runs are in different units: {", ".join(sorted(units))}')
    tables = [_by_key(run) for run in runs.values()]
    common = [key for key in tables[0] if all(key in table for table in tables[1:])]
    if not common:
        raise DataError(_nothing_in_common(dict(zip(runs, tables, strict=True))))
    labels = tuple(runs)
    for label, table in zip(labels[1:], tables[1:], strict=True):
        _check_truth(common, tables[0], table, (labels[0], label))
    errors = tuple(
        np.array([table[key].error for key in common], dtype=np.float64) for table in tables
    )
    left_out = tuple(len(table) - len(common) for table in tables)
    return PairedErrors(labels, errors, left_out, units.pop())


def _by_key(run: Run) -> dict[Key, Outcome]:
    """Scored outcomes in order of time; what has the same name is counted."""
    seen: Counter[str] = Counter()
    table = {}
    for outcome in sorted(run.scored, key=lambda outcome: outcome.stamp_ns):
        table[outcome.name, seen[outcome.name]] = outcome
        seen[outcome.name] += 1
    return table


def _nothing_in_common(tables: Mapping[str, Mapping[Key, Outcome]]) -> str:
    firsts = {label: next((name for name, _ in table), None) for label, table in tables.items()}
    said = [
        f'{label} has none' if name is None else f'{label} begins with {name!r}'
        for label, name in firsts.items()
    ]
    return f'the runs have no scored query in common: {", ".join(said)}'


def _check_truth(
    common: Sequence[Key],
    first: Mapping[Key, Outcome],
    second: Mapping[Key, Outcome],
    labels: tuple[str, str],
) -> None:
    truths = [(first[key].truth, second[key].truth) for key in common]
    centres = np.array([truth.translation for truth, _ in truths if truth is not None])
    limit = TRUTH_TOLERANCE * max(float(np.ptp(centres, axis=0).max()), 1.0)
    for key, (a, b) in zip(common, truths, strict=True):
        if a is None or b is None:
            continue
        distance, angle = pose_error(a, b)
        if distance > limit or angle > TRUTH_TOLERANCE:
            raise DataError(
                f'{labels[0]} and {labels[1]} are judged by different true poses of {key[0]}, '
                f'{distance:.3g} and {math.degrees(angle):.3g}° apart: they cannot be compared'
            )
