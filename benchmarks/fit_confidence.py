# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fit the confidence of poses, and say what it is worth on sets that it was not fitted to.

    python benchmarks/fit_confidence.py RESULTS

RESULTS is what benchmarks/acceptance.py has left of both localizers. One model serves both. It is
fitted to the poses of all sets but one and judges those of that set, all sets in turn; then to all
of them, which gives the constants of relloc_ros/confidence.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import json
from pathlib import Path
from typing import Annotated, Any

from acceptance_figures import SPOILT, is_good, is_right, limits, passes, read_pose
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import expit
import typer

from relloc_ros.confidence import RATES, within

console = Console(width=120)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Row = dict[str, Any]

LEAST_INLIERS = 20
"""Poses with less are refused whatever their confidence: they would only spoil the fit."""
PRIOR = np.array([6.0, np.log(5.0), np.log(4.0)])
"""Odds of the ceiling, half and steepness, all as logarithms. They are held to this, as if it were
known within a factor of e: a few hundred poses, most of them right, do not tell all of them."""
ALMOST = 1e-6
AVAILABILITIES = (0.97, 0.95, 0.9)


@dataclass(frozen=True)
class Poses:
    """Poses that the limits on support let through, and some that they do not.

    Attributes:
        sets: (N,) names.
        localizers: (N,) names.
        support: (N,) logarithm of the inliers times the agreement.
        within: (N,) probability of an error within the tolerances.
        right: (N,) whether accepting it is no false accept.
        good: (N,) whether its error is within the tolerances.
        whole: (N,) whether the query is not spoilt.
        passing: (N,) whether the limits let it through.
    """

    sets: NDArray[np.str_]
    localizers: NDArray[np.str_]
    support: Array
    within: Array
    right: Mask
    good: Mask
    whole: Mask
    passing: Mask

    @staticmethod
    def of(rows: Sequence[Row]) -> Poses:
        """Take what the fit needs from rows with poses."""
        support = [row['pose']['inliers'] * row['pose']['agreement'] for row in rows]
        return Poses(
            np.array([row['set'] for row in rows]),
            np.array([row['localizer'] for row in rows]),
            np.log(np.maximum(support, ALMOST)),
            np.array([_within(row) for row in rows]),
            np.array([is_right(row) for row in rows]),
            np.array([is_good(row) for row in rows]),
            np.array([row['kind'] not in SPOILT for row in rows]),
            np.array([passes(row) for row in rows]),
        )


def main(
    results: Annotated[Path, typer.Argument(help='Folder with the answers.')],
) -> None:
    """Print how well confidences hold on sets left out of the fit, and the constants."""
    rows = _read(results)
    enough = [row for row in rows if row['pose'] and row['pose']['inliers'] >= LEAST_INLIERS]
    poses = Poses.of(enough)
    totals = {
        localizer: sum(row['localizer'] == localizer for row in rows)
        for localizer in np.unique(poses.localizers)
    }
    good = {
        localizer: sum(
            is_good(row) and row['localizer'] == localizer and row['kind'] not in SPOILT
            for row in rows
        )
        for localizer in totals
    }
    left_out = _left_out(poses)
    parameters = _fit(poses, np.ones(len(enough), dtype=bool))
    _print_rates(poses, {'left out': left_out, 'fitted': _apply(parameters, poses)}, totals, good)
    _print_reliability(poses, left_out)
    chances = np.where(poses.right, left_out, 1.0 - left_out)
    console.print(f'{-np.log(chances).mean():.4f} nats a pose of sets left out')
    _print_constants(parameters)


def _read(results: Path) -> list[Row]:
    return [
        {**json.loads(line), 'localizer': file.stem.rpartition('_')[2]}
        for file in sorted(results.glob('*.jsonl'))
        for line in file.read_text('utf-8').splitlines()
    ]


def _within(row: Row) -> float:
    covariance = read_pose(row).covariance
    position, orientation = limits(row)
    return within(covariance[:3, :3], position) * within(
        covariance[3:, 3:], np.deg2rad(orientation)
    )


def _apply(parameters: Array, poses: Poses) -> Array:
    """Confidences (N,) by parameters as in PRIOR."""
    ceiling, half, steepness = parameters
    curve = expit(np.exp(steepness) * (poses.support - half))
    confidence: Array = expit(ceiling) * curve * poses.within
    return np.clip(confidence, ALMOST, 1.0 - ALMOST)


def _fit(poses: Poses, seen: Mask) -> Array:
    """Find the parameters under which the poses seen (N,) are most probable."""

    def cost(parameters: Array) -> float:
        confidence = _apply(parameters, poses)[seen]
        likelihood = np.where(poses.right[seen], np.log(confidence), np.log(1.0 - confidence))
        return float(0.5 * ((parameters - PRIOR) ** 2).sum() - likelihood.sum())

    found = minimize(cost, PRIOR, method='L-BFGS-B')
    return np.asarray(found.x)


def _left_out(poses: Poses) -> Array:
    """Confidences (N,), those of each set by a model that was fitted without it."""
    confidence = np.zeros(len(poses.sets))
    for name in np.unique(poses.sets):
        own = poses.sets == name
        confidence[own] = _apply(_fit(poses, ~own), poses)[own]
    return confidence


def _print_rates(
    poses: Poses, models: dict[str, Array], totals: dict[str, int], good: dict[str, int]
) -> None:
    """Print the threshold that each rate asks for, and what thresholds give."""
    table = Table(box=None, pad_edge=False)
    headings = ('model', 'localizer', 'confidence', 'false accepts', 'of these spoilt')
    for heading in (*headings, 'availability'):
        table.add_column(heading)
    for model, confidence in models.items():
        for localizer, total in totals.items():
            own = poses.passing & (poses.localizers == localizer)
            kept = np.sort(confidence[own & poses.good & poses.whole])
            lost = good[localizer] - len(kept)
            marks = [least for _, least in RATES]
            marks += [
                float(kept[max(int((1.0 - share) * good[localizer]) - lost, 0)])
                for share in AVAILABILITIES
            ]
            for least in sorted(marks):
                let = own & (confidence >= least)
                false = let & ~poses.right
                table.add_row(
                    model,
                    localizer,
                    f'{least:.3f}',
                    f'{false.sum()} of {total}, {false.sum() / total:.2%}',
                    str((false & ~poses.whole).sum()),
                    f'{(let & poses.good & poses.whole).sum() / good[localizer]:.1%}',
                )
    console.print(table)


def _print_reliability(poses: Poses, confidence: Array) -> None:
    """Print how many poses of a confidence are right, on sets left out."""
    table = Table(box=None, pad_edge=False)
    for heading in ('confidence', 'poses', 'mean', 'right'):
        table.add_column(heading)
    edges = [0.0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0]
    for low, high in pairwise(edges):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            mean, right = confidence[inside].mean(), poses.right[inside].mean()
            table.add_row(f'{low} to {high}', str(inside.sum()), f'{mean:.3f}', f'{right:.1%}')
    console.print(table)


def _print_constants(parameters: Array) -> None:
    half, steepness = np.exp(parameters[1:])
    console.print(f'CEILING = {expit(parameters[0]):.4f}')
    console.print(f'HALF = {half:.3g}')
    console.print(f'STEEPNESS = {steepness:.3g}')


if __name__ == '__main__':
    typer.run(main)
