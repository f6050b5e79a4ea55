# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation: metrics.json, errors.csv, poses.tum and those of the run."""

from __future__ import annotations

from collections.abc import Iterator
import csv
import json
from pathlib import Path
from typing import Any

from relloc_ros.errors import DataError
from relloc_ros.evaluation.outcomes import RUN_FILES, Outcome, Run, write_run
from relloc_ros.evaluation.queries import format_stamp
from relloc_ros.evaluation.summary import summarize

__all__ = ['prepare_output', 'write_results']

METRICS, ERRORS, POSES = 'metrics.json', 'errors.csv', 'poses.tum'
RESULTS = (METRICS, ERRORS, POSES, *RUN_FILES)

COLUMNS = (
    'name',
    'stamp',
    'status',
    'reason',
    'position_error_m',
    'rotation_error_deg',
    'inliers',
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
    except OSError as error:
        raise DataError(f'cannot write to {folder}: {error.strerror}') from error


def write_results(run: Run, folder: Path) -> None:
    """Write all files; metrics.json comes last and stands for completeness.

    Raises:
        DataError: the folder cannot be written.
    """
    write_run(run, folder)
    try:
        with (folder / ERRORS).open('w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(_row, run.outcomes))
        poses = ''.join(f'{line}\n' for line in _tum_lines(run))
        (folder / POSES).write_text(poses, encoding='utf-8')
        metrics = json.dumps(summarize(run), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / METRICS).write_text(f'{metrics}\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'cannot write results to {folder}: {error.strerror}') from error


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
        _number(outcome.nees),
        _number(outcome.timings_ms.get('total')),
        outcome.failure,
        outcome.failure_detail,
    )


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.6g}'


def _tum_lines(run: Run) -> Iterator[str]:
    """Stamp in seconds, position, quaternion x y z w of map_from_body, localized queries only."""
    for outcome in run.outcomes:
        if outcome.estimate is None:
            continue
        pose = outcome.estimate.map_from_body
        # All digits: node and offline are compared by these files.
        numbers = [*pose.translation.tolist(), *pose.quat_xyzw.tolist()]
        yield ' '.join([format_stamp(outcome.stamp_ns), *(f'{value:.9f}' for value in numbers)])
