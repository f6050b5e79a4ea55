# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a probability that a pose is right would judge better than limits on support do.

    python benchmarks/fit_confidence.py RESULTS [--localizer NAME]

RESULTS is what benchmarks/acceptance.py has left. A logistic regression on the support of each
pose is fitted without one set and judges the poses of that set; all sets in turn. It is compared
with the present limits at the same availability.
"""

from __future__ import annotations

from itertools import pairwise
import json
from pathlib import Path
from typing import Annotated, Any

from acceptance_figures import is_accepted, is_good
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import expit
import typer

console = Console(width=120)

Array = NDArray[np.float64]
Row = dict[str, Any]

FEATURES = (
    'log inliers',
    'log agreement',
    'log agreement of the first image',
    'log cells',
    'log images',
    'log inliers per point',
    'log residual',
    'log rotation std',
    'turn',
)
RIDGE = 1.0
"""On coefficients of standardized features, in units of one pose."""


def main(
    results: Annotated[Path, typer.Argument(help='Folder with the answers.')],
    localizer: Annotated[str, typer.Option(help='essential or structure.')] = 'essential',
) -> None:
    """Print what each set's poses look like to a model fitted without it, and the coefficients."""
    rows = [
        json.loads(line)
        for file in sorted(results.glob(f'*_{localizer}.jsonl'))
        for line in file.read_text('utf-8').splitlines()
    ]
    rows = [row for row in rows if row['pose'] is not None]
    features = np.array([_features(row['pose']) for row in rows])
    good = np.array([is_good(row) for row in rows])
    accepted = np.array([is_accepted(row) for row in rows])
    sets = np.array([row['set'] for row in rows])
    confidence = np.zeros(len(rows))
    for name in np.unique(sets):
        seen = sets != name
        confidence[~seen] = _apply(_fit(features[seen], good[seen]), features[~seen])
    _print_rules(confidence, good, accepted, sets)
    _print_reliability(confidence, good)
    mean, scale, coefficients = _fit(features, good)
    for called, each in zip(FEATURES, coefficients[1:] / scale, strict=True):
        console.print(f'{called}: {each:+.3f}')
    console.print(f'constant: {coefficients[0] - coefficients[1:] @ (mean / scale):+.3f}')


def _features(pose: Row) -> list[float]:
    return [
        np.log(pose['inliers'] + 1.0),
        np.log(pose['agreement'] + 0.01),
        np.log(pose['first_agreement'] + 0.01),
        np.log(pose['cells']),
        np.log(pose['images'] + 1.0),
        np.log((pose['inliers'] + 1.0) / (pose['points'] + 10.0)),
        np.log(pose['rms_px'] + 0.1),
        np.log(np.clip(pose['rotation_std'], 1e-5, 3.0)),
        pose['turn'],
    ]


def _fit(features: Array, good: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Means and scales (D,) of features (N, D), and the constant and D coefficients."""
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(features)), (features - mean) / scale])
    signs = np.where(good, 1.0, -1.0)

    def cost(coefficients: Array) -> tuple[float, Array]:
        margins = signs * (design @ coefficients)
        penalized = np.append(0.0, coefficients[1:])
        value = np.logaddexp(0.0, -margins).sum() + 0.5 * RIDGE * (penalized @ penalized)
        slope = -(expit(-margins) * signs) @ design + RIDGE * penalized
        return float(value), slope

    found = minimize(cost, np.zeros(design.shape[1]), jac=True, method='L-BFGS-B')
    return mean, scale, found.x


def _apply(model: tuple[Array, Array, Array], features: Array) -> Array:
    mean, scale, coefficients = model
    logits = coefficients[0] + ((features - mean) / scale) @ coefficients[1:]
    return np.asarray(expit(logits))


def _print_rules(
    confidence: Array, good: NDArray[np.bool_], accepted: NDArray[np.bool_], sets: Any
) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ('rule', 'availability', 'wrong accepted', *np.unique(sets)):
        table.add_column(heading)

    def add(called: str, passed: NDArray[np.bool_]) -> None:
        wrong = passed & ~good
        table.add_row(
            called,
            f'{(passed & good).sum() / good.sum():.1%}',
            str(wrong.sum()),
            *(str(wrong[sets == name].sum()) for name in np.unique(sets)),
        )

    add('limits', accepted)
    for availability in ((accepted & good).sum() / good.sum(), 0.99, 0.97, 0.95, 0.9, 0.8):
        limit = np.quantile(confidence[good], 1.0 - availability)
        add(f'confidence over {limit:.4f}', confidence >= limit)
        both = accepted & (confidence >= limit)
        add(f'limits, and confidence over {limit:.4f}', both)
    console.print(table)


def _print_reliability(confidence: Array, good: NDArray[np.bool_]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ('confidence', 'poses', 'right'):
        table.add_column(heading)
    edges = [0.0, 0.02, 0.1, 0.5, 0.9, 0.98, 1.0]
    for low, high in pairwise(edges):
        within = (confidence >= low) & ((confidence < high) | (high == 1.0))
        share = f'{good[within].mean():.1%}' if within.any() else ''
        table.add_row(f'{low} to {high}', str(within.sum()), share)
    console.print(table)


if __name__ == '__main__':
    typer.run(main)
