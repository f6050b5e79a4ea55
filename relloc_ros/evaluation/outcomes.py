# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries with their answers, and the files that keep them: run.json and outcomes.jsonl.

A run is all that tables, reports and comparisons are made of, whoever localized the queries.
Nothing is rounded on its way through the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from relloc_ros.config import Value
from relloc_ros.errors import DataError
from relloc_ros.evaluation.json_values import (
    covariance_from_rows,
    covariance_to_rows,
    of_type,
    parse_object,
    pose_from_rows,
    pose_to_rows,
    read_text,
    to_json,
)
from relloc_ros.evaluation.metrics import PoseError, measure_error, normalized_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate, Status

__all__ = ['RUN_FILES', 'LeftOut', 'Outcome', 'Run', 'read_run', 'write_run']

RUN, OUTCOMES = 'run.json', 'outcomes.jsonl'
RUN_FILES = (RUN, OUTCOMES)
"""Names of the files of a run."""

FORMAT_VERSION = 1

VARIANTS: Mapping[str, Mapping[str, str]] = {
    'essential': {
        'essential.pair_estimator': 'sift_5pt',
        'essential.refinement': 'local_structure',
    },
    'retrieval': {'retrieval.interpolation': 'none'},
    'structure': {'structure.matching': 'retrieved'},
}
"""Of a localizer, the settings that make another method of it, and the values not worth naming."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One query, its answer and the truth.

    Attributes:
        name: of the query.
        stamp_ns: of the query.
        status: of the answer.
        reason: one sentence for people; empty when localized.
        estimate: map_from_body; None unless localized. A covariance of NaN is not known.
        truth: true map_from_body; None if unknown.
        negative: known to show another place, must not be localized; has no truth.
        num_matches: putative matches over all map images used.
        num_inliers: query keypoints that support the pose.
        confidence: as in `Localization`; None in runs of older versions.
        retrieved: names of the map images retrieved, best first.
        timings_ms: wall milliseconds of each stage, and `total`.
        failure: stage blamed for a failed query (see `failures`), or ''.
        failure_detail: one sentence for people.
    """

    name: str
    stamp_ns: int
    status: Status
    reason: str
    estimate: PoseEstimate | None
    truth: RigidTransform | None
    negative: bool = False
    num_matches: int = 0
    num_inliers: int = 0
    confidence: float | None = None
    retrieved: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    failure: str = ''
    failure_detail: str = ''

    @property
    def localized(self) -> bool:
        """Whether there is a pose."""
        return self.estimate is not None

    @property
    def error(self) -> PoseError | None:
        """Position (map units) and rotation (degrees), infinite without a pose; None untold."""
        return None if self.truth is None else measure_error(self.estimate, self.truth)

    @property
    def nees(self) -> float | None:
        """Squared error weighed by the covariance, 6 on average where that tells the truth.

        None where pose, covariance or truth is not known.
        """
        if self.truth is None or self.estimate is None:
            return None
        if not np.isfinite(self.estimate.covariance).all():
            return None
        return normalized_error(self.estimate, self.truth)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A query that is in the map, and therefore none."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All outcomes, and under which conditions they came about.

    Attributes:
        outcomes: in the order of the queries.
        left_out: queries that are in the map.
        body: whose poses these are, `camera` or the robot's base frame.
        localizer: name of the method.
        settings: by dotted key.
        map_path: folder of the map; '' if there is none.
        map_id: short hash of its content.
        units: unit of length.
        version: of this package.
        sequence: whether these are images of one moving camera, in order of time.
    """

    outcomes: tuple[Outcome, ...]
    left_out: tuple[LeftOut, ...]
    body: str
    localizer: str
    settings: Mapping[str, Value]
    map_path: str
    map_id: str
    units: str
    version: str
    sequence: bool

    @property
    def label(self) -> str:
        """Short name for tables: `essential`, `retrieval + affine`, `essential + pgo`."""
        usual = VARIANTS.get(self.localizer, {})
        values = {key: self.settings.get(key, value) for key, value in usual.items()}
        variants = [str(value) for key, value in values.items() if value != usual[key]]
        if self.fused:
            variants.append(str(self.settings['fusion']))
        return ' + '.join([self.localizer, *variants])

    @property
    def fused(self) -> bool:
        """Whether poses are those of several images and odometry."""
        return self.settings.get('fusion', 'none') != 'none'

    @property
    def scored(self) -> tuple[Outcome, ...]:
        """Outcomes whose truth is known."""
        return tuple(outcome for outcome in self.outcomes if outcome.truth is not None)

    @property
    def negatives(self) -> tuple[Outcome, ...]:
        """Outcomes of queries that show another place."""
        return tuple(outcome for outcome in self.outcomes if outcome.negative)


def write_run(run: Run, folder: Path) -> None:
    """Write a run; run.json comes last and stands for completeness.

    Raises:
        DataError: the folder cannot be made or written.
    """
    header = {
        'format_version': FORMAT_VERSION,
        'outcomes': len(run.outcomes),
        'left_out': [{'name': item.name, 'reason': item.reason} for item in run.left_out],
        **{key: getattr(run, key) for key in HEADER_KEYS},
        'settings': dict(run.settings),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / OUTCOMES).open('w', encoding='utf-8') as file:
            file.writelines(f'{to_json(_from_outcome(each))}\n' for each in run.outcomes)
        (folder / RUN).write_text(f'{to_json(header, indent=2)}\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'cannot write a run to {folder}: {error.strerror}') from error


def read_run(folder: Path) -> Run:
    """Read a run.

    Raises:
        DataError: there is none, it is damaged, or of another format version.
    """
    path = folder / RUN
    header = parse_object(path, read_text(path))
    version = header.get('format_version')
    if version != FORMAT_VERSION:
        raise DataError(f'{path} has format version {version}, this is {FORMAT_VERSION}')
    outcomes = tuple(_read_outcomes(folder / OUTCOMES))
    try:
        if header['outcomes'] != len(outcomes):
            raise DataError(
                f'{folder / OUTCOMES} has {len(outcomes)} outcomes, {RUN} speaks of '
                f'{header["outcomes"]}: evaluate again'
            )
        left_out = tuple(LeftOut(**item) for item in header['left_out'])
        values = {key: of_type(header[key], kind) for key, kind in HEADER_KEYS.items()}
        settings = dict(of_type(header['settings'], dict))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f'{path} is damaged: {error!r}') from error
    return Run(outcomes=outcomes, left_out=left_out, settings=settings, **values)


HEADER_KEYS: Mapping[str, type] = {
    'body': str,
    'localizer': str,
    'map_path': str,
    'map_id': str,
    'units': str,
    'version': str,
    'sequence': bool,
}

PLAIN_KEYS: Mapping[str, type] = {
    'name': str,
    'stamp_ns': int,
    'reason': str,
    'negative': bool,
    'num_matches': int,
    'num_inliers': int,
    'failure': str,
    'failure_detail': str,
}


def _from_outcome(outcome: Outcome) -> dict[str, Any]:
    estimate = outcome.estimate
    return {
        **{key: getattr(outcome, key) for key in PLAIN_KEYS},
        'status': outcome.status.value,
        'confidence': outcome.confidence,
        'map_from_body': None if estimate is None else pose_to_rows(estimate.map_from_body),
        'covariance': None if estimate is None else covariance_to_rows(estimate.covariance),
        'truth': None if outcome.truth is None else pose_to_rows(outcome.truth),
        'retrieved': list(outcome.retrieved),
        'timings_ms': dict(outcome.timings_ms),
    }


def _to_outcome(values: Mapping[str, Any]) -> Outcome:
    pose, truth = values['map_from_body'], values['truth']
    confidence = values.get('confidence')
    estimate = None
    if pose is not None:
        estimate = PoseEstimate(pose_from_rows(pose), covariance_from_rows(values['covariance']))
    return Outcome(
        **{key: of_type(values[key], kind) for key, kind in PLAIN_KEYS.items()},
        status=Status(values['status']),
        confidence=None if confidence is None else float(confidence),
        estimate=estimate,
        truth=None if truth is None else pose_from_rows(truth),
        retrieved=tuple(str(name) for name in values['retrieved']),
        timings_ms={str(key): float(value) for key, value in values['timings_ms'].items()},
    )


def _read_outcomes(path: Path) -> Iterator[Outcome]:
    lines = read_text(path).split('\n')
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            yield _to_outcome(parse_object(path, line, number))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f'{path}, line {number} is damaged: {error!r}') from error
