# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the cells of a study have come to, from raw outputs."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from record import Record
from study_steps import Steps, valid_record

from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.outcomes import Run, read_run

__all__ = ['Cells']


class Cells:
    """Cells that were run as the plan wants them: each a method and what it was tested on."""

    def __init__(self, plan: Steps, results: Path) -> None:
        """Take a plan, and the folder of what was run."""
        self._steps = plan
        self._results = results
        self._runs: dict[str, Run | None] = {}

    @cached_property
    def records(self) -> list[Record]:
        """Of all steps done as the plan wants them."""
        found = (valid_record(self._steps, self._results, name) for name in self._steps.steps)
        return [record for record in found if record is not None]

    def counts(self) -> tuple[int, int, int]:
        """Cells that were run, their queries, and how many of those have a pose."""
        runs = [run for step in self._names if (run := self._read(step)) is not None]
        scored = [outcome for run in runs for outcome in run.scored]
        return len(runs), len(scored), sum(outcome.localized for outcome in scored)

    def planned(self) -> int:
        """Count the cells of the plan."""
        return len(self._names)

    def answers(self, method: str) -> tuple[int, list[PoseError]]:
        """Queries of a method over all its cells, and the errors of those that have a pose."""
        steps = [step for step in self._names if step.split('/')[1] == method]
        runs = [run for step in steps if (run := self._read(step)) is not None]
        scored = [outcome for run in runs for outcome in run.scored]
        errors = [each.error for each in scored if each.localized and each.error is not None]
        return len(scored), errors

    def run(self, method: str, scene: str) -> Run | None:
        """Outcomes of a cell; None where it was not run."""
        return self._read(f'cell/{method}/{scene}')

    def median(self, method: str, scene: str) -> PoseError | None:
        """Median errors over all queries of a cell, infinite for those without a pose."""
        run = self.run(method, scene)
        if run is None or not run.scored:
            return None
        position, rotation = np.median([outcome.error for outcome in run.scored], axis=0)
        return float(position), float(rotation)

    @property
    def _names(self) -> list[str]:
        return [step.name for step in self._steps.steps.values() if step.sort == 'cell']

    def _read(self, step: str) -> Run | None:
        if step not in self._runs:
            known = step in self._steps.steps and valid_record(self._steps, self._results, step)
            self._runs[step] = read_run(self._results / step) if known else None
        return self._runs[step]
