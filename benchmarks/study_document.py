# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages of all studies share: machines, dates, what comparisons came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from page import describe_machine
from record import Record
from study_cells import Cells
from study_verdicts import Finding, verdict

__all__ = ['about', 'describe_findings', 'machines_of']


def about(cells: Cells) -> dict[str, Any]:
    """Say how much was run, when, of which code and for how long, for a template."""
    done, queries, localized = cells.counts()
    records: Sequence[Record] = cells.records
    return {
        'cells': done,
        'planned': cells.planned(),
        'queries': queries,
        'localized': localized,
        'revisions': list(dict.fromkeys(record.revision or '?' for record in records)),
        'dates': sorted(record.date[:10] for record in records if record.date),
        'minutes': sum(record.seconds for record in records) / 60,
    }


def machines_of(machines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Describe each machine once."""
    return list(dict.fromkeys(_machine(machine) for machine in machines if machine))


def _machine(machine: Mapping[str, Any]) -> str:
    gpu = machine.get('gpu', '')
    return describe_machine(machine) + (f', GPU {gpu}' if gpu else '')


def describe_findings(
    findings: Iterable[Finding[Any]], ours: Any, published: Any
) -> list[Mapping[str, Any]]:
    """Look for findings in our figures and in published ones, for a template."""
    found = []
    for finding in findings:
        here = list(finding.compare(ours))
        there = list(finding.compare(published))
        found.append(
            {
                'letter': finding.letter,
                'claim': finding.claim,
                'criterion': finding.criterion,
                'verdict': verdict(here),
                'paper': verdict(there),
                'comparisons': here,
                'published': there,
            }
        )
    return found
