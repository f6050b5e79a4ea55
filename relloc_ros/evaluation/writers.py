# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation: metrics.json, errors.csv, trajectories and those of the run."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import json
from pathlib import Path
from typing import Any

from relloc_ros.errors import DataError
from relloc_ros.evaluation.exports import TRAJECTORY_FILES, write_trajectories
from relloc_ros.evaluation.outcomes import RUN_FILES, Outcome, Run, write_run
from relloc_ros.evaluation.queries import format_stamp
from relloc_ros.evaluation.report import REPORT, remove_report
from relloc_ros.evaluation.summary import summarize

__all__ = ['prepare_output', 'write_results']

METRICS, ERRORS = 'metrics.json', 'errors.csv'
RESULTS = (METRICS, ERRORS, *TRAJECTORY_FILES, *RUN_FILES, REPORT)

COLUMNS = (
    'name',
    'stamp',
    'status',
    'reason',
    'position_error_m',
    'rotation_error_deg',
    'inliers',
    'confidence',
    'nees',
    'ms',
    'failure',
    'failure_detail',
)


def prepare_output(folder: Path, *, overwrite: bool = False) -> None:
    """Make the folder, before the work begins.

    Raises:
        DataError: it holds results already, or cannot be written.
    """
    results = [name for name in RESULTS if (folder / name).exists()]
    if results and not overwrite:
        raise DataError(
            f'{folder} already holds {", ".join(results)}: choose another folder, '
            'or replace them with --overwrite'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Results of another run beside new ones would be taken for theirs.
        for name in results:
            (folder / name).unlink()
        remove_report(folder)
    except OSError as error:
        raise DataError(f'cannot write to {folder}: {error.strerror}') from error


def write_results(run: Run, folder: Path, sanity: Sequence[str] = ()) -> dict[str, Any]:
    """Write all files; metrics.json comes last and stands for completeness.

    Args:
        run: what came out.
        folder: exists already.
        sanity: what the comparison with the baselines says, for metrics.json.

    Returns:
        The content of metrics.json.

    Raises:
        DataError: the folder cannot be written.
    """
    write_run(run, folder)
    metrics = {**summarize(run), 'sanity': list(sanity)}
    try:
        with (folder / ERRORS).open('w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(_row, run.outcomes))
        write_trajectories(run, folder)
        text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / METRICS).write_text(f'{text}\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'cannot write results to {folder}: {error.strerror}') from error
    return metrics


def _row(outcome: Outcome) -> tuple[Any, ...]:
    position_error, rotation_error = outcome.error or (None, None)
    return (
        outcome.name,
        format_stamp(outcome.stamp_ns),
        outcome.status,
        outcome.reason,
        _number(position_error),
        _number(rotation_error),
        outcome.num_inliers,
        _number(outcome.confidence),
        _number(outcome.nees),
        _number(outcome.timings_ms.get('total')),
        outcome.failure,
        outcome.failure_detail,
    )


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.6g}'
