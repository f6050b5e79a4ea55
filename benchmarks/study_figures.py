# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the study of essential matrices: ours, from raw outputs, and those of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from record import Record
from study_plan import Plan
from study_scenes import Column
from study_steps import valid_record

from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.outcomes import Run, read_run
from relloc_ros.evaluation.published import MEAN, mean_error, read_table

__all__ = ['Ours', 'Published', 'Source']

ZHOU = 'zhou2020_table'
DATA_SETS = {'Cambridge': 'cambridge', '7 Scenes': '7scenes'}
SEVEN, CAMBRIDGE = '7-Scenes', 'Cambridge'

ROWS: Mapping[str, tuple[str, str, str]] = {
    'retrieval': ('2', 'DenseVLAD', ''),
    'retrieval_affine': ('2', 'DenseVLAD + interpolation', ''),
    'rpr-rooms': ('2', 'Relative PN', SEVEN),
    'rpr-unrelated': ('2', 'Relative PN', 'University'),
    'relocnet-rooms': ('2', 'RelocNet', SEVEN),
    'relocnet-unrelated': ('2', 'RelocNet', 'ScanNet'),
    'sift_5pt-none': ('2', 'SIFT + 5pt', ''),
    'essnet-rooms': ('3', 'EssNet', SEVEN),
    'essnet-facades': ('3', 'EssNet', CAMBRIDGE),
    'nc_essnet-rooms': ('3', 'NC-EssNet', SEVEN),
    'nc_essnet-facades': ('3', 'NC-EssNet', CAMBRIDGE),
    'nc_5pt-imagenet': ('4', 'ImageNet + NCM + 5pt', 'ImageNet'),
    'nc_5pt-nc_essnet-rooms': ('4', 'NC-EssNet + NCM + 5pt', SEVEN),
    'nc_5pt-nc_essnet-facades': ('4', 'NC-EssNet + NCM + 5pt', CAMBRIDGE),
    'nc_5pt-essnet-unrelated': ('4', 'EssNet224 + NCM + 5pt', 'ScanNet'),
    'nc_5pt-essnet-megadepth': ('4', 'EssNet224 + NCM + 5pt', 'MegaDepth'),
    'nc_5pt-essnet-all': ('4', 'EssNet224 + NCM + 5pt', 'MegaDepth, 7-Scenes, Cambridge'),
}
"""Table of Zhou et al., method and training data that our methods stand beside."""


class Source(Protocol):
    """Where figures come from."""

    @property
    def columns(self) -> Sequence[Column]:
        """What was tested."""

    @property
    def is_pretrained(self) -> bool:
        """Whether `initial` features come from another task, not from random weights."""

    def error(self, method: str, column: Column) -> PoseError | None:
        """Mean of the median errors; None where not all of them are known."""


class Published:
    """Figures of Zhou et al., ICRA 2020."""

    columns = (Column('Cambridge', (), 'facades'), Column('7 Scenes', (), 'rooms'))
    is_pretrained = False

    def error(self, method: str, column: Column) -> PoseError | None:
        """Look a method up: ours, or a name of Table II."""
        row = ROWS.get(method, ('2', method, ''))
        return _table(row[0], DATA_SETS[column.name]).get(row[1:])


@lru_cache
def _table(number: str, data_set: str) -> Mapping[tuple[str, str], PoseError]:
    rows = read_table(f'{ZHOU}{number}', data_set)
    return {(row.method, row.trained_on): row.figures[MEAN] for row in rows}


class Ours:
    """Figures of cells that were run as the plan wants them."""

    def __init__(self, plan: Plan, results: Path) -> None:
        """Take a plan, and the folder of what was run."""
        self._plan = plan
        self._results = results
        self._runs: dict[str, Run | None] = {}

    @property
    def columns(self) -> Sequence[Column]:
        """What the plan tests."""
        return self._plan.columns

    @property
    def is_pretrained(self) -> bool:
        """Whether networks began with a file."""
        return bool(self._plan.choice.backbone)

    def error(self, method: str, column: Column) -> PoseError | None:
        """Mean over the scenes; infinite where a median is."""
        errors = [self._median(method, scene) for scene in column.scenes]
        known = [error for error in errors if error is not None]
        return mean_error(known) if known and len(known) == len(errors) else None

    def counts(self) -> tuple[int, int, int]:
        """Cells that were run, their queries, and how many of those have a pose."""
        runs = [run for step in self._cells if (run := self._run(step)) is not None]
        scored = [outcome for run in runs for outcome in run.scored]
        return len(runs), len(scored), sum(outcome.localized for outcome in scored)

    def answers(self, method: str) -> tuple[int, list[PoseError]]:
        """Queries of a method over all its cells, and the errors of those that have a pose."""
        steps = [step for step in self._cells if step.split('/')[1] == method]
        runs = [run for step in steps if (run := self._run(step)) is not None]
        scored = [outcome for run in runs for outcome in run.scored]
        errors = [each.error for each in scored if each.localized and each.error is not None]
        return len(scored), errors

    @cached_property
    def records(self) -> list[Record]:
        """Of all steps done as the plan wants them."""
        found = (valid_record(self._plan, self._results, name) for name in self._plan.steps)
        return [record for record in found if record is not None]

    @property
    def _cells(self) -> list[str]:
        return [step.name for step in self._plan.steps.values() if step.sort == 'cell']

    def _median(self, method: str, scene: str) -> PoseError | None:
        run = self._run(f'cell/{method}/{scene}')
        if run is None or not run.scored:
            return None
        position, rotation = np.median([outcome.error for outcome in run.scored], axis=0)
        return float(position), float(rotation)

    def _run(self, step: str) -> Run | None:
        if step not in self._runs:
            known = step in self._plan.steps and valid_record(self._plan, self._results, step)
            self._runs[step] = read_run(self._results / step) if known else None
        return self._runs[step]
