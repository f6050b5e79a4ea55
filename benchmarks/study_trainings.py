# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What became of the trainings of the study, read from what `relloc train` has kept."""

from __future__ import annotations

from collections.abc import Mapping
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import read_record
from study_plan import Plan
from study_steps import valid_record

from relloc_ros.yaml_text import load_yaml

__all__ = ['TrainingResult', 'read_trainings', 'steps_done']


@dataclass(frozen=True)
class TrainingResult:
    """One training, as far as it went.

    Attributes:
        network: name.
        lot: of scenes it was trained on.
        is_done: whether it ended as the plan wants it.
        settings: of training and network, by key.
        begun_with: what the backbone began with.
        pairs: of images, those for validation among them.
        steps: done.
        epochs: done.
        best_epoch: whose weights are used; 0 if there is none.
        seconds: of all epochs.
        machine: on which, as in records.
    """

    network: str
    lot: str
    is_done: bool
    settings: Mapping[str, Any]
    begun_with: str
    pairs: int
    steps: int
    epochs: int
    best_epoch: int
    seconds: float
    machine: Mapping[str, Any]


def read_trainings(plan: Plan, results: Path) -> list[TrainingResult]:
    """Read all trainings that were begun as the plan wants them."""
    found = []
    for training in plan.trainings:
        step = f'train/{training.name}'
        record, folder = read_record(results, step), results / step
        begun = plan.fingerprints[step].partition('-')[0]
        is_mine = record is not None and record.fingerprint.partition('-')[0] == begun
        if record is None or not is_mine or not (folder / 'run.yaml').exists():
            continue
        about = load_yaml((folder / 'run.yaml').read_text('utf-8'))
        epochs = _rows(folder / 'epoch.csv')
        best = min(epochs, key=lambda row: row['validation_loss'], default={'epoch': 0})
        result = TrainingResult(
            network=training.network,
            lot=training.lot,
            is_done=valid_record(plan, results, step) is not None,
            settings={**about['training'], **about['network_settings']},
            begun_with=_beginning(plan, about['backbone']),
            pairs=sum(_lines(file) for file in folder.glob('pairs_*.txt')),
            steps=steps_done(folder),
            epochs=len(epochs),
            best_epoch=int(best['epoch']),
            seconds=sum(row['seconds'] for row in epochs),
            machine=record.machine,
        )
        found.append(result)
    return found


def steps_done(folder: Path) -> int:
    """Count the steps of a run; 0 if there is none."""
    return max(0, _lines(folder / 'step.csv') - 1)


def _beginning(plan: Plan, backbone: str) -> str:
    if not backbone:
        return 'random weights'
    return plan.choice.backbone or Path(backbone).parent.name


def _rows(file: Path) -> list[dict[str, float]]:
    if not file.exists():
        return []
    with file.open(encoding='utf-8', newline='') as stream:
        return [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)
        ]


def _lines(file: Path) -> int:
    return len(file.read_text('utf-8').splitlines()) if file.exists() else 0
